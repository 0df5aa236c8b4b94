"""Which of a group's values becomes which feature of the bundle."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.cli.discover.candidates import Candidate
from monitor.cli.discover.words import natural_key
from monitor.core.quantities import quantity_name

__all__ = ["Assignment", "Placed", "assign"]

Placed = tuple[Candidate, float | None]
"""A candidate, and the rank of its sensor's place, also by its topic or tags; None: nothing says."""

_MAX_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Assignment:
    """The features of a group."""

    features: dict[str, Candidate]
    problems: list[str] = field(default_factory=list)
    """Why the group can't be judged: a quantity with more or fewer values than features."""
    guesses: list[str] = field(default_factory=list)
    """What only the order of the names decided."""

    @property
    def is_complete(self) -> bool:
        """Whether each feature has a value."""
        return not self.problems


def assign(candidates: Sequence[Placed], features: Sequence[str]) -> Assignment:
    """Return which value is which feature.

    Values of one quantity are put in the order of their places, then of their names.

    Parameters
    ----------
    features : names of the bundle's features, in order.
    """
    candidates = _without_fahrenheit(candidates)
    found = _assign(candidates, features)
    if found.is_complete:
        return found
    # The same values may be in a message twice, raw and normalised: those of one object may be it.
    prefixes = {c.path[:depth] for c, _ in candidates for depth in range(1, len(c.path))}
    for prefix in sorted(prefixes, key=lambda prefix: (len(prefix), str(prefix))):
        inner = _assign([item for item in candidates if item[0].path[: len(prefix)] == prefix], features)
        if inner.is_complete:
            return inner
    return found


def _assign(candidates: Sequence[Placed], features: Sequence[str]) -> Assignment:
    result = Assignment({})
    chosen: dict[str, Candidate] = {}
    for quantity in dict.fromkeys(map(quantity_name, features)):
        names = [name for name in features if quantity_name(name) == quantity]
        found = [item for item in candidates if item[0].label.quantity == quantity]
        found.sort(key=_sort_key)
        if len(found) != len(names):
            shown = ", ".join(candidate.where for candidate, _ in found[:_MAX_SHOWN]) or "none"
            result.problems.append(f"{quantity}: {len(found)} values for {len(names)} features ({shown})")
            continue
        chosen |= {name: candidate for name, (candidate, _) in zip(names, found, strict=True)}
        if len({place for _, place in found}) < len(found):
            order = ", ".join(
                f"{name} is {candidate.where}" for name, (candidate, _) in zip(names, found, strict=True)
            )
            result.guesses.append(f"by the order of the names: {order}")
    result.features.update({name: chosen[name] for name in features if name in chosen})
    return result


def _sort_key(item: Placed) -> tuple[float, tuple[tuple[int, str], ...], tuple[tuple[int, str], ...]]:
    candidate, place = item
    return (
        float("inf") if place is None else place,
        natural_key(candidate.label.rest),
        natural_key(candidate.where),
    )


def _without_fahrenheit(candidates: Sequence[Placed]) -> Sequence[Placed]:
    """Remove values in degF that stand beside the same in degC."""
    celsius = {
        (c.topic, c.path[:-1], c.tags, c.label.quantity) for c, _ in candidates if not c.label.is_fahrenheit
    }
    return [
        (c, place)
        for c, place in candidates
        if not c.label.is_fahrenheit or (c.topic, c.path[:-1], c.tags, c.label.quantity) not in celsius
    ]
