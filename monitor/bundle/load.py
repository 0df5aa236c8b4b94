"""Loads and verifies a bundle, the interface between training and the monitor."""

from pathlib import Path

from monitor.bundle.manifest import Manifest
from monitor.bundle.model import Classifier
from monitor.bundle.parse import parse
from monitor.bundle.verified import Bundle
from monitor.bundle.verify import check_golden, read_verified
from monitor.core.errors import BundleError
from monitor.core.quantities import Quantities

__all__ = ["build_classifier", "load"]


def load(folder: Path) -> Bundle:
    """Read a bundle and verify its checksums, schema, shapes and golden scores.

    Raises
    ------
    BundleError : a file is missing, damaged or of another version, or the model's scores differ from
        training's.
    """
    try:
        files = read_verified(folder)
        manifest, scaler, golden = parse(files["manifest.json"], files["scaler.json"], files["golden.json"])
        classifier = build_classifier(manifest, files["model.onnx"])
        check_golden(golden, manifest, scaler, classifier)
    except BundleError as error:
        raise BundleError(f"bundle {folder}: {error}") from error
    return Bundle(manifest, scaler, classifier)


def build_classifier(manifest: Manifest, model: bytes) -> Classifier:
    """Return the classifier for a model.

    Parameters
    ----------
    model : content of the ONNX file.

    Raises
    ------
    BundleError : as in `Classifier`.
    """
    sensors = Quantities(manifest.quantities).representatives if manifest.judges == "sensor" else None
    return Classifier(model, manifest.steps, len(manifest.features), sensors)
