"""`sensor-training evaluate`: evaluates a bundle, and compares it with other classifiers."""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from monitor import bundle
from monitor.bundle import Bundle
from monitor.bundle.model_input import DeviationTransform
from monitor.core.errors import InvalidInputError
from monitor.core.verdicts import FAULTY, NORMAL
from training.cli import flags
from training.data import output_folder
from training.network.tensorflow_check import require_tensorflow

__all__ = ["configure", "run"]


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments: the bundle, and the recordings or the window to evaluate."""
    flags.add_bundle(command, "bundle to evaluate")
    flags.add_recordings(
        command, "labelled recordings; of those that the bundle was trained on, only the test part is judged"
    )
    command.add_argument(
        "--window",
        type=_parse_window,
        metavar="V,V,...",
        help="judge one window, oldest reading first, as in --window=27.49,67.81,...; a bundle "
        "with a baseline judges it by the baseline that was usual in training",
    )
    command.add_argument(
        "--against",
        action="store_true",
        help="train other classifiers on the same training part, split by time and at random; takes minutes",
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="folder for evaluation.json and pictures")


def run(arguments: argparse.Namespace) -> str:
    """Judge one window, or evaluate the bundle on recordings; return the verdict or the report as text.

    Raises
    ------
    InvalidInputError : flags contradict each other, or the bundle or a recording is invalid.
    """
    if (arguments.window is None) == (not arguments.recording):
        raise InvalidInputError("evaluate: expected either --recording or --window")
    if arguments.window is not None and (arguments.against or arguments.out):
        raise InvalidInputError("evaluate: --against and --out go with --recording, not with --window")
    if arguments.against:
        require_tensorflow()
    loaded_bundle = bundle.load(arguments.bundle)
    if arguments.window is not None:
        return _judge_window(arguments.window, loaded_bundle)
    return _evaluate_recordings(arguments, loaded_bundle)


def _judge_window(values: list[float], loaded_bundle: Bundle) -> str:
    manifest = loaded_bundle.manifest
    shape = (1, manifest.steps, len(manifest.feature_names))
    if len(values) != math.prod(shape):
        raise InvalidInputError(
            f"--window: {len(values)} values, expected {math.prod(shape)}: {manifest.steps} readings of "
            f"{', '.join(manifest.feature_names)}, oldest first"
        )
    window = np.array(values).reshape(shape)  # (1, step, feature)
    if manifest.baseline is not None:
        window = DeviationTransform(manifest.quantities, judges=manifest.judges).transform(
            window, np.array([manifest.data["normal"]])
        )
    scaled = loaded_bundle.scaler.transform(window)
    score = float(loaded_bundle.classifier.score(scaled)[0])
    label = FAULTY if score > manifest.threshold else NORMAL
    return f"score {score:.6f}  {label}  (threshold {manifest.threshold:g})"


def _evaluate_recordings(arguments: argparse.Namespace, loaded_bundle: Bundle) -> str:
    # pandas, scikit-learn and matplotlib take seconds to import, and are not needed to judge one window.
    from training.data import held_out_windows  # noqa: PLC0415
    from training.evaluate import quality  # noqa: PLC0415
    from training.report import evaluation_plots  # noqa: PLC0415

    if arguments.out:
        output_folder.create(arguments.out)
    data, note, drawn_at_random = held_out_windows.load_windows(
        arguments.recording, arguments.bundle, loaded_bundle
    )
    manifest = loaded_bundle.manifest
    scores = loaded_bundle.classifier.score(loaded_bundle.scaler.transform(data.windows))
    result = quality.evaluate(
        data, scores, manifest.threshold, manifest.sample_period, drawn_at_random=drawn_at_random
    )
    document = {"bundle": manifest.id, "windows_of": note, **result.as_dict()}
    pictures = evaluation_plots.draw_evaluation(result)
    text = f"bundle {manifest.id} on {note}\n\n{quality.format_report(result)}"
    if arguments.against:
        from training.console import task_progress  # noqa: PLC0415 - TensorFlow
        from training.console.terminal import make_console  # noqa: PLC0415
        from training.evaluate import classifier_comparison  # noqa: PLC0415
        from training.report import comparison_plots  # noqa: PLC0415

        settings = held_out_windows.read_training_settings(loaded_bundle)
        with task_progress.show_progress(
            "candidate", classifier_comparison.count_tasks(settings), 0, make_console()
        ) as progress:
            tables = classifier_comparison.compare(arguments.recording, loaded_bundle, settings, progress)
        document["against"] = [table.as_dict() for table in tables]
        pictures["against.png"] = comparison_plots.draw_classifier_f1(tables)
        text = "\n\n".join([text, *map(str, tables)])
    if arguments.out:
        numbers = json.dumps(document, indent=2, allow_nan=False).encode()
        output_folder.write(arguments.out, {"evaluation.json": numbers, **pictures})
        text += f"\n\nnumbers and pictures in {arguments.out}"
    return text


def _parse_window(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(f"must be numbers with commas between them, not {text!r}")
    return values
