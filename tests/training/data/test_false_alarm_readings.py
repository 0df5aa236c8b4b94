from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from monitor.core.errors import InvalidInputError
from tests.support.training_features import FEATURE_NAMES, FEATURES
from training.config.settings import FitSettings
from training.data import recordings
from training.data.prepare import prepare
from training.data.simulate import DEFAULT_START, Plant, simulate


@pytest.fixture
def false_alarms(tmp_path: Path) -> Path:
    """Return what the monitor writes of two incidents that overlap, the later one reported first."""
    frame = simulate(Plant(1, 9, DEFAULT_START, FEATURES), 0, 0.3)
    frame.loc[frame.index >= 160, "temperature_1"] += 1.5  # called Faulty, and a door for all that is known
    incidents = [
        frame.iloc[begin:end].assign(incident=f"line1/station1:{begin}")
        for begin, end in ((60, 180), (0, 165))
    ]
    path = tmp_path / "false-alarms.csv"
    recordings.write(pd.concat(incidents), path)
    return path


@pytest.mark.parametrize("baseline", ["group", "none"])
def test_all_windows_are_learnt_as_normal(
    baseline: str, false_alarms: Path, labelled_recording: Path
) -> None:
    """Each window around a false alarm is in the training set, once; all else is what it is without them."""
    settings = FitSettings.model_validate({"baseline": baseline})
    without = prepare([labelled_recording], None, settings)
    prepared = prepare([labelled_recording], None, settings, false_alarms=false_alarms)
    known = prepared.train[np.arange(len(prepared.train)) >= len(without.train)]
    warming = 7 if baseline == "group" else 0  # windows before the first block is full
    assert len(known) == prepared.sources["false_alarm_windows"] == 180 - 2 - warming
    assert prepared.sources["false_alarms"] == "false-alarms.csv"
    assert not known.faulty.any()
    assert not set(known.series_ids) & set(without.train.series_ids)
    assert (
        np.abs(known.windows[-18:, :, 0]).min() > np.abs(known.windows[40:140, :, 0]).max()
        or baseline == "none"
    )
    assert len(prepared.test) == len(without.test)
    assert len(prepared.validation) == len(without.validation)
    np.testing.assert_array_equal(prepared.scaler.mean, without.scaler.mean)
    assert prepared.cleaning == without.cleaning


def test_too_few_readings_for_a_baseline(false_alarms: Path, labelled_recording: Path) -> None:
    """Windows alone, as after a restart of the monitor, say nothing of a group's normal; this is said."""
    recordings.write(recordings.read(false_alarms, FEATURE_NAMES).head(3), false_alarms)
    with pytest.raises(InvalidInputError, match="no false alarm has enough readings before it"):
        prepare([labelled_recording], None, FitSettings(), false_alarms=false_alarms)
    settings = FitSettings(baseline="none")
    assert (
        prepare([labelled_recording], None, settings, false_alarms=false_alarms).sources[
            "false_alarm_windows"
        ]
        == 1
    )


def test_faulty_labels_are_refused(labelled_recording: Path) -> None:
    """A recording with faults holds no false alarms."""
    with pytest.raises(InvalidInputError, match="has Faulty labels"):
        prepare([labelled_recording], None, FitSettings(), false_alarms=labelled_recording)
