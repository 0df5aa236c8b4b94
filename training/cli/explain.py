"""`sensor-training explain`: say what a bundle's verdicts depend on."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console

from monitor import bundle
from monitor.bundle import BundleError, Manifest
from training.cli import flags
from training.config.errors import InputError
from training.console import task_progress
from training.data import output_folder, unseen
from training.evaluate import permutation_importance
from training.evaluate.permutation_importance import Importance

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add the bundle, the readings to judge, and how often to shuffle."""
    command.add_argument(
        "--bundle", type=flags.folder, required=True, metavar="DIR", help="bundle to explain"
    )
    command.add_argument(
        "--recording",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="F",
        help="labelled recordings; of those it was trained on, the test part is taken",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for importance.json and importance.png"
    )
    command.add_argument(
        "--repeats", type=flags.count, default=5, help="shuffles of each part (default: %(default)s)"
    )
    flags.add_seed(command, "the same seed gives the same shuffles")


def run(arguments: argparse.Namespace) -> str:
    """Measure and write importances; return them as a table."""
    from training.report import model_plots  # noqa: PLC0415 - matplotlib takes a while

    try:
        judge = bundle.load(arguments.bundle)
    except BundleError as error:
        raise InputError(str(error)) from error
    manifest = judge.manifest
    data, which = unseen.unseen(arguments.recording, arguments.bundle, judge)
    output_folder.prepare(arguments.out)
    parts = (manifest.steps + 1) * (len(manifest.names) + 1) - 1
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        with task_progress.counted("part", parts, 0, console) as progress:
            found = permutation_importance.importance(
                judge.scaler,
                judge.classifier,
                manifest.threshold,
                data.windows,
                data.faulty,
                repeats=arguments.repeats,
                seed=arguments.seed,
                advance=lambda: progress.done(""),
            )
    except ValueError as error:
        raise InputError(f"{_named(arguments.recording)}: {error}") from error
    steps = model_plots.step_names(manifest.steps)
    files = {
        "importance.json": _json(found, manifest, steps),
        "importance.png": model_plots.importance(found, manifest.features),
    }
    output_folder.write(arguments.out, files)
    return f"{_table(found, manifest, steps)}\non {which}\npicture and numbers in {arguments.out}"


def _named(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def _json(found: Importance, manifest: Manifest, steps: list[str]) -> bytes:
    numbers = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(found).items()
    }
    head = {"bundle": manifest.id, "metric": "drop in F1 of Faulty"}
    return json.dumps({**head, "steps": steps, "features": manifest.names, **numbers}, indent=2).encode()


def _table(found: Importance, manifest: Manifest, steps: list[str]) -> str:
    """Return the drops as text: a line a step, with the whole step last and whole features below."""
    head = ["", *manifest.names, "whole step"]
    rows = [
        [name, *map(_entry, found.mean[step], found.spread[step]), _entry(mean, spread)]
        for step, (name, mean, spread) in enumerate(
            zip(steps, found.step_mean, found.step_spread, strict=True)
        )
    ]
    last = ["whole feature", *map(_entry, found.feature_mean, found.feature_spread), ""]
    lines = [" ".join(f"{cell:>15}" for cell in row).rstrip() for row in [head, *rows, last]]
    about = f"drop in F1 of Faulty by shuffling; unshuffled {found.f1:.4f} on {found.windows} windows"
    return "\n".join([about, *lines])


def _entry(mean: float, spread: float) -> str:
    return f"{mean:.3f} ±{spread:.3f}"
