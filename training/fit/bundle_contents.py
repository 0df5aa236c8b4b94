"""Evaluates a trained network and writes the bundle: ONNX model, manifest, golden windows, report."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import python_version

import msgspec
import numpy as np

import monitor
from monitor import bundle
from monitor.bundle.model import Classifier, find_sensors
from monitor.bundle.scaler import Scaler
from monitor.core.rules import DEFAULT_THRESHOLD
from monitor.core.verdicts import FAULTY, NORMAL
from monitor.detect import drift
from training.config.settings import FitSettings
from training.data import baseline_windows
from training.data.dataset import Dataset
from training.data.prepare import PreparedData
from training.evaluate import permutation_importance, quality
from training.evaluate.bundle_comparison import Comparison
from training.evaluate.permutation_importance import Importance
from training.evaluate.quality import Evaluation
from training.faults.healthy_recordings import HealthyRecordings
from training.network import export, models, onnx_graph, weights
from training.network.capture_stderr import capture_stderr
from training.network.history import find_best_epoch
from training.network.train import TrainedNetwork
from training.report import model_card
from training.report.findings import Findings

__all__ = ["BundleContents", "build", "save", "save_without_report"]

# Number of windows for the permutation importance: enough to rank features and steps, in one or two seconds.
_WINDOWS_TO_EXPLAIN = 2000


@dataclass(frozen=True, slots=True, eq=False)
class BundleContents:
    """Everything of a bundle but its folder and its report."""

    findings: Findings
    """The manifest, and what the report shows."""
    onnx: bytes
    scaler: Scaler
    golden: bundle.GoldenFile
    keras_file: bytes


def build(
    prepared: PreparedData,
    trained: TrainedNetwork,
    settings: FitSettings,
    healthy: HealthyRecordings | None = None,
) -> BundleContents:
    """Evaluate the network on the test set, with ONNX Runtime as in the monitor; return the bundle to save.

    Parameters
    ----------
    healthy : the unlabelled recordings of `fit --healthy`; None if the recordings had labels.
    """
    scaler, test = prepared.scaler, prepared.test
    onnx = onnx_graph.to_onnx(trained.network)
    sensors = find_sensors(settings.judges, settings.quantities)
    classifier = Classifier(onnx, settings.steps, len(settings.features), sensors)
    evaluation = importance = None
    if len(test):
        scores = classifier.score(scaler.transform(test.windows))
        evaluation = quality.evaluate(
            test,
            scores,
            DEFAULT_THRESHOLD,
            prepared.sample_period,
            drawn_at_random=settings.split == "random",
        )
        importance = _measure_importance(classifier, prepared, settings) if evaluation.quality.found else None
    manifest = _build_manifest(prepared, trained, settings, evaluation, healthy)
    with capture_stderr():
        layers = weights.extract_layers(trained.network)
    findings = Findings(
        manifest=manifest,
        train=prepared.train,
        validation=prepared.validation,
        test=test,
        cleaning=prepared.cleaning,
        layers=layers,
        history=trained.history,
        evaluation=evaluation,
        importance=importance,
        healthy=healthy,
    )
    golden = export.build_golden(trained.network, scaler, prepared.train, manifest)
    return BundleContents(findings, onnx, scaler, golden, export.to_keras_file(trained.network))


def save(folder: Path, contents: BundleContents, comparison: Comparison | None = None) -> bundle.Manifest:
    """Write a bundle with its report, and load it, which checks it.

    Parameters
    ----------
    folder : the folder of the bundle; an existing bundle in it is replaced.
    comparison : the comparison with another bundle, for report and manifest; None if there was none.
    """
    findings = replace(contents.findings, comparison=comparison)
    if comparison:
        manifest = findings.manifest
        data = {**manifest.data, "comparison": comparison.as_dict()}
        findings = replace(findings, manifest=msgspec.structs.replace(manifest, data=data))
    extra = {"model.keras": contents.keras_file, **model_card.build(findings)}
    bundle.save(folder, findings.manifest, contents.onnx, contents.scaler, contents.golden, extra)
    return bundle.load(folder).manifest


def save_without_report(folder: Path, contents: BundleContents) -> None:
    """Write what the monitor needs of a bundle."""
    bundle.save(folder, contents.findings.manifest, contents.onnx, contents.scaler, contents.golden)


def _measure_importance(classifier: Classifier, prepared: PreparedData, settings: FitSettings) -> Importance:
    test = prepared.test
    return permutation_importance.compute_importance(
        prepared.scaler,
        classifier,
        DEFAULT_THRESHOLD,
        test.windows,
        test.faulty,
        seed=settings.seed,
        max_windows=_WINDOWS_TO_EXPLAIN,
        quantities=settings.quantities,
    )


def _build_manifest(
    prepared: PreparedData,
    trained: TrainedNetwork,
    settings: FitSettings,
    evaluation: Evaluation | None,
    healthy: HealthyRecordings | None,
) -> bundle.Manifest:
    arrays = models.get_weights(trained.network)
    features = settings.bundle_features
    baseline = baseline_windows.baseline_from_settings(settings)
    distribution = {
        name: drift.fit_distribution(column)
        for name, column in zip(settings.feature_names, prepared.healthy_readings.T, strict=True)
    }
    return bundle.Manifest(
        id=bundle.compute_bundle_id(
            arrays,
            prepared.scaler,
            features,
            settings.steps,
            DEFAULT_THRESHOLD,
            baseline,
            settings.judges,
        ),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        features=features,
        steps=settings.steps,
        sample_period=prepared.sample_period,
        threshold=DEFAULT_THRESHOLD,
        baseline=baseline,
        judges=settings.judges,
        ranges={name: (ranges.low, ranges.high) for name, ranges in distribution.items()},
        distribution=distribution,
        data={
            **_describe_training(prepared, trained, settings),
            **({"healthy": healthy.as_dict()} if healthy else {}),
        },
        quality=evaluation.quality.as_dict() if evaluation else {},
        versions=_collect_versions(),
    )


def _describe_training(
    prepared: PreparedData, trained: TrainedNetwork, settings: FitSettings
) -> dict[str, object]:
    return {
        **prepared.sources,
        "train": _count_windows(prepared.train),
        "validation": _count_windows(prepared.validation),
        "test": _count_windows(prepared.test),
        "cleaning": prepared.cleaning.as_dict(),
        "epochs": len(trained.history["val_loss"]),
        "best_epoch": find_best_epoch(trained.history),
        "class_weights": {NORMAL: trained.class_weights[0], FAULTY: trained.class_weights[1]},
        # The usual baseline, with which `evaluate --window` judges a window whose group is unknown.
        "normal": np.median(prepared.train.baselines, axis=0).tolist(),
        "settings": settings.model_dump(mode="json"),
    }


def _count_windows(dataset: Dataset) -> dict[str, int]:
    return {"windows": len(dataset), "faulty": int(dataset.faulty.sum())}


def _collect_versions() -> dict[str, str]:
    libraries = ("keras", "numpy", "onnxruntime", "pandas", "scikit-learn", "tensorflow", "onnx")
    return {
        "sensor-monitor": monitor.__version__,
        "python": python_version(),
        **{name: metadata.version(name) for name in libraries},
    }
