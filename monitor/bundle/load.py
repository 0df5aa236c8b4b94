"""Save, load, verify: the bundle is the contract between training and the monitor."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from monitor.bundle.manifest import (
    Feature,
    Golden,
    Manifest,
    ScalerFile,
    golden_normals,
    golden_windows,
    identify,
    parse,
)
from monitor.bundle.model import Classifier
from monitor.bundle.scaler import Scaler
from monitor.core.errors import BundleError
from monitor.detect import baseline

__all__ = ["Bundle", "BundleError", "Feature", "Golden", "Manifest", "identify", "load", "save"]

REQUIRED = ("manifest.json", "model.onnx", "scaler.json", "golden.json")
SUMS = "SHA256SUMS"
# ONNX Runtime and Keras round differently by about 6e-8; 1e-5 is far above that and far below a real change.
GOLDEN_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle, ready to judge."""

    manifest: Manifest
    scaler: Scaler
    classifier: Classifier


def load(folder: Path) -> Bundle:
    """Read a bundle and verify it: sums, schema, shapes, and the golden scores.

    Raises
    ------
    BundleError : anything is missing, damaged, of another version, or scores differently than in training.
    """
    try:
        files = _read_verified(folder)
        manifest, scaler, golden = parse(files["manifest.json"], files["scaler.json"], files["golden.json"])
        classifier = Classifier(files["model.onnx"], manifest.steps, len(manifest.features))
        _check_golden(golden, manifest, scaler, classifier)
    except BundleError as error:
        raise BundleError(f"bundle {folder}: {error}") from error
    return Bundle(manifest, scaler, classifier)


def save(
    folder: Path,
    manifest: Manifest,
    model: bytes,
    scaler: Scaler,
    golden: Golden,
    extra: Mapping[str, bytes] | None = None,
) -> None:
    """Write a bundle so that it is there whole or not at all; one of the same name is replaced.

    Parameters
    ----------
    folder : the bundle's folder; its parent is made if needed.
    manifest, model, scaler, golden : the contents; `model` is the ONNX file's bytes.
    extra : further files by relative path, e.g. `{"model.keras": ..., "report/report.html": ...}`.
    """
    names = manifest.names
    scaler_file = ScalerFile(names, tuple(scaler.mean.tolist()), tuple(scaler.scale.tolist()))
    files = {
        "manifest.json": _pretty(manifest),
        "model.onnx": model,
        "scaler.json": _pretty(scaler_file),
        "golden.json": msgspec.json.encode(golden),
        **(extra or {}),
    }
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())
    )
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in [*files.items(), (SUMS, sums.encode())]:
            _write_durably(draft / name, content)
        draft.chmod(0o755)
        _swap(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _read_verified(folder: Path) -> dict[str, bytes]:
    """Return each file's content, read once, as SHA256SUMS says it should be."""
    if not folder.is_dir():
        raise BundleError("there is no such folder; expected one that `sensor-training fit --bundle` wrote")
    expected = _parse_sums(_read(folder, SUMS).decode(errors="replace"))
    for name in REQUIRED:
        if name not in expected:
            raise BundleError(f"{SUMS}: has no line for {name}, expected one for every file")
    for path in [folder / "model.keras", *(folder / "report").rglob("*")]:
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in expected:
            raise BundleError(f"{SUMS}: has no line for {name}, expected one for every file")
    contents = {}
    for name, wanted in expected.items():
        if name not in REQUIRED and not (folder / name).exists():
            continue  # model.keras and report/ may be left behind
        contents[name] = _read(folder, name)
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != wanted:
            raise BundleError(f"{name}: its SHA-256 is {found}, expected {wanted} as in {SUMS}")
    return contents


def _parse_sums(text: str) -> dict[str, str]:
    sums = {}
    for number, line in enumerate(text.splitlines(), start=1):
        digest, separator, name = line.partition("  ")
        inside = not (Path(name).is_absolute() or ".." in Path(name).parts)
        if not separator or len(digest) != 64 or not name or not inside:  # noqa: PLR2004
            raise BundleError(f"{SUMS}: line {number} is not '<sha-256>  <file>'")
        sums[name] = digest
    return sums


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{name}: is missing") from None
    except OSError as error:
        raise BundleError(f"{name}: can't be read: {error.strerror}") from error


def _check_golden(golden: Golden, manifest: Manifest, scaler: Scaler, classifier: Classifier) -> None:
    stage = baseline.build(manifest.names, manifest.baseline)
    try:
        shown = stage.show(golden_windows(golden), golden_normals(golden))
        scores = classifier.score(scaler.transform(shown))
    except Exception as error:  # the runtime's errors share no base class of their own
        raise BundleError(f"model.onnx: can't score the golden windows: {error}".splitlines()[0]) from error
    worst = float(np.abs(scores - np.array(golden.scores)).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise BundleError(
            f"golden.json: the model's scores differ from training's by up to {worst:.2g}, "
            f"expected at most {GOLDEN_TOLERANCE:g}"
        )


def _pretty(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _write_durably(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _swap(draft: Path, folder: Path) -> None:
    """Put the draft in the folder's place. A crash in between leaves the old one beside it, whole."""
    if not folder.exists():
        draft.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / folder.name)
    draft.rename(folder)
    shutil.rmtree(old)
