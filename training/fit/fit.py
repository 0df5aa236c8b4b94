"""Trains on prepared windows and writes the bundle. The import of this module takes seconds (TensorFlow)."""

from pathlib import Path

import numpy as np
from rich.console import Console

from monitor import bundle
from monitor.core.errors import InvalidInputError
from monitor.core.quantities import describe_lone_features
from training.config.settings import FitSettings
from training.data import bundle_folder, recordings
from training.data.prepare import PreparedData
from training.faults.healthy_recordings import HealthyRecordings
from training.fit import bundle_contents
from training.network import epoch_progress
from training.network.train import train

__all__ = ["fit"]


def fit(
    prepared: PreparedData,
    folder: Path,
    settings: FitSettings,
    console: Console,
    healthy: HealthyRecordings | None = None,
) -> bundle.Manifest:
    """Train a network, evaluate it, and write the bundle.

    Parameters
    ----------
    prepared : result of `prepare` with the same settings.
    folder : the folder of the bundle; an existing bundle in it is replaced.
    settings : settings of the training.
    console : the console that shows the progress.
    healthy : the unlabelled recordings of `fit --healthy`; None if the recordings had labels.

    Raises
    ------
    InvalidInputError : the folder holds something other than a bundle, or the training diverged.
    """
    bundle_folder.check(folder)
    console.print(_format_summary(prepared, settings))
    with epoch_progress.progress_callback(settings.epochs, console) as callback:
        trained = train(prepared, settings, [callback])
    if not np.isfinite(trained.history["val_loss"]).all():
        raise InvalidInputError(
            f"learning_rate {settings.learning_rate:g} lets the weights grow without end, expected less"
        )
    return bundle_contents.write(folder, prepared, trained, settings, healthy)


def _format_summary(prepared: PreparedData, settings: FitSettings) -> str:
    cleaning = prepared.cleaning
    ignored = sorted(
        {
            name
            for frame in prepared.frames
            for name in recordings.ignored_columns(frame, settings.feature_names)
        }
    )
    datasets = {"training": prepared.train, "validation": prepared.validation, "test": prepared.test}
    notes = describe_lone_features(settings.feature_names, settings.quantities)
    return (
        "".join(f"note: {note}\n" for note in notes)
        + (f"columns that are not used: {', '.join(ignored)}\n" if ignored else "")
        + f"outliers: removed {cleaning.removed} of {cleaning.windows} windows looked at, "
        f"{cleaning.removed_faulty} of them Faulty\n"
        "windows: "
        + ", ".join(
            f"{name} {len(dataset)} ({dataset.faulty.sum()} Faulty)" for name, dataset in datasets.items()
        )
    )
