"""The part of some recordings that a bundle wasn't trained on: a model is not measured on what it learnt."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from monitor.bundle import Bundle, Golden
from monitor.core.rules import default_max_gap
from training.config.errors import InputError
from training.config.settings import FitSettings
from training.data import dataset, recordings, relative_windows
from training.data.dataset import Dataset
from training.data.prepare import prepare

__all__ = ["settings", "unseen"]

# A calm hour may repeat a window by chance; a training part repeats far more of them.
_KNOWN = 0.1


def settings(judge: Bundle) -> FitSettings:
    """Return how a bundle was trained, from its manifest."""
    return FitSettings.model_validate(judge.manifest.data["settings"])


def unseen(paths: Sequence[Path], folder: Path, judge: Bundle) -> tuple[Dataset, str]:
    """Return the windows to measure a bundle on, and a line on which they are.

    Where it was trained on these recordings, that is their test part; else all of them. Whether it was is
    told by the examples in the bundle, which are windows of its training part.

    Parameters
    ----------
    paths : labelled recordings.
    folder, judge : the bundle.

    Raises
    ------
    InputError : there is no window that it wasn't trained on, or none can be told apart.
    """
    if list(judge.manifest.names) != recordings.NAMES:
        raise InputError(f"{folder}: judges {list(judge.manifest.names)}, expected {recordings.NAMES}")
    where = ", ".join(map(str, paths))
    frames = [_read(path) for path in paths]
    cut = dataset.build(frames, default_max_gap(judge.manifest.sample_period))
    data = relative_windows.shown(cut, judge.manifest.baseline)
    if not _is_known(data, folder):
        return data, f"all {len(data):,} windows of {where}"
    chosen = settings(judge)
    prepared = prepare(paths, None, chosen)
    same = np.array_equal(prepared.scaler.mean, judge.scaler.mean)
    if not len(prepared.test) or (chosen.split == "random" and not same):
        raise InputError(
            f"{where}: the bundle was trained on windows of it, and which ones it hasn't seen can't be told; "
            "expected a recording that it wasn't trained on"
        )
    return (
        prepared.test,
        f"the test part, {len(prepared.test):,} windows, of {where}; it was trained on the rest",
    )


def _read(path: Path) -> pd.DataFrame:
    frame = recordings.read(path)
    if "label" not in frame.columns:
        raise InputError(
            f"{path}: has no column label; expected 1 (Normal) or -1 (Faulty) in each row, as "
            "`sensor-training inject` writes them"
        )
    return frame[recordings.complete(frame)]


def _is_known(data: Dataset, folder: Path) -> bool:
    examples = msgspec.json.decode((folder / "golden.json").read_bytes(), type=Golden)
    learnt = {np.array(window).tobytes() for window in examples.windows}
    found = learnt & {window.tobytes() for window in data.raw}
    return len(found) >= _KNOWN * len(learnt)
