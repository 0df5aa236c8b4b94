"""Template variables for the report sections about the model.

Sections: bundle, data, cleaning, split, network, training, versions.
"""

from datetime import UTC, datetime

from monitor.bundle import Manifest
from monitor.core.quantities import describe_lone_features
from training.data.cleaning import CleaningReport
from training.data.dataset import Dataset
from training.network.history import find_best_epoch
from training.report.findings import Findings

__all__ = [
    "bundle_variables",
    "cleaning_variables",
    "data_variables",
    "network_variables",
    "split_variables",
    "training_variables",
    "versions_variables",
]


def bundle_variables(manifest: Manifest) -> dict[str, object]:
    """Return the bundle's id, window length in steps, creation time and sensor-monitor version."""
    return {
        "id": manifest.id,
        "steps": manifest.steps,
        "created": manifest.created,
        "version": manifest.versions.get("sensor-monitor", ""),
    }


def data_variables(findings: Findings) -> dict[str, object]:
    """Return the variables for `data.html.j2`: files, datasets, feature ranges, windows by fault kind."""
    manifest = findings.manifest
    sources = manifest.data
    windows_file = sources.get("windows_file")
    has_times = not windows_file  # a windows file has no timestamps
    datasets = {"training": findings.train, "validation": findings.validation, "test": findings.test}
    kinds = sorted({str(kind) for dataset in datasets.values() for kind in dataset.kinds if kind})
    return {
        "files": [*sources.get("recordings", []), *([windows_file] if windows_file else [])],
        "groups": sources.get("groups", []),
        "readings": sources.get("readings", 0),
        "sample_period": manifest.sample_period,
        "has_baseline": manifest.baseline is not None,
        "has_times": has_times,
        "datasets": [
            _describe_dataset(name, dataset, has_times=has_times) for name, dataset in datasets.items()
        ],
        "features": [
            {
                "name": feature.name,
                "unit": feature.unit,
                "low": manifest.ranges[feature.name][0],
                "high": manifest.ranges[feature.name][1],
            }
            for feature in manifest.features
        ],
        "notes": describe_lone_features(manifest.feature_names, manifest.quantities),
        "windows_by_kind": {
            kind: [int((dataset.kinds == kind).sum()) for dataset in datasets.values()] for kind in kinds
        },
    }


def _describe_dataset(name: str, dataset: Dataset, *, has_times: bool) -> dict[str, object]:
    count, faulty = len(dataset), int(dataset.faulty.sum())
    times = ["", ""] if not count else [_format_ts(dataset.ts.min()), _format_ts(dataset.ts.max())]
    return {
        "name": name,
        "windows": count,
        "faulty": faulty,
        "faulty_share": faulty / count if count else None,
        "times": times if has_times else [],
    }


def cleaning_variables(report: CleaningReport) -> dict[str, object]:
    """Return the variables for `cleaning.html.j2`."""
    return {
        # There are no box plots only if no window was checked, that is if the scope is "off".
        "is_disabled": not report.before,
        "scope": report.scope,
        "factor": report.factor,
        "windows": report.windows,
        "removed": report.removed,
        "removed_faulty": report.removed_faulty,
        "outliers": report.outliers,
    }


def split_variables(manifest: Manifest) -> dict[str, object]:
    """Return the variables for `split.html.j2`.

    They describe how the windows are divided into training, validation and test set.
    """
    settings = manifest.data["settings"]
    return {
        "is_random": settings["split"] == "random",
        "test_share": settings["test_share"],
        "validation_share": settings["validation_share"],
    }


def network_variables(findings: Findings) -> dict[str, object]:
    """Return the variables for `network.html.j2`: layers, threshold and all settings."""
    layers = [
        {
            "name": layer.name,
            "type": layer.layer_type,
            "parameter_count": sum(array.size for array in layer.arrays.values()),
        }
        for layer in findings.layers
    ]
    return {
        "layers": layers,
        "parameter_count": sum(array.size for layer in findings.layers for array in layer.arrays.values()),
        "threshold": findings.manifest.threshold,
        "settings": {
            name: _format_value(value)
            for name, value in findings.manifest.data["settings"].items()
            if name != "features"  # the section on the data lists them
        },
    }


def training_variables(findings: Findings) -> dict[str, object]:
    """Return the variables for `training.html.j2`."""
    return {
        "epochs": len(findings.history["loss"]),
        "best_epoch": find_best_epoch(findings.history),
        "class_weights": findings.manifest.data["class_weights"],
    }


def versions_variables(manifest: Manifest) -> dict[str, str]:
    """Return the library versions, keyed and sorted by library name."""
    return dict(sorted(manifest.versions.items()))


def _format_ts(ts: float) -> str:
    return datetime.fromtimestamp(float(ts), UTC).strftime("%Y-%m-%d %H:%M")


def _format_value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
