"""`sensor-training explain`: computes the permutation importance of each feature and step for a bundle."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from monitor import bundle
from monitor.bundle import Manifest
from monitor.core.errors import InvalidInputError
from training.cli import flags
from training.console import task_progress
from training.console.terminal import make_console
from training.data import held_out_windows, output_folder
from training.data.step_names import step_names
from training.evaluate import permutation_importance
from training.evaluate.permutation_importance import Importance

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments: bundle, recordings, output folder, number of shuffles, seed."""
    flags.add_bundle(command, "bundle to explain")
    flags.add_recordings(
        command, "labelled recordings; of those it was trained on, the test part is taken", required=True
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for importance.json and importance.png"
    )
    command.add_argument(
        "--repeats", type=flags.parse_count, default=5, help="shuffles of each part (default: %(default)s)"
    )
    flags.add_seed(command, "the same seed gives the same shuffles")


def run(arguments: argparse.Namespace) -> str:
    """Compute and write the permutation importance; return it as a table.

    Raises
    ------
    InvalidInputError : the bundle or a recording is invalid, or the bundle detects no Faulty window.
    """
    from training.report import importance_plots  # noqa: PLC0415 - matplotlib takes a second to import

    loaded_bundle = bundle.load(arguments.bundle)
    manifest = loaded_bundle.manifest
    data, source, _ = held_out_windows.load_windows(arguments.recording, arguments.bundle, loaded_bundle)
    output_folder.create(arguments.out)
    slice_count = (manifest.steps + 1) * (len(manifest.feature_names) + 1) - 1
    try:
        with task_progress.show_progress("part", slice_count, 0, make_console()) as progress:
            importance = permutation_importance.compute_importance(
                loaded_bundle.scaler,
                loaded_bundle.classifier,
                manifest.threshold,
                data.windows,
                data.faulty,
                repeats=arguments.repeats,
                seed=arguments.seed,
                quantities=manifest.quantities,
                advance=lambda: progress.finish_task(""),
            )
    except ValueError as error:
        raise InvalidInputError(f"{_join_paths(arguments.recording)}: {error}") from error
    steps = step_names(manifest.steps)
    files = {
        "importance.json": _to_json(importance, manifest, steps),
        "importance.png": importance_plots.draw_importance(importance, manifest.features),
    }
    output_folder.write(arguments.out, files)
    return (
        f"{_format_table(importance, manifest, steps)}\non {source}\npicture and numbers in {arguments.out}"
    )


def _join_paths(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))


def _to_json(importance: Importance, manifest: Manifest, steps: list[str]) -> bytes:
    numbers = {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in asdict(importance).items()
    }
    head = {"bundle": manifest.id, "metric": "drop in F1 of Faulty"}
    return json.dumps(
        {**head, "steps": steps, "features": manifest.feature_names, **numbers}, indent=2
    ).encode()


def _format_table(importance: Importance, manifest: Manifest, steps: list[str]) -> str:
    """Format the drops in F1 as a table: a row per step, a column per feature.

    The last column is for whole steps, the last row for whole features.
    """
    head = ["", *manifest.feature_names, "whole step"]
    rows = [
        [name, *map(_format_drop, importance.mean[step], importance.spread[step]), _format_drop(mean, spread)]
        for step, (name, mean, spread) in enumerate(
            zip(steps, importance.step_mean, importance.step_spread, strict=True)
        )
    ]
    last = ["whole feature", *map(_format_drop, importance.feature_mean, importance.feature_spread), ""]
    lines = [" ".join(f"{cell:>15}" for cell in row).rstrip() for row in [head, *rows, last]]
    title = (
        f"drop in F1 of Faulty by shuffling; unshuffled {importance.f1:.4f} on {importance.windows} windows"
    )
    return "\n".join([title, *lines])


def _format_drop(mean: float, spread: float) -> str:
    return f"{mean:.3f} ±{spread:.3f}"
