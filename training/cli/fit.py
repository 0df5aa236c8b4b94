"""`sensor-training fit`: trains a network and writes the bundle."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from monitor.bundle import Manifest
from monitor.core.errors import InvalidInputError
from training.cli import flags
from training.config.settings import FitSettings
from training.data import bundle_folder
from training.data.prepare import PreparedData, prepare
from training.evaluate import bundle_comparison
from training.evaluate.bundle_comparison import BundleMetrics, Comparison, ComparisonData
from training.faults import healthy_recordings
from training.faults.healthy_recordings import HealthyRecordings

if TYPE_CHECKING:
    from training.fit.bundle_contents import BundleContents

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
        "--false-alarms",
        type=Path,
        metavar="F.csv",
        help="readings around false alarms, which the monitor writes (alerts.false_alarms): learnt as Normal",
    )
    command.add_argument(
        "--against-bundle",
        type=Path,
        metavar="DIR",
        help="with --healthy: the bundle to beat on the part held back (default: the one that comes with the "
        "monitor); where the new one doesn't, it is written beside, to DIR-not-better",
    )
    flags.add_bundle(command, "folder to write")
    flags.add_settings(command)


def run(arguments: argparse.Namespace) -> str:
    """Train and write the bundle; return a text with its id and metrics.

    A bundle of healthy recordings that does not beat the one it is compared with is written beside the
    folder, so that the monitor doesn't load it.

    Raises
    ------
    InvalidInputError : flags contradict each other, the data are invalid or insufficient, or the folder holds
        something other than a bundle.
    """
    settings = flags.read_settings(arguments)
    bundle_folder.check(arguments.bundle)
    _check_arguments(arguments, settings)
    if arguments.healthy:
        return _fit_healthy(arguments, settings)
    prepared = prepare(arguments.recording, arguments.windows, settings, false_alarms=arguments.false_alarms)
    contents = _train(prepared, settings)
    return "\n".join(_save(arguments.bundle, contents))


def _fit_healthy(arguments: argparse.Namespace, settings: FitSettings) -> str:
    beside = bundle_folder.beside(arguments.bundle)
    bundle_folder.check(beside)
    reference_folder = arguments.against_bundle or bundle_comparison.find_default_bundle(
        settings.feature_names
    )
    with ExitStack() as stack:
        healthy = stack.enter_context(
            healthy_recordings.inject_copies(arguments.healthy, settings.bundle_features)
        )
        prepared = prepare(healthy.injected_paths, None, settings, healthy.names, arguments.false_alarms)
        notes = [f"note: {note}" for note in healthy.notes()]
        if reference_folder is None:
            contents = _train(prepared, settings, healthy)
            reason = "the default bundle can't judge these features: there is nothing to compare with"
            return "\n".join([*_save(arguments.bundle, contents), reason, *notes])
        data = stack.enter_context(bundle_comparison.write_comparison_data(healthy, settings.test_share))
        name = str(arguments.against_bundle or "the default bundle")
        reference = bundle_comparison.measure_bundle(reference_folder, name, data)
        contents = _train(prepared, settings, healthy)
        comparison = _compare(contents, reference, data)
        folder = arguments.bundle if comparison.is_better else beside
        lines = [
            comparison.verdict,
            *_save(folder, contents, comparison),
            "on the part held back:",
            f"  {comparison.new}",
            f"  {comparison.reference}",
        ]
        if not comparison.is_better:
            lines += [
                bundle_comparison.format_advice(comparison, healthy),
                _format_choice(arguments, beside),
            ]
    return "\n".join([*lines, *notes])


def _train(
    prepared: PreparedData, settings: FitSettings, healthy: HealthyRecordings | None = None
) -> "BundleContents":
    from training.console.terminal import make_console  # noqa: PLC0415
    from training.fit.fit import fit  # noqa: PLC0415 - TensorFlow takes seconds: after the checks

    console = make_console()
    if healthy:
        console.print(healthy_recordings.format_summary(healthy))
    return fit(prepared, settings, console, healthy)


def _compare(contents: "BundleContents", reference: BundleMetrics, data: ComparisonData) -> Comparison:
    """Measure a bundle that isn't saved yet, and compare it with the reference."""
    from training.fit import bundle_contents  # noqa: PLC0415 - TensorFlow

    with TemporaryDirectory(prefix="sensor-training-") as temporary:
        folder = Path(temporary) / "bundle"
        bundle_contents.save_without_report(folder, contents)
        return Comparison(bundle_comparison.measure_bundle(folder, "the new bundle", data), reference)


def _save(folder: Path, contents: "BundleContents", comparison: Comparison | None = None) -> list[str]:
    """Write the bundle; return lines with its id, its quality, and where its report is."""
    from training.fit import bundle_contents  # noqa: PLC0415 - TensorFlow

    manifest = bundle_contents.save(folder, contents, comparison)
    return [
        f"{folder}: bundle {manifest.id}",
        *_format_quality(manifest),
        f"report: {folder / 'report' / 'report.html'}",
    ]


def _format_choice(arguments: argparse.Namespace, beside: Path) -> str:
    """Return how to use the new bundle that was written beside, and how to use the other one."""
    folder = arguments.bundle
    is_there = (folder / "manifest.json").exists()
    state = "still holds the bundle that it held" if is_there else "was not written"
    other = f'"{arguments.against_bundle}"' if arguments.against_bundle else '"" (the default bundle)'
    return (
        f'{folder} {state}; to use the new bundle all the same: bundle = "{beside}" in the settings, or '
        f"`sensor-monitor run --bundle {beside}`; to use the other: bundle = {other}"
    )


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
        names = ("accuracy", "f1", "precision", "recall", "false_share")
        shares = {name: _format_share(quality[name]) for name in names}
        lines += ["test part: " + ", ".join(f"{name} {share}" for name, share in shares.items())]
    if quality.get("recall_by_kind"):
        kinds = quality["recall_by_kind"].items()
        lines += ["recall: " + ", ".join(f"{kind} {share:.3f}" for kind, share in kinds)]
    return lines


def _format_share(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
