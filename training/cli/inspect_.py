"""`sensor-training inspect`: shows the weights of a bundle's network layer by layer."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from monitor.bundle import Manifest
from training.cli import flags
from training.data import output_folder
from training.data.step_names import step_names

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments: the bundle, and the folder for table and plots."""
    flags.add_bundle(command, "bundle with model.keras")
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for weights.csv and a picture a layer"
    )


def run(arguments: argparse.Namespace) -> str:
    """Write the table of weights and a plot for each layer; return the table as text."""
    from training.network import weights  # noqa: PLC0415 - matplotlib takes a second to import
    from training.report import weights_plots  # noqa: PLC0415

    manifest, layers = weights.load_layers(arguments.bundle)
    frame = pd.DataFrame(weights.build_weights_table(layers))
    files = {"weights.csv": frame.to_csv(index=False).encode()}
    first = next(number for number, layer in enumerate(layers) if layer.arrays)
    for number, layer in enumerate(layers):
        if layer.arrays:
            inputs = (
                _list_input_names(manifest, len(next(iter(layer.arrays.values())))) if number == first else ()
            )
            files[f"{number:02}_{layer.name}.png"] = weights_plots.draw_layer_weights(number, layer, inputs)
    output_folder.create(arguments.out)
    output_folder.write(arguments.out, files)
    total = int(frame["numbers"].sum())
    shown = frame.drop(columns=["number", "kind"]).to_string(
        index=False, na_rep="", float_format=lambda number: f"{number:.3f}"
    )
    return (
        f"{shown}\n{total:,} trained numbers in {len(layers)} layers; table and pictures in {arguments.out}"
    )


def _list_input_names(manifest: Manifest, count: int) -> Sequence[str]:
    """Return the input names of the first layer.

    They are the features; for a network that judges by sensor, the deviation of one; for a dense network,
    whose input is the flattened window, the features at each step.
    """
    if manifest.judges == "sensor":
        return ["deviation of a sensor"]
    if count == len(manifest.feature_names):
        return manifest.feature_names
    return [f"{step} {name}" for step in step_names(manifest.steps) for name in manifest.feature_names]
