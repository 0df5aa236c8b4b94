"""Puts the readings of sources whose records have all features together, after they were recorded raw."""

from collections.abc import Sequence

import numpy as np

from monitor.core.readings import Readings
from monitor.core.topics import Template
from monitor.core.values import Values

__all__ = ["ReadingAssembler"]

_Key = tuple[str, str, float, float]
"""Topic, group, event time and arrival of a record."""


class ReadingAssembler:
    """Makes readings of the values of records that have all features. Such values follow each other.

    Parameters
    ----------
    templates : templates of the topics on which such records come.
    features : number of features of a reading.
    """

    def __init__(self, templates: Sequence[Template], features: int) -> None:
        self._templates = templates
        self._features = features
        self._is_complete_by_topic: dict[str, bool] = {}
        self._key: _Key | None = None  # of the record whose values come at present
        self._values: dict[int, float] = {}  # index of the feature -> value
        self.incomplete_count = 0
        """Number of records that lacked a feature."""

    def reads(self, topic: str) -> bool:
        """Return whether records on a topic have all features."""
        found = self._is_complete_by_topic.get(topic)
        if found is None:
            found = any(template.match(topic) is not None for template in self._templates)
            self._is_complete_by_topic[topic] = found
        return found

    def push(self, topics: Sequence[str], values: Values) -> Readings:
        """Return the readings that these values complete.

        Parameters
        ----------
        topics : topic of each value, each of which `reads` accepts: (value,).
        values : values in the order of the recording.
        """
        rows: list[list[float]] = []
        positions: list[int] = []
        columns = zip(
            topics,
            values.groups,
            values.ts.tolist(),
            values.arrived_at.tolist(),
            values.features.tolist(),
            values.values.tolist(),
            strict=True,
        )
        for position, (*key, feature, value) in enumerate(columns):
            if self._key != tuple(key) or feature in self._values:
                self.incomplete_count += bool(self._values)
                self._key, self._values = (*key,), {}
            self._values[feature] = value
            if len(self._values) == self._features:
                row = [value for _, value in sorted(self._values.items())]
                self._values = {}
                if np.isnan(row).any():
                    self.incomplete_count += 1
                else:
                    rows.append(row)
                    positions.append(position)
        return Readings(
            groups=[values.groups[position] for position in positions],
            ts=values.ts[positions],
            values=np.array(rows).reshape(len(rows), self._features),
            arrived_at=values.arrived_at[positions],
            arrived_monotonic=values.arrived_monotonic[positions],
            redelivered=values.redelivered[positions],
            retained=None if values.retained is None else values.retained[positions],
        )
