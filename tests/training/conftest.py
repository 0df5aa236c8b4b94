"""Fixtures for the tests of training: a small plant, and a bundle trained on it."""

from pathlib import Path

import pandas as pd
import pytest

from tests.support.training_features import FEATURES
from training.cli.main import main
from training.data import recordings
from training.data.simulate import DEFAULT_START, Plant, simulate
from training.faults.inject import inject


@pytest.fixture(scope="session")
def plant() -> pd.DataFrame:
    """Return an hour of two healthy groups."""
    return simulate(Plant(groups=2, seed=0, start=DEFAULT_START, features=FEATURES), from_hour=0, hours=1)


@pytest.fixture(scope="session")
def labelled_recording(plant: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a recording of that hour, with faults in 30 % of the readings."""
    path = tmp_path_factory.mktemp("recordings") / "labelled.csv"
    recordings.write(inject(plant, FEATURES, rate=0.3, seed=0), path)
    return path


@pytest.fixture(scope="session")
def bundle_folder(labelled_recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle that `fit` wrote after a few epochs."""
    folder = tmp_path_factory.mktemp("fit") / "bundle"
    main(["fit", "--recording", str(labelled_recording), "--bundle", str(folder), "--epochs", "6"])
    return folder
