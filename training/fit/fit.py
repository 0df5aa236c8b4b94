"""Trains on prepared windows and makes the bundle. The import of this module takes seconds (TensorFlow)."""

from collections.abc import Mapping

import numpy as np
from rich.console import Console

from monitor.core.errors import InvalidInputError
from monitor.core.quantities import describe_lone_features
from monitor.core.verdicts import FAULTY, NORMAL
from training.config.settings import FitSettings
from training.data import recordings
from training.data.prepare import PreparedData
from training.faults.healthy_recordings import HealthyRecordings
from training.fit import bundle_contents
from training.fit.bundle_contents import BundleContents
from training.network import epoch_progress
from training.network.train import choose_class_weights, train

__all__ = ["fit"]


def fit(
    prepared: PreparedData,
    settings: FitSettings,
    console: Console,
    healthy: HealthyRecordings | None = None,
) -> BundleContents:
    """Train a network and evaluate it; return the bundle to save.

    Parameters
    ----------
    prepared : result of `prepare` with the same settings.
    settings : settings of the training.
    console : the console that shows the progress.
    healthy : the unlabelled recordings of `fit --healthy`; None if the recordings had labels.

    Raises
    ------
    InvalidInputError : the training diverged.
    """
    console.print(_format_summary(prepared, settings))
    console.print(_format_class_weights(choose_class_weights(prepared.train.faulty, settings), settings))
    with epoch_progress.progress_callback(settings.epochs, console) as callback:
        trained = train(prepared, settings, [callback])
    if not np.isfinite(trained.history["val_loss"]).all():
        raise InvalidInputError(
            f"learning_rate {settings.learning_rate:g} lets the weights grow without end, expected less"
        )
    return bundle_contents.build(prepared, trained, settings, healthy)


def _format_class_weights(weights: Mapping[int, float], settings: FitSettings) -> str:
    is_given = isinstance(settings.class_weight, tuple)
    origin = "as given" if is_given else f"class_weight {settings.class_weight}"
    return f"class weights: {NORMAL} {weights[0]:.4f}, {FAULTY} {weights[1]:.4f} ({origin})"


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
        + (
            f"false alarms: {prepared.sources['false_alarm_windows']} windows around them, learnt as Normal\n"
            if "false_alarms" in prepared.sources
            else ""
        )
        + f"outliers: removed {cleaning.removed} of {cleaning.windows} windows looked at, "
        f"{cleaning.removed_faulty} of them Faulty\n"
        "windows: "
        + ", ".join(
            f"{name} {len(dataset)} ({dataset.faulty.sum()} Faulty)" for name, dataset in datasets.items()
        )
    )
