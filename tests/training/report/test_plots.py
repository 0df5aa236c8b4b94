import subprocess
import sys
from io import BytesIO

import matplotlib.image
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.support.training_features import FEATURES
from training.data.cleaning import BoxStats
from training.data.dataset import Dataset
from training.evaluate.comparison_table import ClassifierResult, ComparisonTable
from training.evaluate.quality import Evaluation, evaluate
from training.report import comparison_plots, evaluation_plots, training_plots

KINDS = ["bounds", "drift", "gain", "loss", "noise", "offset", "spike", "stuck"]


def _evaluation(count: int, *, both_classes: bool = True) -> Evaluation:
    rng = np.random.default_rng(0)
    faulty = rng.random(count) < (0.3 if both_classes else 0)
    data = Dataset.from_windows(
        series_ids=np.zeros(count, dtype=np.intp),
        ts=5.0 * (np.arange(count)[:, None] + np.arange(3)),
        windows=np.zeros((count, 3, 4)),
        faulty=faulty,
        kinds=np.where(faulty, rng.choice(KINDS, count), ""),
    )
    return evaluate(data, np.clip(0.6 * faulty + rng.normal(0.2, 0.2, count), 0, 1), 0.5, 5.0)


def _comparison_tables() -> list[ComparisonTable]:
    quality = _evaluation(500).quality
    names = ["LSTM", "dense network", "random forest", "hist. gradient boosting"]
    return [
        ComparisonTable(split, tuple(ClassifierResult(name, "", 4, quality, 0.0, 1.0) for name in names))
        for split in ("time", "random")
    ]


def _draw_all() -> dict[str, bytes]:
    box = BoxStats(1, 2, 3, 4, 5, tuple(np.linspace(6, 60, 100)))
    return {
        **evaluation_plots.draw_evaluation(_evaluation(20_000)),
        "loss": training_plots.draw_losses({"loss": [0.5, 0.1, 0.05], "val_loss": [0.4, 0.1, 0.2]}),
        "boxes": training_plots.draw_box_plots([box] * 12, [box] * 12, FEATURES, 1.5),
        "standings": comparison_plots.draw_classifier_f1(_comparison_tables()),
    }


def test_every_picture_is_a_small_png() -> None:
    """Each picture is a PNG of readable size, below 150 KB, and not blank."""
    for name, png in _draw_all().items():
        pixels = matplotlib.image.imread(BytesIO(png), format="png")
        assert min(pixels.shape[:2]) > 300, name
        assert len(png) < 150_000, name
        assert np.ptp(pixels) > 0.5, name


def test_pictures_need_no_display() -> None:
    """Pyplot is not imported: it would need a display and keep figures in memory."""
    code = """
import sys
from training.report import comparison_plots, evaluation_plots, training_plots, weights_plots
training_plots.draw_losses({"loss": [0.5], "val_loss": [0.4]})
sys.exit("matplotlib.pyplot" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_same_data_is_the_same_file() -> None:
    """The same data gives the same bytes, so the checksums of a bundle do not change."""
    assert _draw_all() == _draw_all()


@pytest.mark.parametrize("count", [1, 40])
def test_windows_of_one_class(count: int) -> None:
    """Where all windows are of one class, pictures that need both classes are left out."""
    assert set(evaluation_plots.draw_evaluation(_evaluation(count, both_classes=False))) == {
        "confusion.png",
        "calibration.png",
    }


def test_a_single_epoch_can_be_drawn() -> None:
    """The losses of a single epoch can be drawn."""
    png = training_plots.draw_losses({"loss": [0.5], "val_loss": [0.4]})
    assert matplotlib.image.imread(BytesIO(png), format="png").size


def test_a_loss_of_zero_can_be_drawn() -> None:
    """A loss of 0 can be drawn on the logarithmic scale."""
    assert training_plots.draw_losses({"loss": [0.5, 0.0], "val_loss": [0.0, 0.0]})
