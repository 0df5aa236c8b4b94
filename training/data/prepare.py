"""Prepares recordings or labelled windows: training, validation and test set, and the fitted scaler."""

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
from training.data import baseline_windows, dataset, false_alarm_readings, recordings, windows_file
from training.data.cleaning import CleaningReport, clean
from training.data.dataset import Dataset

__all__ = ["PreparedData", "prepare"]

# Minimum number of training windows. A smaller training set has too few faults of each kind.
_MIN_WINDOWS = 300


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """Training, validation and test set, and the scaler fitted on the training set.

    The sets have no reading in common, unless the split is random.
    """

    train: Dataset
    """The training set, without outliers."""
    validation: Dataset
    """The validation set, which decides when training stops and which settings are best."""
    test: Dataset
    """The test set, on which the bundle is evaluated; empty if `test_share` is 0."""
    scaler: Scaler
    """Fitted on the Normal windows of `train`."""
    cleaning: CleaningReport
    sample_period: float
    """Seconds between two readings of a group."""
    sources: dict[str, object]
    """File names, group names and number of readings, for the manifest."""
    frames: list[pd.DataFrame]
    """The complete recordings; empty if there is only a windows file."""

    @property
    def healthy_readings(self) -> FloatArray:
        """Readings of the Normal training windows, scaled like `Dataset.windows`: (reading, feature)."""
        return self.train.windows[~self.train.faulty].reshape(-1, self.train.windows.shape[2])


def prepare(
    paths: Sequence[Path],
    windows: Path | None,
    settings: FitSettings,
    names: Sequence[Path] | None = None,
    false_alarms: Path | None = None,
) -> PreparedData:
    """Read the data, cut windows, apply baselines, split, remove outliers, and fit the scaler.

    Parameters
    ----------
    paths : labelled recordings.
    windows : a file of labelled windows, instead of recordings or in addition to them.
    settings : those for features, steps, baseline, split and cleaning are used.
    names : names of the recordings in error messages, if `paths` are copies of them; None: `paths`.
    false_alarms : readings around false alarms, as the monitor writes them. All their windows are added to
        the training set; scaler, cleaning and the other sets are what they are without them.

    Raises
    ------
    InvalidInputError : the data are invalid, or insufficient to train a model.
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
    frames = [_read_complete(path, settings.feature_names) for path in paths]
    period = dataset.compute_sample_period(frames) if frames else settings.sample_period
    # Each recording has its own sample period.
    datasets = [_build_windows(name, frame, settings) for name, frame in zip(names, frames, strict=True)]
    if windows is not None:
        datasets.append(windows_file.read(windows, settings.feature_names, settings.steps, period))
    data = baseline_windows.apply_baseline(
        dataset.concat(datasets),
        settings.quantities,
        baseline_windows.baseline_from_settings(settings),
        settings.judges,
    )
    remaining, test = dataset.split(data, settings.test_share, settings.split, settings.seed)
    train, validation = dataset.hold_out(remaining, settings.validation_share, settings.split, settings.seed)
    train, cleaning = clean(train, settings)
    if not data.faulty.any():
        raise InvalidInputError(
            f"{source_names}: no reading has the label Faulty (-1), expected some; put faults into a copy "
            "with `sensor-training inject`, or train on healthy ones with `sensor-training fit --healthy`"
        )
    _check_trainable(train, validation, source_names, cleaning, settings.feature_names)
    scaler = _fit_scaler(train, pooled=settings.baseline != "none")
    known = train[:0] if false_alarms is None else false_alarm_readings.read_windows(false_alarms, settings)
    # Not cleaned: to a rule that looks at single values, a false alarm is an outlier.
    train = dataset.concat([train, known])
    # Copies of a recording have its name and are one recording: the manifest tells what the user gave.
    first_frames = {str(name): frame for name, frame in reversed(list(zip(names, frames, strict=True)))}
    sources: dict[str, object] = {
        "recordings": [Path(name).name for name in dict.fromkeys(map(str, names))],
        "windows_file": windows.name if windows else None,
        "groups": sorted({group for frame in frames for group in frame["group"]}),
        "readings": sum(map(len, first_frames.values())),
        **({"false_alarms": false_alarms.name, "false_alarm_windows": len(known)} if false_alarms else {}),
    }
    return PreparedData(train, validation, test, scaler, cleaning, period, sources, frames)


def _read_complete(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Read a labelled recording; raise an error if any feature cell is empty."""
    frame = recordings.read_labelled(path, names)
    missing = ~np.isfinite(frame[list(names)].to_numpy())  # (reading, feature)
    if missing.any():
        row, column = np.argwhere(missing)[0].tolist()
        raise InvalidInputError(
            f"{path}: row {row + 1}: {names[column]} is empty; expected a number in every row, or no such row"
        )
    return frame


def _build_windows(path: Path, frame: pd.DataFrame, settings: FitSettings) -> Dataset:
    max_gap = default_max_gap(dataset.compute_sample_period([frame]))
    try:
        return dataset.build([frame], settings.feature_names, steps=settings.steps, max_gap=max_gap)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def _check_trainable(
    train: Dataset, validation: Dataset, source_names: str, report: CleaningReport, names: Sequence[str]
) -> None:
    """Raise InvalidInputError if training set or validation set are insufficient."""
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
        name = names[int(np.argmin(is_varying))]
        raise InvalidInputError(
            f"{source_names}: {name} has one value in all healthy readings, expected it to vary"
        )


def _fit_scaler(train: Dataset, *, pooled: bool) -> Scaler:
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415 - slow, and `--help` doesn't need it

    # Fitted on healthy readings only: values of a faulty sensor, such as 0 or 300, would increase the
    # standard deviation so much that all healthy values would be nearly equal after scaling.
    features = train.windows.shape[2]
    healthy = train.windows[~train.faulty].reshape(-1, features)
    if pooled:
        # Relative to a baseline, all features have the same unit, which a common mean and scale preserve.
        healthy = np.tile(healthy.reshape(-1, 1), features)
    standard_scaler = StandardScaler().fit(healthy)
    return Scaler.from_numbers(standard_scaler.mean_.tolist(), standard_scaler.scale_.tolist())
