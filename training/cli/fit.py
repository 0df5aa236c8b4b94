"""`sensor-training fit`: train, and write the bundle."""

import argparse
from contextlib import ExitStack
from pathlib import Path

from monitor.bundle import Manifest
from training.cli import flags
from training.config.errors import InputError
from training.config.settings import FitSettings
from training.data import bundle_folder
from training.data.prepare import prepare
from training.evaluate import bundle_comparison
from training.faults import healthy_recordings

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add what to learn from, the folder to write, and every setting."""
    flags.add_data(command)
    command.add_argument(
        "--healthy",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="F",
        help="recordings of a plant at rest, without labels, as `sensor-monitor record` writes them: faults "
        "of all kinds are put into copies of them",
    )
    command.add_argument(
        "--against-bundle",
        type=Path,
        metavar="DIR",
        help="with --healthy: the bundle to beat on the held-back part (default: the one that comes with the "
        "monitor)",
    )
    command.add_argument("--bundle", type=flags.folder, required=True, metavar="DIR", help="folder to write")
    flags.add_settings(command)


def run(arguments: argparse.Namespace) -> str:
    """Train and write the bundle; return its id and how good it is."""
    settings = flags.settings(arguments)
    bundle_folder.check(arguments.bundle)
    _check(arguments, settings)
    with ExitStack() as stack:
        found = (
            stack.enter_context(healthy_recordings.labelled(arguments.healthy)) if arguments.healthy else None
        )
        paths = list(found.injected) if found else arguments.recording
        prepared = prepare(paths, arguments.windows, settings)
        rival = arguments.against_bundle or bundle_comparison.packaged()
        trial = (
            stack.enter_context(bundle_comparison.trial(found, settings.test_share))
            if found and rival
            else None
        )
        name = str(arguments.against_bundle or "the default bundle")
        other = bundle_comparison.standing(rival, name, trial) if trial and rival else None
        from training.fit.fit import fit  # noqa: PLC0415 - TensorFlow takes seconds, and mistakes are told before
        from training.network.epoch_progress import console  # noqa: PLC0415

        where = console()
        if found:
            where.print(healthy_recordings.told(found))
        manifest = fit(prepared, arguments.bundle, settings, where, found)
        lines = [f"{arguments.bundle}: bundle {manifest.id}", *_quality(manifest)]
        if trial and other:
            new = bundle_comparison.standing(arguments.bundle, "the new bundle", trial)
            lines.append(bundle_comparison.verdict(new, other))
        if found:
            lines += [f"note: {note}" for note in found.notes()]
    return "\n".join(lines)


def _check(arguments: argparse.Namespace, settings: FitSettings) -> None:
    """Refuse what doesn't go together."""
    if arguments.healthy and (arguments.recording or arguments.windows):
        raise InputError("fit: --healthy goes without --recording and --windows, which have labels")
    if arguments.against_bundle and not arguments.healthy:
        raise InputError("fit: --against-bundle goes with --healthy")
    if arguments.healthy and (settings.split != "time" or settings.test_share == 0):
        raise InputError(
            "fit: --healthy holds a part back by time; expected split time and a test_share above 0"
        )


def _quality(manifest: Manifest) -> list[str]:
    lines = []
    quality = manifest.quality
    if quality:
        shares = {name: _share(quality[name]) for name in ("f1", "precision", "recall", "false_share")}
        lines += ["test part: " + ", ".join(f"{name} {share}" for name, share in shares.items())]
    if quality.get("recall_by_kind"):
        kinds = quality["recall_by_kind"].items()
        lines += ["recall: " + ", ".join(f"{kind} {share:.3f}" for kind, share in kinds)]
    return lines


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.4f}"
