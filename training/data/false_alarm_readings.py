"""Reads the readings around false alarms, which the monitor writes, as Normal windows."""

from pathlib import Path

from monitor.core.errors import InvalidInputError
from monitor.core.rules import default_max_gap
from training.config.settings import FitSettings
from training.data import baseline_windows, dataset, recordings
from training.data.dataset import Dataset

__all__ = ["read_windows"]


def read_windows(path: Path, settings: FitSettings) -> Dataset:
    """Return the windows of the readings around false alarms, each group with its own baseline.

    Parameters
    ----------
    settings : features, steps and baseline are used.

    Raises
    ------
    InvalidInputError : the file can't be read, has a Faulty label, or holds no window with a baseline.
    """
    frame = recordings.read_labelled(path, settings.feature_names)
    if (frame["label"] == recordings.FAULTY_LABEL).any():
        raise InvalidInputError(
            f"{path}: has Faulty labels; expected what the monitor wrote, labelled Normal"
        )
    # The readings around two incidents may overlap, and an earlier incident may have been reported later.
    frame = frame.drop_duplicates(["group", "ts"]).sort_values("ts", kind="stable", ignore_index=True)
    max_gap = default_max_gap(dataset.compute_sample_period([frame]))
    data = baseline_windows.apply_baseline(
        dataset.build([frame], settings.feature_names, steps=settings.steps, max_gap=max_gap),
        settings.quantities,
        baseline_windows.baseline_from_settings(settings),
        settings.judges,
    )
    if not len(data):
        raise InvalidInputError(
            f"{path}: no false alarm has enough readings before it to learn a baseline; expected at least 10 "
            "of a group, or --baseline none"
        )
    return data
