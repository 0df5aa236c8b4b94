"""No label of a picture touches another one, and none is cut off at the picture's edge."""

from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.data.cleaning import BoxStats
from training.data.dataset import Dataset
from training.evaluate.comparison_table import ClassifierResult, ComparisonTable
from training.evaluate.permutation_importance import Importance
from training.evaluate.quality import Evaluation, evaluate
from training.faults.suspects import SuspiciousStretch
from training.network.weights import LayerWeights
from training.report import (
    comparison_plots,
    evaluation_plots,
    importance_plots,
    suspects_plots,
    training_plots,
    weights_plots,
)
from training.tune import plots as tune_plots
from training.tune.initializers import InitializerResult
from training.tune.trials import NOTEBOOK_INITIALIZERS, NOTEBOOK_PARAMETERS, Trial

KINDS = ["bounds", "drift", "gain", "loss", "noise", "offset", "spike", "stuck"]


def _evaluation(*, in_time: bool = True) -> Evaluation:
    count = 60_000
    rng = np.random.default_rng(0)
    kinds = np.repeat(rng.choice(["", *KINDS], count // 10), 10)
    faulty = kinds != ""
    data = Dataset.from_windows(
        np.zeros(count, dtype=np.intp),
        5.0 * (np.arange(count)[:, None] + np.arange(3)),
        np.zeros((count, 3, 4)),
        faulty,
        kinds,
    )
    scores = np.clip(0.6 * faulty + rng.normal(0.2, 0.15, count), 0, 1)
    return evaluate(data, scores, 0.5, 5.0, drawn_at_random=not in_time)


def _importance() -> Importance:
    rng = np.random.default_rng(0)
    return Importance(
        0.9, rng.normal(0, 0.3, (3, 4)), rng.random((3, 4)), rng.random(4), rng.random(4), rng.random(3),
        rng.random(3), 100_000, 30_000, 5, 42,
    )  # fmt: skip


def _stretches() -> bytes:
    ts = 1e9 + 5.0 * np.arange(900)
    frame = pd.DataFrame({"ts": ts, "group": "line1/station1"} | {name: np.sin(ts) for name in FEATURE_NAMES})
    reason = "below temperature_2 by 4.03 degC more than usual"
    stretches = [
        SuspiciousStretch("line1/station1", name, ts[300], ts[500], 200, reason, 2.0)
        for name in FEATURE_NAMES
    ]
    return suspects_plots.draw_stretches([frame], stretches, FEATURES)


def _layer(kind: str) -> bytes:
    rng = np.random.default_rng(0)
    if kind == "LSTM":
        arrays = {"kernel": (4, 512), "recurrent_kernel": (128, 512), "biases": (512,)}
        inputs = FEATURE_NAMES
    else:
        arrays, inputs = {"weights": (12, 128), "biases": (128,)}, [f"t {name}" for name in FEATURE_NAMES] * 3
    weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in arrays.items()}
    return weights_plots.draw_layer_weights(0, LayerWeights("first", kind, MappingProxyType(weights)), inputs)


def _comparison() -> bytes:
    quality = _evaluation().quality
    names = ["LSTM", "hist. gradient boosting, + moves", *(f"classifier {number}" for number in range(9))]
    return comparison_plots.draw_classifier_f1(
        [
            ComparisonTable(split, tuple(ClassifierResult(name, "", 4, quality, 0.0, 1.0) for name in names))
            for split in ("time", "random")
        ]
    )


def _trials() -> list[Trial]:
    rng = np.random.default_rng(0)
    return [
        Trial(
            number, {**NOTEBOOK_PARAMETERS[number % 3], "learning_rate": 10 ** -rng.uniform(2, 4)}, 0.9, 1.0
        )
        for number in range(1, 21)
    ]


def _boxes() -> bytes:
    box = BoxStats(-1234.5, 2, 3, 4, 5, tuple(np.linspace(6, 60_000, 100)))
    return training_plots.draw_box_plots([box] * 12, [box] * 12, FEATURES, 1.5)


PICTURES: dict[str, Callable[[], object]] = {
    "evaluation": lambda: evaluation_plots.draw_evaluation(_evaluation()),
    "evaluation at random": lambda: evaluation_plots.draw_evaluation(_evaluation(in_time=False)),
    "importance": lambda: importance_plots.draw_importance(_importance(), FEATURES),
    "stretches": _stretches,
    "boxes": _boxes,
    "loss": lambda: training_plots.draw_losses({"loss": [0.6, 0.3, 0.2], "val_loss": [0.7, 0.5, 0.4]}),
    "long loss": lambda: training_plots.draw_losses(
        {"loss": np.geomspace(1, 1e-5, 60).tolist(), "val_loss": np.geomspace(1, 1e-4, 60).tolist()}
    ),
    "lstm": lambda: _layer("LSTM"),
    "dense": lambda: _layer("Dense"),
    "comparison": _comparison,
    "history": lambda: tune_plots.draw_history(_trials()),
    "parallel": lambda: tune_plots.draw_parallel_coordinates(_trials()),
    "initializers": lambda: tune_plots.draw_initializers(
        [
            InitializerResult(text, "N(0, sqrt(2 / (in + out))), cut", (0.9, 0.92))
            for text in ("he_normal", NOTEBOOK_INITIALIZERS, "random_normal(0, 0.1)", "ones")
        ],
        0.4,
    ),
}


@pytest.fixture
def drawn_texts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[tuple[str, Bbox, Bbox]]]]:
    """Yield, for each drawing of a figure, the texts with their extent and that of the figure."""
    drawings: list[list[tuple[str, Bbox, Bbox]]] = []
    draw_figure, draw_text = Figure.draw, Text.draw

    def record_figure(figure: Figure, *arguments: Any) -> None:
        drawings.append([])
        draw_figure(figure, *arguments)

    def record_text(text: Text, renderer: Any, *arguments: Any) -> None:
        if text.get_visible() and text.get_text():
            extent = text.get_window_extent(renderer)
            drawings[-1].append((text.get_text(), extent, Bbox(text.get_figure(root=True).bbox.get_points())))
        draw_text(text, renderer, *arguments)

    monkeypatch.setattr(Figure, "draw", record_figure)
    monkeypatch.setattr(Text, "draw", record_text)
    yield drawings
    assert drawings


@pytest.mark.parametrize("name", list(PICTURES))
def test_no_label_touches_another(name: str, drawn_texts: list[list[tuple[str, Bbox, Bbox]]]) -> None:
    """All labels of the finished picture are apart and within it."""
    PICTURES[name]()
    # The picture is drawn twice: to find its extent, and at last.
    for texts in drawn_texts[1::2]:
        assert texts
        for number, (text, extent, figure) in enumerate(texts):
            assert extent.x0 >= figure.x0 - 1, text
            assert extent.y0 >= figure.y0 - 1, text
            assert extent.x1 <= figure.x1 + 1, text
            assert extent.y1 <= figure.y1 + 1, text
            for other, other_extent, _ in texts[number + 1 :]:
                assert not extent.padded(0.5).overlaps(other_extent), (text, other)
