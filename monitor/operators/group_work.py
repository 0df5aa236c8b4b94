"""The part of a request that looks at each group, done in portions between batches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from monitor.groups.operator_changes import OperatorChanges

__all__ = ["GroupWork"]

# Groups between two looks at the clock: 25 ms with the costliest pattern and names of 1,000 characters.
_NAMES_PER_CHECK = 64


@dataclass(slots=True)
class GroupWork:
    """What a request does with each group, and then.

    With 100,000 groups and the costliest pattern it takes half a minute, in which batches must not wait.
    """

    names: Iterable[str]
    """The groups to look at; those that come into memory later are left out."""
    visit: Callable[[str, OperatorChanges], None]
    """Looks at a group; may raise RequestRejected, which ends the work."""
    finish: Callable[[OperatorChanges, float], dict[str, object]]
    """Called at the end with the monotonic time in seconds; returns further fields of the response, or raises
    RequestRejected."""
    changed_groups: dict[str, None] = field(default_factory=dict)
    """Groups changed so far, which must be stored before the response is sent."""

    def __post_init__(self) -> None:
        self.names = iter(self.names)

    def advance(
        self, changes: OperatorChanges, is_time_up: Callable[[], bool], now: float
    ) -> dict[str, object] | None:
        """Go on until the end or until the time is up; return the result, None if it isn't the end.

        Parameters
        ----------
        changes : receives what is changed.
        is_time_up : returns whether to return soon.
        now : monotonic seconds.

        Raises
        ------
        RequestRejected : the request can't be executed.
        """
        first_change = len(changes.changed_groups)
        while True:
            names = list(islice(self.names, _NAMES_PER_CHECK))
            for name in names:
                self.visit(name, changes)
            if len(names) < _NAMES_PER_CHECK:
                return self.finish(changes, now)
            if is_time_up():
                self.changed_groups.update(dict.fromkeys(changes.changed_groups[first_change:]))
                return None
