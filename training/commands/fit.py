"""`sensor-training fit`: train, and write the bundle."""

import argparse
from pathlib import Path

from training import flags, target
from training.prepare import prepare

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add what to learn from, the folder to write, and every setting."""
    flags.add_data(command)
    command.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="folder to write")
    flags.add_settings(command)


def run(arguments: argparse.Namespace) -> str:
    """Train and write the bundle; return its id and how good it is."""
    settings = flags.settings(arguments)
    target.check(arguments.bundle)
    prepared = prepare(arguments.recording, arguments.windows, settings)
    from training.fit import fit  # noqa: PLC0415 - TensorFlow takes seconds, and mistakes are told before
    from training.progress import console  # noqa: PLC0415

    manifest = fit(prepared, arguments.bundle, settings, console())
    lines = [f"{arguments.bundle}: bundle {manifest.id}"]
    quality = manifest.quality
    if quality:
        shares = {name: _share(quality[name]) for name in ("f1", "precision", "recall", "false_share")}
        lines += ["test part: " + ", ".join(f"{name} {share}" for name, share in shares.items())]
    if quality.get("recall_by_kind"):
        kinds = quality["recall_by_kind"].items()
        lines += ["recall: " + ", ".join(f"{kind} {share:.3f}" for kind, share in kinds)]
    return "\n".join(lines)


def _share(share: float | None) -> str:
    return "none" if share is None else f"{share:.4f}"
