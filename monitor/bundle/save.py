"""Writes a bundle atomically: the folder appears complete or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from monitor.bundle.manifest import GoldenFile, Manifest, ScalerFile
from monitor.bundle.scaler import Scaler
from monitor.bundle.verify import SUMS_FILE

__all__ = ["save"]


def save(
    folder: Path,
    manifest: Manifest,
    model: bytes,
    scaler: Scaler,
    golden: GoldenFile,
    extra: Mapping[str, bytes] | None = None,
) -> None:
    """Write a bundle atomically, replacing an existing bundle in the same folder.

    Parameters
    ----------
    folder : the bundle's folder; its parent is created if needed.
    manifest, model, scaler, golden : the contents; `model` is the content of the ONNX file.
    extra : further files by relative path, e.g. `{"model.keras": ..., "report/report.html": ...}`.
    """
    names = manifest.feature_names
    scaler_file = ScalerFile(names, tuple(scaler.mean.tolist()), tuple(scaler.scale.tolist()))
    files = {
        "manifest.json": _format_json(manifest),
        "model.onnx": model,
        "scaler.json": _format_json(scaler_file),
        "golden.json": msgspec.json.encode(golden),
        **(extra or {}),
    }
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())
    )
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temp_folder = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in [*files.items(), (SUMS_FILE, sums.encode())]:
            _write_durably(temp_folder / name, content)
        temp_folder.chmod(0o755)
        _replace_folder(temp_folder, folder)
    finally:
        shutil.rmtree(temp_folder, ignore_errors=True)


def _format_json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _write_durably(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace_folder(new_folder: Path, folder: Path) -> None:
    """Replace `folder` by `new_folder`. A crash in between leaves the old folder beside it, complete."""
    if not folder.exists():
        new_folder.rename(folder)
        return
    old_parent = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old_parent / folder.name)
    new_folder.rename(folder)
    shutil.rmtree(old_parent)
