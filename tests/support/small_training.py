"""A bundle that is trained in seconds, for any features."""

from pathlib import Path

from training.cli.main import main

__all__ = ["train_on_simulation"]

# A small network with a high learning rate learns the plain faults in a few epochs.
_SMALL_NETWORK = ["--network", "dense", "--units", "16,16,8", "--learning-rate", "0.01", "--epochs", "8"]


def train_on_simulation(config: Path, folder: Path) -> Path:
    """Simulate a plant, put faults into its readings, and fit; return the bundle's folder.

    Parameters
    ----------
    config : settings of training with the features.
    folder : where `plant.csv`, `faulty.csv` and `bundle` are written.
    """
    settings = ["--config", str(config)]
    plant, faulty, bundle = (str(folder / name) for name in ("plant.csv", "faulty.csv", "bundle"))
    main(["simulate", "--out", plant, "--groups", "3", "--hours", "1", *settings])
    main(["inject", plant, "--out", faulty, *settings])
    main(["fit", "--recording", faulty, "--bundle", bundle, *_SMALL_NETWORK, *settings])
    return folder / "bundle"
