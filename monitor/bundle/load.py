"""Loads and verifies a bundle, the interface between training and the monitor."""

from pathlib import Path

from monitor.bundle.files import read_verified
from monitor.bundle.model import Classifier, find_sensors
from monitor.bundle.parse import parse
from monitor.bundle.trial import try_model
from monitor.bundle.verified import Bundle
from monitor.bundle.verify import check_golden
from monitor.core.errors import BundleError
from monitor.core.printable import printable

__all__ = ["load"]

# Characters of an error's text: ONNX Runtime's quote names, and a file may have names of megabytes.
_MAX_REASON = 1000


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
        sensors = find_sensors(manifest.judges, manifest.quantities)
        model, features = files["model.onnx"], len(manifest.features)
        try_model(model, manifest.steps, features if sensors is None else 1)
        classifier = Classifier(model, manifest.steps, features, sensors)
        check_golden(golden, manifest, scaler, classifier)
    except BundleError as error:
        raise BundleError(f"bundle {folder}: {printable(str(error)[:_MAX_REASON])}") from error
    return Bundle(manifest, scaler, classifier)
