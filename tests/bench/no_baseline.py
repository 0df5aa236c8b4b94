"""A bundle without its baseline: the same model for readings that come as the baseline would show them."""

from pathlib import Path

import msgspec

from monitor import bundle
from monitor.bundle.model_input import model_input
from monitor.bundle.parse import golden_normals, golden_windows, parse

__all__ = ["plain"]


def plain(folder: Path, into: Path) -> Path:
    """Write such a bundle, whose work is the other's but for the baseline; return where it is."""
    manifest, scaler, golden = parse(
        *((folder / name).read_bytes() for name in ("manifest.json", "scaler.json", "golden.json"))
    )
    shown = model_input(manifest.names, has_baseline=manifest.baseline is not None).transform(
        golden_windows(golden), golden_normals(golden)
    )
    bundle.save(
        into,
        msgspec.structs.replace(manifest, id=f"{manifest.id}-plain", baseline=None),
        (folder / "model.onnx").read_bytes(),
        scaler,
        msgspec.structs.replace(golden, windows=shown.tolist(), baselines=None),
    )
    return into
