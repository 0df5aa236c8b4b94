"""Verifies that a bundle's files are undamaged, and that its model gives the same scores as in training."""

import hashlib
from pathlib import Path

import numpy as np

from monitor.bundle.manifest import GoldenFile, Manifest
from monitor.bundle.model import Classifier
from monitor.bundle.model_input import build_transform
from monitor.bundle.parse import golden_baselines, golden_windows
from monitor.bundle.scaler import Scaler
from monitor.core.errors import BundleError

__all__ = ["GOLDEN_TOLERANCE", "REQUIRED_FILES", "SUMS_FILE", "check_golden", "read_verified"]

REQUIRED_FILES = ("manifest.json", "model.onnx", "scaler.json", "golden.json")
SUMS_FILE = "SHA256SUMS"
GOLDEN_TOLERANCE = 1e-5
"""Largest accepted difference of a golden score. ONNX Runtime and Keras differ by rounding errors of about
6e-8; 1e-5 is far above that and far below the effect of a real change."""


def check_golden(golden: GoldenFile, manifest: Manifest, scaler: Scaler, classifier: Classifier) -> None:
    """Score the golden windows, and compare with the scores that Keras computed in training.

    Raises
    ------
    BundleError : a score differs by more than `GOLDEN_TOLERANCE`, or the windows can't be scored.
    """
    transform = build_transform(
        manifest.quantities, has_baseline=manifest.baseline is not None, judges=manifest.judges
    ).transform
    try:
        deviations = transform(golden_windows(golden), golden_baselines(golden))
        scores = classifier.score(scaler.transform(deviations))
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise BundleError(f"model.onnx: can't score the golden windows: {error}".splitlines()[0]) from error
    worst = float(np.abs(scores - np.array(golden.scores)).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"golden.json: the model's scores differ from training's by up to {worst:.2g}, "
            f"expected at most {GOLDEN_TOLERANCE:g}"
        )


def read_verified(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of the bundle, after comparing its SHA-256 with SHA256SUMS.

    Each file is read once, so that the verified content is the content that is used. `model.keras`
    and `report/` may be missing even if SHA256SUMS lists them; where present they are verified like the
    others.

    Raises
    ------
    BundleError : the folder or a file is missing, unreadable or damaged, or a file is not listed in
        SHA256SUMS.
    """
    if not folder.is_dir():
        raise BundleError("there is no such folder; expected one that `sensor-training fit --bundle` wrote")
    expected = _parse_sums(_read(folder, SUMS_FILE).decode(errors="replace"))
    for name in REQUIRED_FILES:
        if name not in expected:
            raise BundleError(f"{SUMS_FILE}: has no line for {name}, expected one for every file")
    for path in [folder / "model.keras", *(folder / "report").rglob("*")]:
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in expected:
            raise BundleError(f"{SUMS_FILE}: has no line for {name}, expected one for every file")
    contents = {}
    for name, expected_digest in expected.items():
        if name not in REQUIRED_FILES and not (folder / name).exists():
            continue
        contents[name] = _read(folder, name)
        digest = hashlib.sha256(contents[name]).hexdigest()
        if digest != expected_digest:
            raise BundleError(
                f"{name}: its SHA-256 is {digest}, expected {expected_digest} as in {SUMS_FILE}"
            )
    return contents


def _parse_sums(text: str) -> dict[str, str]:
    """Return file name -> SHA-256 in hex; a name that leads out of the bundle's folder is an error."""
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        digest, separator, name = line.partition("  ")
        is_inside = not (Path(name).is_absolute() or ".." in Path(name).parts)
        if not separator or len(digest) != 64 or not name or not is_inside:  # noqa: PLR2004
            raise BundleError(f"{SUMS_FILE}: line {number} is not '<sha-256>  <file>'")
        sums[name] = digest
    return sums


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{name}: is missing") from None
    except OSError as error:
        raise BundleError(f"{name}: can't be read: {error.strerror}") from error
