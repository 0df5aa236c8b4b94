"""Writes a bundle atomically: the folder appears complete or not at all."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from monitor.bundle.files import SUMS_FILE
from monitor.bundle.manifest import GoldenFile, Manifest, ScalerFile
from monitor.bundle.scaler import Scaler
from monitor.core.atomic_write import atomic_folder

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
    with atomic_folder(folder) as temporary_path:
        for name, content in [*files.items(), (SUMS_FILE, sums.encode())]:
            path = temporary_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _format_json(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
