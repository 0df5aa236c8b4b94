"""Values for the templates on how the model was made: bundle, data, cleaning, split, network, training."""

from datetime import UTC, datetime

from monitor.bundle import Manifest
from training.data.cleaning import CleaningReport
from training.data.dataset import Dataset
from training.network.history import best_epoch
from training.report.findings import Findings

__all__ = ["bundle", "cleaning", "data", "network", "split", "training", "versions"]


def bundle(manifest: Manifest) -> dict[str, object]:
    """Return id, number of steps, time of creation and version of the bundle."""
    return {
        "id": manifest.id,
        "steps": manifest.steps,
        "created": manifest.created,
        "version": manifest.versions.get("sensor-monitor", ""),
    }


def data(findings: Findings) -> dict[str, object]:
    """Return the values of `data.html.j2`: files, parts, ranges of the features, kinds of fault."""
    manifest = findings.manifest
    sources = manifest.data
    windows_file = sources.get("windows_file")
    has_times = not windows_file
    parts = {"training": findings.train, "validation": findings.validation, "test": findings.test}
    kinds = sorted({str(kind) for part in parts.values() for kind in part.kinds if kind})
    return {
        "files": [*sources.get("recordings", []), *([windows_file] if windows_file else [])],
        "groups": sources.get("groups", []),
        "readings": sources.get("readings", 0),
        "sample_period": manifest.sample_period,
        "has_baseline": manifest.baseline is not None,
        "has_times": has_times,
        "parts": [_part(name, part, has_times=has_times) for name, part in parts.items()],
        "features": [
            {
                "name": feature.name,
                "unit": feature.unit,
                "low": manifest.ranges[feature.name][0],
                "high": manifest.ranges[feature.name][1],
            }
            for feature in manifest.features
        ],
        "kinds": {kind: [int((part.kinds == kind).sum()) for part in parts.values()] for kind in kinds},
    }


def _part(name: str, part: Dataset, *, has_times: bool) -> dict[str, object]:
    count, faulty = len(part), int(part.faulty.sum())
    times = ["", ""] if not count else [_format_ts(part.ts.min()), _format_ts(part.ts.max())]
    return {
        "name": name,
        "windows": count,
        "faulty": faulty,
        "faulty_share": faulty / count if count else None,
        "times": times if has_times else [],
    }


def cleaning(report: CleaningReport) -> dict[str, object]:
    """Return the values of `cleaning.html.j2`."""
    return {
        "is_off": not report.before,
        "scope": report.scope,
        "factor": report.factor,
        "windows": report.windows,
        "removed": report.removed,
        "removed_faulty": report.removed_faulty,
        "outliers": report.outliers,
    }


def split(manifest: Manifest) -> dict[str, object]:
    """Return the values of `split.html.j2`: how the three parts were cut."""
    settings = manifest.data["settings"]
    return {
        "is_random": settings["split"] == "random",
        "test_share": settings["test_share"],
        "validation_share": settings["validation_share"],
    }


def network(findings: Findings) -> dict[str, object]:
    """Return the values of `network.html.j2`: the layers, and all settings."""
    layers = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "weights": sum(array.size for array in layer.arrays.values()),
        }
        for layer in findings.layers
    ]
    return {
        "layers": layers,
        "weights": sum(array.size for layer in findings.layers for array in layer.arrays.values()),
        "threshold": findings.manifest.threshold,
        "settings": {
            name: _format_value(value) for name, value in findings.manifest.data["settings"].items()
        },
    }


def training(findings: Findings) -> dict[str, object]:
    """Return the values of `training.html.j2`."""
    return {"epochs": len(findings.history["loss"]), "best_epoch": best_epoch(findings.history)}


def versions(manifest: Manifest) -> dict[str, str]:
    """Return the version of each library that was used, by name."""
    return dict(sorted(manifest.versions.items()))


def _format_ts(ts: float) -> str:
    return datetime.fromtimestamp(float(ts), UTC).strftime("%Y-%m-%d %H:%M")


def _format_value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
