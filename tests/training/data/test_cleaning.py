import numpy as np
import pandas as pd
import pytest

from training.config.settings import FitSettings
from training.data.cleaning import BoxStats, CleaningReport, clean
from training.data.dataset import Dataset

NORMAL, FAULTY = False, True


def _data(count: int, faulty: list[int], series_ids: list[int] | None = None) -> Dataset:
    """Return windows of small numbers without an outlier in any column."""
    rng = np.random.default_rng(0)
    label = np.zeros(count, dtype=bool)
    label[faulty] = True
    return Dataset.from_windows(
        np.array(series_ids or [0] * count),
        np.zeros((count, 3)),
        rng.uniform(-1, 1, (count, 3, 4)),
        label,
        np.full(count, ""),
    )


def _clean(data: Dataset, scope: str = "normal", factor: float = 1.5) -> tuple[Dataset, CleaningReport]:
    return clean(data, FitSettings(cleaning_scope=scope, cleaning_factor=factor))  # type: ignore[arg-type]


def test_rare_faults_survive() -> None:
    """If a tenth of the windows is Faulty, none is removed; by the notebook's rule all would be."""
    data = _data(100, faulty=list(range(10)))
    data.windows[:10] += 50
    frame = pd.DataFrame(data.windows.reshape(100, 12)).assign(Label=np.where(data.faulty, -1, 1))
    spread = frame.quantile(0.75) - frame.quantile(0.25)
    is_outlier = (frame < frame.quantile(0.25) - 1.5 * spread) | (frame > frame.quantile(0.75) + 1.5 * spread)
    assert frame["Label"][~is_outlier.any(axis=1)].eq(1).all()
    kept, report = _clean(data)
    assert kept.faulty.sum() == 10
    assert report.removed_faulty == 0


def test_scope_all_removes_the_notebooks_rows() -> None:
    """Outliers per column and the removed rows are those that pandas' quantiles of the features give."""
    data = _data(200, faulty=[3, 5])
    data.windows[[3, 60], 1, 2] = 9
    data.windows[61, 0, 0] = -9
    frame = pd.DataFrame(data.windows.reshape(200, 12))
    low, high = frame.quantile(0.25), frame.quantile(0.75)
    is_outlier = (frame < low - 1.5 * (high - low)) | (frame > high + 1.5 * (high - low))
    kept, report = _clean(data, "all")
    assert list(report.outliers.values()) == is_outlier.sum().tolist()
    np.testing.assert_array_equal(kept.windows, data.windows[~is_outlier.any(axis=1)])
    assert (report.windows, report.removed, report.removed_faulty) == (200, 3, 1)


def test_columns_have_names() -> None:
    """The report counts outliers by reading and feature, oldest reading first."""
    data = _data(100, faulty=[])
    data.windows[7, 2, 3] = 9
    _, report = _clean(data)
    assert next(iter(report.outliers)) == "t-2 temperature_1"
    assert {name: count for name, count in report.outliers.items() if count} == {"t humidity_2": 1}


def test_off_removes_nothing() -> None:
    """With scope `off` every window stays, and the report has no window in scope."""
    data = _data(50, faulty=[1])
    data.windows[0] = 100
    kept, report = _clean(data, "off")
    assert len(kept) == 50
    assert (report.windows, report.removed, report.before, report.after) == (0, 0, (), ())


def test_a_larger_factor_keeps_more() -> None:
    """The factor is the distance from the quartiles in interquartile ranges."""
    data = _data(101, faulty=[])
    data.windows[0, 0, 0] = 5
    assert _clean(data, factor=1.5)[1].removed == 1
    assert _clean(data, factor=10)[1].removed == 0


def test_a_colder_group_is_no_outlier() -> None:
    """Each group has its own quartiles."""
    data = _data(110, faulty=[], series_ids=[0] * 100 + [1] * 10)
    data.windows[100:] = data.windows[:10] - 30
    assert _clean(data)[1].removed == 0


def test_a_column_without_spread_has_no_outliers() -> None:
    """If a sensor mostly reads one value, other values are no outliers, unlike `Label` in the notebook."""
    data = _data(100, faulty=[])
    data.windows[:, 0, 1] = 100.0
    data.windows[:20, 0, 1] = 99.0
    assert _clean(data)[1].removed == 0


def test_boxes_show_before_and_after() -> None:
    """The report has a box plot of each column with the outlier before, and without it after the removal."""
    data = _data(100, faulty=[2])
    data.windows[2] = 500
    data.windows[0, 0, 0] = 9
    _, report = _clean(data)
    assert len(report.before) == len(report.after) == 12
    before, after = report.before[0], report.after[0]
    assert before.outliers == (9.0,)
    assert after.outliers == ()
    assert -1 <= before.whisker_low < before.q1 < before.median < before.q3 < before.whisker_high <= 1
    assert "before" not in report.as_dict()


@pytest.mark.parametrize("count", [1, 2, 5, 1000])
def test_a_box_takes_any_column(count: int) -> None:
    """A box plot can be made of few values or many; of its outliers it has at most 100, with the largest."""
    values = np.concatenate([np.zeros(3 * count), np.arange(1.0, count + 1)])
    box = BoxStats.from_values(values, 1.5)
    assert len(box.outliers) == min(count, 100)
    assert box.outliers[-1] == count
