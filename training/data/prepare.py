"""Prepares recordings or labelled windows: the training, validation and test parts, and the scaler."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from monitor.bundle.scaler import Scaler
from monitor.core.arrays import FloatArray
from monitor.core.errors import InvalidInputError
from monitor.core.rules import default_max_gap
from training.config.settings import FitSettings
from training.data import baseline_windows, dataset, recordings, windows_file
from training.data.cleaning import CleaningReport, clean
from training.data.dataset import Dataset
from training.data.features import FEATURE_NAMES

__all__ = ["PreparedData", "prepare"]

# Fewer windows hold too few faults of each kind to learn from.
_MIN_WINDOWS = 300


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """Three parts that share no reading (unless the split is random), and the scaler fitted on the first."""

    train: Dataset
    """The training part, without outliers."""
    validation: Dataset
    """The validation part, which decides when training stops and which settings are best."""
    test: Dataset
    """The test part, on which the bundle is measured; empty if `test_share` is 0."""
    scaler: Scaler
    """Fitted on the Normal windows of `train`."""
    cleaning: CleaningReport
    sample_period: float
    """Seconds between two readings of a group."""
    sources: dict[str, object]
    """Names of the files and groups, and the number of readings, for the manifest."""
    frames: list[pd.DataFrame]
    """The whole recordings; none if there is only a file of windows."""

    @property
    def healthy_readings(self) -> FloatArray:
        """Readings of the Normal windows of `train`, as in `Dataset.windows`: (reading, feature)."""
        return self.train.windows[~self.train.faulty].reshape(-1, len(FEATURE_NAMES))


def prepare(
    paths: Sequence[Path], windows: Path | None, settings: FitSettings, names: Sequence[Path] | None = None
) -> PreparedData:
    """Read, cut into windows, subtract baselines, split, clean, and fit the scaler.

    Parameters
    ----------
    paths : labelled recordings.
    windows : a file of labelled windows, instead of recordings or in addition to them.
    settings : the baseline, and how to split and clean.
    names : what errors call the recordings, where `paths` are copies of them; default: `paths`.

    Raises
    ------
    InvalidInputError : the data can't train a model; the text says why.
    """
    if not paths and windows is None:
        raise InvalidInputError("nothing to train on; expected --recording, --windows or --healthy")
    if windows is not None and settings.baseline != "none":
        raise InvalidInputError(
            f"{windows}: a file of windows lacks the readings that a group's baseline is learnt from; "
            "expected recordings alone, or --baseline none"
        )
    names = names or paths
    source_names = ", ".join(dict.fromkeys(map(str, [*names, *([windows] if windows else [])])))
    frames = [_read_complete(path) for path in paths]
    period = dataset.sample_period(frames) if frames else settings.sample_period
    # Recordings with different sample periods may be trained on together.
    parts = [
        _build_windows(name, frame, dataset.sample_period([frame]))
        for name, frame in zip(names, frames, strict=True)
    ]
    if windows is not None:
        parts.append(windows_file.read(windows, period))
    data = baseline_windows.apply_baseline(
        dataset.concat(parts), baseline_windows.baseline_from_settings(settings)
    )
    remaining, test = dataset.split(data, settings.test_share, settings.split, settings.seed)
    train, validation = dataset.hold_out(remaining, settings.validation_share, settings.split, settings.seed)
    train, cleaning = clean(train, settings)
    _check_trainable(train, validation, source_names, cleaning)
    scaler = _fit_scaler(train, pooled=settings.baseline != "none")
    sources: dict[str, object] = {
        "recordings": [path.name for path in paths],
        "windows_file": windows.name if windows else None,
        "groups": sorted({group for frame in frames for group in frame["group"]}),
        "readings": sum(map(len, frames)),
    }
    return PreparedData(train, validation, test, scaler, cleaning, period, sources, frames)


def _read_complete(path: Path) -> pd.DataFrame:
    """Read a labelled recording that must have a number in every cell of a feature."""
    frame = recordings.read_labelled(path)
    missing = ~np.isfinite(frame[FEATURE_NAMES].to_numpy())  # (reading, feature)
    if missing.any():
        row, column = np.argwhere(missing)[0].tolist()
        raise InvalidInputError(
            f"{path}: row {row + 1}: {FEATURE_NAMES[column]} is empty; expected a number in every row, "
            "or no such row"
        )
    return frame


def _build_windows(path: Path, frame: pd.DataFrame, period: float) -> Dataset:
    try:
        return dataset.build([frame], max_gap=default_max_gap(period))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def _check_trainable(train: Dataset, validation: Dataset, source_names: str, report: CleaningReport) -> None:
    """Raise InvalidInputError if the parts can't train a model."""
    cleaning_text = f" ({report.removed} were removed as outliers)" if report.removed else ""
    if len(train) < _MIN_WINDOWS:
        raise InvalidInputError(
            f"{source_names}: {len(train)} windows to train on{cleaning_text}, "
            f"expected at least {_MIN_WINDOWS}"
        )
    if not len(validation):
        raise InvalidInputError(
            f"{source_names}: no windows are left for the validation; expected a larger share for it"
        )
    if train.faulty.all() or not train.faulty.any():
        class_name = "Faulty" if train.faulty.all() else "Normal"
        raise InvalidInputError(
            f"{source_names}: all windows to train on are {class_name}{cleaning_text}, "
            "expected both Normal and Faulty"
        )
    is_varying = np.ptp(train.raw_windows[~train.faulty], axis=(0, 1)) > 0  # (feature,)
    if not is_varying.all():
        name = FEATURE_NAMES[int(np.argmin(is_varying))]
        raise InvalidInputError(
            f"{source_names}: {name} has one value in all healthy readings, expected it to vary"
        )


def _fit_scaler(train: Dataset, *, pooled: bool) -> Scaler:
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - slow, and `--help` doesn't need it

    # Fitted on healthy readings only: the 0 or 300 of a faulty sensor would stretch the scale so far that all
    # healthy values were nearly equal on it.
    healthy = train.windows[~train.faulty].reshape(-1, len(FEATURE_NAMES))
    if pooled:  # features relative to a baseline are in the same unit: one scale for all keeps it so
        healthy = np.tile(healthy.reshape(-1, 1), len(FEATURE_NAMES))
    standard_scaler = StandardScaler().fit(healthy)
    return Scaler.from_numbers(standard_scaler.mean_.tolist(), standard_scaler.scale_.tolist())
