"""Selects the windows on which a bundle can be evaluated: those on which it was not trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from monitor.bundle import Bundle, GoldenFile
from monitor.core.errors import InvalidInputError
from monitor.core.rules import default_max_gap
from training.config.settings import FitSettings
from training.data import baseline_windows, dataset, recordings
from training.data.dataset import Dataset
from training.data.prepare import prepare

__all__ = ["HeldOutWindows", "load_windows", "read_training_settings"]

# A recording is treated as training data if it contains at least this share of the golden windows. In a calm
# hour a window may equal a golden window by chance; the training data contain far more of them.
_MIN_KNOWN_SHARE = 0.1


class HeldOutWindows(NamedTuple):
    """The windows on which a bundle can be evaluated."""

    data: Dataset
    description: str
    """Which windows they are, for users."""
    drawn_at_random: bool
    """Whether they are the test set of a random split."""


def read_training_settings(bundle: Bundle) -> FitSettings:
    """Return the training settings that are stored in the manifest of a bundle."""
    return FitSettings.model_validate(bundle.manifest.data["settings"])


def load_windows(paths: Sequence[Path], folder: Path, bundle: Bundle) -> HeldOutWindows:
    """Return the windows on which to evaluate a bundle.

    If the bundle was trained on these recordings, the function returns the test set, else all windows. It
    compares the windows with the golden windows in `golden.json` of the bundle, which are windows of the
    training set.

    Parameters
    ----------
    paths : labelled recordings.
    folder, bundle : the bundle's folder, and the loaded bundle.

    Raises
    ------
    InvalidInputError : the bundle was trained on all windows, or the training windows cannot be identified.
    """
    manifest = bundle.manifest
    names = manifest.feature_names
    source_names = ", ".join(map(str, paths))
    frames = []
    for path in paths:
        frame = recordings.read_labelled(path, names)
        recordings.check_complete(path, frame, names)
        frames.append(frame[recordings.complete_mask(frame, names)])
    raw_data = dataset.build(
        frames, names, steps=manifest.steps, max_gap=default_max_gap(manifest.sample_period)
    )
    data = baseline_windows.apply_baseline(raw_data, manifest.quantities, manifest.baseline, manifest.judges)
    if not _is_training_data(data, folder):
        return HeldOutWindows(data, f"all {len(data):,} windows of {source_names}", drawn_at_random=False)
    fit_settings = read_training_settings(bundle)
    prepared = prepare(paths, None, fit_settings)
    is_same_scaler = np.array_equal(prepared.scaler.mean, bundle.scaler.mean)
    if not len(prepared.test) or (fit_settings.split == "random" and not is_same_scaler):
        raise InvalidInputError(
            f"{source_names}: the bundle was trained on windows of it, and which ones it hasn't seen "
            "can't be told; expected a recording that it wasn't trained on"
        )
    return HeldOutWindows(
        prepared.test,
        f"the test part, {len(prepared.test):,} windows, of {source_names}; it was trained on the rest",
        drawn_at_random=fit_settings.split == "random",
    )


def _is_training_data(data: Dataset, folder: Path) -> bool:
    examples = msgspec.json.decode((folder / "golden.json").read_bytes(), type=GoldenFile)
    golden_windows = {np.array(window).tobytes() for window in examples.windows}
    known = golden_windows & {window.tobytes() for window in data.raw_windows}
    return len(known) >= _MIN_KNOWN_SHARE * len(golden_windows)
