"""Recordings -> bundle."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import python_version

import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

import monitor
from monitor import bundle
from monitor.classifier import Classifier
from monitor.scaler import Scaler
from training import dataset, evaluate, export, network, progress, recordings
from training.backend import keras
from training.dataset import STEPS, Dataset
from training.errors import InputError
from training.quiet import quiet
from training.recordings import FEATURES, NAMES
from training.settings import FitSettings

__all__ = ["fit"]

THRESHOLD = 0.5
# Fewer windows than this hold too few episodes of each kind of fault to learn from.
_FEWEST_WINDOWS = 300
_MAX_GAP_PERIODS = 3


def fit(paths: Sequence[Path], folder: Path, settings: FitSettings, console: Console) -> bundle.Manifest:
    """Train on recordings and write the bundle.

    Parameters
    ----------
    paths : labelled recordings, as `inject` writes them.
    folder : the bundle's; replaced whole if it is there.
    console : where progress is shown.

    Raises
    ------
    InputError : the recordings can't train a model, with the reason.
    """
    _check_folder(folder)
    frames, left_out = _read(paths)
    if left_out:
        console.print(f"left out {left_out} readings with a missing value")
    period = dataset.sample_period(frames)
    data = dataset.build(frames, max_gap=_MAX_GAP_PERIODS * period)
    train, test = dataset.split(data, settings.test_share)
    _check(train, ", ".join(map(str, paths)))
    healthy = train.windows[~train.faulty].reshape(-1, len(NAMES))  # (reading, feature)

    # Of the healthy readings only: a sensor that reads 0 or 300 would stretch the scale until all that a
    # healthy one does is a sliver of it.
    fitted = StandardScaler().fit(healthy)
    scaler = Scaler.of(fitted.mean_.tolist(), fitted.scale_.tolist())
    model = _train(train, scaler, settings, console)
    onnx = export.to_onnx(model)

    manifest = bundle.Manifest(
        id=bundle.identify(network.weights(model), scaler, FEATURES, STEPS, THRESHOLD),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        features=FEATURES,
        steps=STEPS,
        sample_period=period,
        threshold=THRESHOLD,
        ranges={
            name: (float(column.min()), float(column.max()))
            for name, column in zip(NAMES, healthy.T, strict=True)
        },
        data=_describe(paths, frames, left_out, train, test, settings),
        quality=_measure(onnx, scaler, test) if len(test) else {},
        versions=_versions(),
    )
    golden = export.golden(model, scaler, data)
    bundle.save(folder, manifest, onnx, scaler, golden, {"model.keras": export.to_keras_file(model)})
    return bundle.load(folder).manifest


def _read(paths: Sequence[Path]) -> tuple[list[pd.DataFrame], int]:
    """Return the recordings without the readings that have a missing value, and how many those were."""
    frames = []
    left_out = 0
    for path in paths:
        frame = recordings.read(path)
        if "label" not in frame.columns:
            raise InputError(f"{path}: has no column label; expected 1 (Normal) or -1 (Faulty) in each row")
        usable = recordings.complete(frame)
        left_out += int((~usable).sum())
        frames.append(frame[usable])
    return frames, left_out


def _check_folder(folder: Path) -> None:
    """Refuse to replace what is no bundle: the folder's old content is deleted."""
    if folder.exists() and not (folder / "manifest.json").exists() and not _is_empty_folder(folder):
        raise InputError(f"{folder}: is no bundle; expected a new or empty folder, or a bundle to replace")


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _check(train: Dataset, where: str) -> None:
    """Refuse what can't train a model."""
    if len(train) < _FEWEST_WINDOWS:
        raise InputError(f"{where}: {len(train)} windows to train on, expected at least {_FEWEST_WINDOWS}")
    if train.faulty.all() or not train.faulty.any():
        only = "Faulty" if train.faulty.all() else "Normal"
        raise InputError(f"{where}: all windows to train on are {only}, expected both Normal and Faulty")
    varies = np.ptp(train.windows[~train.faulty], axis=(0, 1)) > 0  # (feature,)
    if not varies.all():
        name = NAMES[int(np.argmin(varies))]
        raise InputError(f"{where}: {name} has one value in all healthy readings, expected it to vary")


def _train(train: Dataset, scaler: Scaler, settings: FitSettings, console: Console) -> keras.Model:
    truth = train.faulty.astype(np.int64)
    weights = compute_class_weight("balanced", classes=np.array([0, 1]), y=truth)
    batches = -(-len(train) // settings.batch_size)
    with quiet(), progress.shown(settings.epochs, console) as callback:
        network.make_repeatable(settings.seed)
        model = network.build(STEPS, len(NAMES), settings.learning_rate, batches * settings.epochs)
        model.fit(
            scaler.transform(train.windows),
            truth,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            class_weight={0: weights[0], 1: weights[1]},
            callbacks=[callback],
            verbose=0,
        )
    return model


def _measure(onnx: bytes, scaler: Scaler, test: Dataset) -> dict[str, object]:
    """Judge the test part as the monitor will: with the exported model."""
    scores = Classifier(onnx, STEPS, len(NAMES)).score(scaler.transform(test.windows))
    return evaluate.measure(test, scores > THRESHOLD).as_dict()


def _describe(
    paths: Sequence[Path],
    frames: Sequence[pd.DataFrame],
    left_out: int,
    train: Dataset,
    test: Dataset,
    settings: FitSettings,
) -> dict[str, object]:
    return {
        "recordings": [path.name for path in paths],
        "groups": sorted({group for frame in frames for group in frame["group"]}),
        "readings": sum(map(len, frames)),
        "left_out": left_out,
        "train": {"windows": len(train), "faulty": int(train.faulty.sum())},
        "test": {"windows": len(test), "faulty": int(test.faulty.sum())},
        **asdict(settings),
    }


def _versions() -> dict[str, str]:
    libraries = ("keras", "numpy", "onnxruntime", "pandas", "scikit-learn", "tensorflow", "tf2onnx")
    return {
        "sensor-monitor": monitor.__version__,
        "python": python_version(),
        **{name: metadata.version(name) for name in libraries},
    }
