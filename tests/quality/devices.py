"""Reports the true signal of a plant as devices do: periodically, or when it changed."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitor.core.arrays import FloatArray, IndexArray
from monitor.core.values import Values
from tests.support.training_features import FEATURE_NAMES, FEATURES

__all__ = ["Device", "Reports", "report", "select"]

_RESOLUTION = 0.01
"""Step of the reported values, in the feature's unit."""
_JITTER = 0.02
"""Standard deviation of the time of a periodic report, in intervals."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Device:
    """How devices report their sensors: each sensor by itself, with a phase of its own."""

    interval: float
    """Seconds between two reports. On change: seconds without a change until it reports all the same."""
    deadband: dict[str, float] | None = None
    """Unit -> least change that is reported at once; None: it reports periodically."""


@dataclass(frozen=True)
class Reports:
    """What the devices of a plant report, in the order of time."""

    values: Values
    rows: IndexArray
    """Row of the recording in which each value was measured: (value,)."""


def report(recording: pd.DataFrame, device: Device, seed: int) -> Reports:
    """Return what devices report of a recording, which is their true signal.

    Parameters
    ----------
    recording : readings of one or more groups, at the rate at which the sensors measure.
    seed : of the phases and the jitter.
    """
    rng = np.random.default_rng(seed)
    recording_ts = recording["ts"].to_numpy()
    groups: list[str] = []
    columns: list[tuple[IndexArray, FloatArray, IndexArray, FloatArray]] = []
    for group, rows in recording.groupby("group", sort=True).indices.items():
        ts = recording_ts[rows]
        for index, feature in enumerate(FEATURES):
            signal = recording[FEATURE_NAMES[index]].to_numpy()[rows]
            measured = np.round(np.round(signal / _RESOLUTION) * _RESOLUTION, 6)
            if device.deadband is None:
                times, measurements = _report_periodically(ts, device.interval, rng)
            else:
                deadband = device.deadband[feature.unit]
                measurements = _report_changes(ts, measured, deadband, device.interval, rng)
                times = ts[measurements] + rng.uniform(0, ts[1] - ts[0])
            groups += [str(group)] * len(times)
            columns.append((np.full(len(times), index), times, rows[measurements], measured[measurements]))
    features, times, source_rows, values = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    batch = Values(
        groups=groups,
        features=features,
        ts=times,
        values=values,
        arrived_at=np.full(len(times), np.inf),
        arrived_monotonic=np.zeros(len(times)),
        redelivered=np.zeros(len(times), np.bool_),
    )
    return select(Reports(batch, source_rows), np.argsort(times, kind="stable"))


def select(reports: Reports, selection: IndexArray | NDArray[np.bool_]) -> Reports:
    """Return some of the reports."""
    batch = reports.values  # noqa: PD011, no frame
    positions = np.arange(len(batch.ts))[selection]
    columns = ("features", "ts", "values", "arrived_at", "arrived_monotonic", "redelivered")
    selected = {name: getattr(batch, name)[positions] for name in columns}
    groups = [batch.groups[position] for position in positions.tolist()]
    return Reports(replace(batch, groups=groups, **selected), reports.rows[positions])


def _report_periodically(
    ts: FloatArray, interval: float, rng: np.random.Generator
) -> tuple[FloatArray, IndexArray]:
    """Return the times of the reports, and the index of the newest measurement at each: (report,)."""
    count = int((ts[-1] - ts[0]) / interval)
    intervals = np.arange(count) + rng.uniform(0, 1) + rng.normal(0, _JITTER, count)
    times = ts[0] + np.sort(np.maximum(intervals, 0)) * interval
    return times, np.searchsorted(ts, times, side="right") - 1


def _report_changes(
    ts: FloatArray, measured: FloatArray, deadband: float, heartbeat: float, rng: np.random.Generator
) -> IndexArray:
    """Return the indices of the measurements that are reported: (report,)."""
    reported = [0]
    last_value, last_ts = float(measured[0]), float(ts[0]) - rng.uniform(0, heartbeat)
    for index, (time, value) in enumerate(zip(ts.tolist(), measured.tolist(), strict=True)):
        is_change = abs(value - last_value) >= deadband * (1 - _ROUNDING)
        if index and (is_change or time - last_ts >= heartbeat):
            reported.append(index)
            last_value, last_ts = value, time
    return np.array(reported)
