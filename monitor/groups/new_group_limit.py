"""Limits how many groups a plant at work may gain: invented names must neither delay it nor fill memory."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from monitor.core.readings import Outcome, Readings, RejectedReading
from monitor.core.values import RejectedValue, ValueOutcome, Values
from monitor.core.verdicts import State
from monitor.groups.state import GroupStates
from monitor.ingest.decoded_messages import DecodedMessages

__all__ = ["NewGroupLimit"]

_Batch = TypeVar("_Batch", Readings, Values)

# Groups that a plant may gain at once, if that is more than it has. A new group costs eight times as much as
# a reading, and its first nine readings give no verdict: one that has to wait for its turn misses little.
_MIN_BURST = 1000
# Seconds in which it may gain as many again.
_REFILL_S = 600.0
_REASON = "a new group: more of them came than the plant has, expected at most as many again in 10 minutes"


class NewGroupLimit:
    """Drops the readings and values of new groups beyond the limit; those of known groups always pass.

    A plant without any judged group has no limit, because all of its groups are new.

    Parameters
    ----------
    groups : the known groups.
    """

    def __init__(self, groups: GroupStates) -> None:
        self._groups = groups
        self._used = 0.0  # groups
        self._used_at = 0.0  # monotonic seconds

    def apply(self, decoded: DecodedMessages, now: float) -> DecodedMessages:
        """Return what may be judged; the rest is among the rejected, with the outcome `excess`.

        Parameters
        ----------
        now : monotonic seconds.
        """
        counts = self._groups.state_counts
        established = counts[State.NORMAL] + counts[State.FAULTY]
        if not established:
            return decoded
        names = set(decoded.readings.groups)
        if decoded.values is not None:
            names.update(decoded.values.groups)
        new_groups = self._groups.find_new(names, now)
        if not new_groups:
            return decoded
        burst = max(_MIN_BURST, established)
        self._used = max(0.0, self._used - (now - self._used_at) * burst / _REFILL_S)
        self._used_at = now
        room = max(0, int(burst - self._used))
        if len(new_groups) <= room:
            self._used += len(new_groups)
            return decoded
        self._used += room
        return _drop(decoded, new_groups.difference(islice(new_groups, room)))


def _drop(decoded: DecodedMessages, groups: set[str]) -> DecodedMessages:
    """Return the batch without the readings and values of some groups."""
    is_kept = _find_others(decoded.readings.groups, groups)
    rejected = RejectedReading(Outcome.EXCESS, next(iter(groups)), _REASON)
    result = replace(
        decoded,
        readings=_take(decoded.readings, is_kept),
        # One object, so that the log writes it once.
        rejected=[*decoded.rejected, *[rejected] * int(np.count_nonzero(~is_kept))],
    )
    if decoded.values is None:
        return result
    is_kept = _find_others(decoded.values.groups, groups)
    rejected_value = RejectedValue(ValueOutcome.EXCESS, rejected.source, _REASON)
    return replace(
        result,
        values=_take(decoded.values, is_kept),
        rejected_values=[*decoded.rejected_values, *[rejected_value] * int(np.count_nonzero(~is_kept))],
        message_indices=np.array(decoded.message_indices, np.intp)[is_kept].tolist(),
    )


def _find_others(names: Sequence[str], groups: set[str]) -> NDArray[np.bool_]:
    return np.fromiter((name not in groups for name in names), np.bool_, len(names))


def _take(batch: _Batch, is_kept: NDArray[np.bool_]) -> _Batch:
    """Return the rows of a batch that are kept (row,)."""
    columns = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
    kept = {name: column[is_kept] for name, column in columns.items() if isinstance(column, np.ndarray)}
    names = [name for name, flag in zip(batch.groups, is_kept.tolist(), strict=True) if flag]
    return replace(batch, groups=names, **kept)
