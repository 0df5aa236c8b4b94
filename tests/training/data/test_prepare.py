from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor.bundle.model_input import DeviationTransform
from monitor.core.errors import InvalidInputError
from monitor.detect.baseline import BaselineSpec, BaselineStage
from tests.support.training_features import FEATURE_NAMES, FEATURES, QUANTITIES
from training.config.settings import FitSettings
from training.data import recordings
from training.data.dataset import Dataset
from training.data.prepare import prepare
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.inject import inject


def _reading_keys(part: Dataset) -> set[tuple[int, float]]:
    return {
        (int(series_id), float(ts))
        for series_id, times in zip(part.series_ids, part.ts, strict=True)
        for ts in times
    }


def test_no_reading_is_in_two_parts(labelled_recording: Path) -> None:
    """The test set is the end of each group, the validation set is before it; they share no reading."""
    prepared = prepare([labelled_recording], None, FitSettings(cleaning_scope="off"))
    parts = [_reading_keys(part) for part in (prepared.train, prepared.validation, prepared.test)]
    assert all(parts)
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert max(parts[1])[1] < max(parts[0])[1] < min(parts[2])[1]


def test_a_random_split_shares_readings(labelled_recording: Path) -> None:
    """A random split, as in the notebook, is the same for the same seed, and its sets share readings."""
    settings = FitSettings(split="random", cleaning_scope="off")
    first, again, other = (
        prepare([labelled_recording], None, settings.model_copy(update={"seed": seed})) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.test.ts, again.test.ts)
    assert not np.array_equal(first.test.ts, other.test.ts)
    assert len(_reading_keys(first.test) & _reading_keys(first.train)) > len(first.test) / 2
    assert len(first.test) == pytest.approx(0.2 * 2 * 711, abs=2)


def test_cleaning_and_scaler_see_only_the_training_part(labelled_recording: Path, tmp_path: Path) -> None:
    """The test set affects neither cleaning nor scaler; the notebook cleans before it splits."""
    frame = recordings.read(labelled_recording, FEATURE_NAMES)
    last = frame["ts"] > frame["ts"].quantile(0.85)
    frame.loc[last, FEATURE_NAMES] = frame.loc[last, FEATURE_NAMES] * 3 + 100
    changed = tmp_path / "changed.csv"
    recordings.write(frame, changed)
    first, second = (
        prepare([labelled_recording], None, FitSettings()),
        prepare([changed], None, FitSettings()),
    )
    assert first.cleaning == second.cleaning
    np.testing.assert_array_equal(first.scaler.mean, second.scaler.mean)
    np.testing.assert_array_equal(first.scaler.scale, second.scaler.scale)


def test_the_scaler_is_fitted_on_normal_windows(labelled_recording: Path) -> None:
    """Mean and scale are those of the cleaned Normal windows of the training set."""
    prepared = prepare([labelled_recording], None, FitSettings(baseline="none"))
    healthy = prepared.train.windows[~prepared.train.faulty].reshape(-1, 4)
    np.testing.assert_allclose(prepared.scaler.mean, healthy.mean(axis=0))
    np.testing.assert_allclose(prepared.scaler.scale, healthy.std(axis=0))
    np.testing.assert_array_equal(prepared.healthy_readings, healthy)


def test_one_scale_for_all(labelled_recording: Path) -> None:
    """With a baseline, all features are in the same unit and have one scale."""
    prepared = prepare([labelled_recording], None, FitSettings())
    healthy = prepared.train.windows[~prepared.train.faulty]
    np.testing.assert_allclose(prepared.scaler.mean, healthy.mean(), atol=1e-9)
    np.testing.assert_allclose(prepared.scaler.scale, healthy.std())


def test_windows_are_relative_to_the_monitors_baseline(labelled_recording: Path) -> None:
    """Windows, Faulty ones too, are relative to the baseline that the monitor's own stage computes."""
    frame, settings = (
        recordings.read(labelled_recording, FEATURE_NAMES),
        FitSettings(test_share=0, validation_share=0.01),
    )
    prepared = prepare([labelled_recording], None, settings.model_copy(update={"cleaning_scope": "off"}))
    group_values = frame.loc[frame["group"] == "line1/station2", FEATURE_NAMES].to_numpy()
    windows = np.lib.stride_tricks.sliding_window_view(group_values, 3, axis=0).transpose(0, 2, 1)
    stage = BaselineStage(QUANTITIES, BaselineSpec(floors=(0.08, 0.5, 0.08, 0.5)))
    group_ts = frame.loc[frame["group"] == "line1/station2", "ts"].to_numpy()
    ts = np.lib.stride_tricks.sliding_window_view(group_ts, 3)
    baselines, ready = stage.push(["g"] * len(windows), windows, ts)
    deviations = DeviationTransform(QUANTITIES).transform(windows, baselines)
    expected = {raw.tobytes(): relative for raw, relative in zip(windows, deviations, strict=True)}
    part = prepared.train[prepared.train.series_ids == 1]
    assert 7 <= ready.argmax() < len(part) > 600
    for raw, relative in zip(part.raw_windows, part.windows, strict=True):
        np.testing.assert_array_equal(expected[np.ascontiguousarray(raw).tobytes()], relative)


def test_only_the_training_part_is_cleaned(labelled_recording: Path) -> None:
    """Outliers stay in the validation and test sets."""
    cleaned = prepare([labelled_recording], None, FitSettings(cleaning_factor=0.5))
    uncleaned = prepare([labelled_recording], None, FitSettings(cleaning_scope="off"))
    assert cleaned.cleaning.removed > 0
    assert len(cleaned.train) + cleaned.cleaning.removed == len(uncleaned.train)
    for part in ("validation", "test"):
        np.testing.assert_array_equal(getattr(cleaned, part).ts, getattr(uncleaned, part).ts)


def test_windows_and_recordings_go_together(labelled_recording: Path, tmp_path: Path) -> None:
    """A file of windows, recordings, or both together can be prepared."""
    data = prepare([labelled_recording], None, FitSettings(test_share=0, cleaning_scope="off")).train
    table = pd.DataFrame(data.raw_windows.reshape(len(data), 12)).assign(Label=np.where(data.faulty, -1, 1))
    path = tmp_path / "windows.csv"
    table.to_csv(path, index=False)
    alone = prepare([], path, FitSettings(sample_period=2, baseline="none"))
    both = prepare([labelled_recording], path, FitSettings(baseline="none"))
    assert alone.sample_period == 2
    assert both.sample_period == 5
    assert alone.frames == []
    assert alone.sources["windows_file"] == "windows.csv"
    assert set(np.unique(both.test.series_ids)) == {0, 1, 2}


def _with_missing_value(frame: pd.DataFrame) -> pd.DataFrame:
    frame.loc[5, "humidity_2"] = np.nan
    return frame


def _with_gaps(frame: pd.DataFrame) -> pd.DataFrame:
    in_group = frame["group"] == "line1/station2"
    return frame[~in_group | (frame.index % 20 == 1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="label"), "has no column label"),
        (lambda frame: frame.assign(label=1), "no reading has the label Faulty (-1)"),
        (lambda frame: frame.assign(label=-1), "all windows to train on are Faulty"),
        (lambda frame: frame.assign(humidity_1=50.0), "humidity_1 has one value"),
        (lambda frame: frame.head(200), "89 windows to train on"),
        (_with_missing_value, "row 6: humidity_2 is empty; expected a number"),
        (_with_gaps, "group line1/station2: no 3 readings follow each other within 15 s"),
        (lambda frame: frame.head(1), "group line1/station1: no 3 readings follow each other"),
        (lambda frame: frame.iloc[::-1], "group line1/station1: no 3 readings follow each other"),
    ],
)
def test_data_that_cannot_train_is_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], message: str, labelled_recording: Path, tmp_path: Path
) -> None:
    """Data that can't train a model are refused with the file and the reason."""
    path = tmp_path / "changed.csv"
    recordings.write(change(recordings.read(labelled_recording, FEATURE_NAMES)), path)
    with pytest.raises(InvalidInputError) as error:
        prepare([path], None, FitSettings())
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_no_input_is_refused() -> None:
    """Without recordings and windows there is nothing to train on."""
    with pytest.raises(InvalidInputError, match="expected --recording, --windows or --healthy"):
        prepare([], None, FitSettings())


def test_windows_file_needs_baseline_none(labelled_recording: Path) -> None:
    """A file of windows is refused with baseline `group`: it lacks the readings to learn it from."""
    with pytest.raises(
        InvalidInputError, match=r"windows\.csv: a file of windows lacks .* or --baseline none"
    ):
        prepare([labelled_recording], Path("windows.csv"), FitSettings())


def test_cleaning_that_removes_too_much_is_named(labelled_recording: Path) -> None:
    """If too few windows are left after cleaning, the error says how many it removed."""
    with pytest.raises(InvalidInputError, match=r"were removed as outliers\), expected at least 300"):
        prepare([labelled_recording], None, FitSettings(cleaning_factor=1e-6, cleaning_scope="all"))


def test_a_validation_part_is_needed(labelled_recording: Path, tmp_path: Path) -> None:
    """A validation share so small that it has no window is refused."""
    path = tmp_path / "odd.csv"  # an even number of windows would have one in the middle of a block
    recordings.write(recordings.read(labelled_recording, FEATURE_NAMES)[2:], path)
    with pytest.raises(InvalidInputError, match="no windows are left for the validation"):
        prepare([path], None, FitSettings(validation_share=1e-9, test_share=0, baseline="none"))


def test_steady_readings_of_another_period(tmp_path: Path) -> None:
    """The sample period is that of the recording, whatever the setting for `--windows` is."""
    frame = simulate(Plant(1, 0, DEFAULT_START, FEATURES), from_hour=0, hours=1)
    frame["ts"] = frame["ts"].iloc[0] + 60.0 * np.arange(len(frame))
    path = tmp_path / "slow.csv"
    recordings.write(inject(frame, FEATURES, 0.3, 0), path)
    assert prepare([path], None, FitSettings()).sample_period == 60
