"""`sensor-training fit`: trains a network and writes the bundle."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from monitor.bundle import Manifest
from monitor.core.errors import InvalidInputError
from training.cli import flags
from training.config.settings import FitSettings
from training.data import bundle_folder
from training.data.prepare import prepare
from training.evaluate import bundle_comparison
from training.faults import healthy_recordings

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments: training data, the folder to write, and every setting."""
    flags.add_training_data(command)
    flags.add_recordings(
        command,
        "recordings of a plant at rest, without labels, as `sensor-monitor record` writes them: faults "
        "of all kinds are put into copies of them",
        flag="--healthy",
    )
    command.add_argument(
        "--against-bundle",
        type=Path,
        metavar="DIR",
        help="with --healthy: the bundle to beat on the held-back part (default: the one that comes with the "
        "monitor)",
    )
    flags.add_bundle(command, "folder to write")
    flags.add_settings(command)


def run(arguments: argparse.Namespace) -> str:
    """Train and write the bundle; return a text with its id and metrics.

    Raises
    ------
    InvalidInputError : flags contradict each other, the data are invalid or insufficient, or the folder holds
        something other than a bundle.
    """
    settings = flags.read_settings(arguments)
    bundle_folder.check(arguments.bundle)
    _check_arguments(arguments, settings)
    with ExitStack() as stack:
        healthy = (
            stack.enter_context(healthy_recordings.inject_copies(arguments.healthy, settings.bundle_features))
            if arguments.healthy
            else None
        )
        paths = list(healthy.injected_paths) if healthy else arguments.recording
        prepared = prepare(paths, arguments.windows, settings, healthy.names if healthy else paths)
        reference_folder = arguments.against_bundle or bundle_comparison.find_default_bundle(
            settings.feature_names
        )
        comparison_data = (
            stack.enter_context(bundle_comparison.write_comparison_data(healthy, settings.test_share))
            if healthy and reference_folder
            else None
        )
        name = str(arguments.against_bundle or "the default bundle")
        reference = (
            bundle_comparison.measure_bundle(reference_folder, name, comparison_data)
            if comparison_data and reference_folder
            else None
        )
        from training.console.terminal import make_console  # noqa: PLC0415
        from training.fit.fit import fit  # noqa: PLC0415 - TensorFlow takes seconds: after the checks

        console = make_console()
        if healthy:
            console.print(healthy_recordings.format_summary(healthy))
        manifest = fit(prepared, arguments.bundle, settings, console, healthy)
        lines = [f"{arguments.bundle}: bundle {manifest.id}", *_format_quality(manifest)]
        if comparison_data and reference:
            new_metrics = bundle_comparison.measure_bundle(
                arguments.bundle, "the new bundle", comparison_data
            )
            lines.append(bundle_comparison.format_comparison(new_metrics, reference))
        elif healthy:
            lines.append("the default bundle judges other features: there is nothing to compare with")
        if healthy:
            lines += [f"note: {note}" for note in healthy.notes()]
    return "\n".join(lines)


def _check_arguments(arguments: argparse.Namespace, settings: FitSettings) -> None:
    """Raise an error if flags and settings contradict each other."""
    if arguments.healthy and (arguments.recording or arguments.windows):
        raise InvalidInputError("fit: --healthy goes without --recording and --windows, which have labels")
    if arguments.against_bundle and not arguments.healthy:
        raise InvalidInputError("fit: --against-bundle goes with --healthy")
    if arguments.healthy and (settings.split != "time" or settings.test_share == 0):
        raise InvalidInputError(
            "fit: --healthy holds a part back by time; expected split time and a test_share above 0"
        )


def _format_quality(manifest: Manifest) -> list[str]:
    lines = []
    quality = manifest.quality
    if quality:
        shares = {name: _format_share(quality[name]) for name in ("f1", "precision", "recall", "false_share")}
        lines += ["test part: " + ", ".join(f"{name} {share}" for name, share in shares.items())]
    if quality.get("recall_by_kind"):
        kinds = quality["recall_by_kind"].items()
        lines += ["recall: " + ", ".join(f"{kind} {share:.3f}" for kind, share in kinds)]
    return lines


def _format_share(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
