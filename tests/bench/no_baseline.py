"""A copy of a bundle without its baseline, to measure what the baseline costs.

The model is the same. Its golden windows become what the baseline would have made of them, so that the bundle
passes verification.
"""

from pathlib import Path

import msgspec

from monitor import bundle
from monitor.bundle.model_input import build_transform
from monitor.bundle.parse import golden_baselines, golden_windows, parse

__all__ = ["save_without_baseline"]


def save_without_baseline(source: Path, destination: Path) -> Path:
    """Write the bundle of `source` without its baseline to `destination`; return `destination`."""
    manifest, scaler, golden = parse(
        *((source / name).read_bytes() for name in ("manifest.json", "scaler.json", "golden.json"))
    )
    baseline_windows = build_transform(
        manifest.quantities, has_baseline=manifest.baseline is not None
    ).transform(golden_windows(golden), golden_baselines(golden))
    bundle.save(
        destination,
        msgspec.structs.replace(manifest, id=f"{manifest.id}-plain", baseline=None),
        (source / "model.onnx").read_bytes(),
        scaler,
        msgspec.structs.replace(golden, windows=baseline_windows.tolist(), baselines=None),
    )
    return destination
