"""Trained network -> the bundle's contents: model, manifest, golden windows, report."""

from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from platform import python_version

import numpy as np

import monitor
from monitor import bundle, drift
from monitor.classifier import Classifier
from training import evaluate, explain, export, graph, network, normals, report, weights
from training.dataset import STEPS, Dataset
from training.evaluate import Evaluation
from training.explain import Importance
from training.findings import Findings
from training.healthy import Healthy
from training.learn import Trained
from training.prepare import Prepared
from training.quiet import quiet
from training.recordings import FEATURES, NAMES
from training.settings import FitSettings

__all__ = ["THRESHOLD", "write"]

THRESHOLD = 0.5
# Enough to rank what the model leans on, within a second or two.
_WINDOWS_TO_EXPLAIN = 2000


def write(
    folder: Path,
    prepared: Prepared,
    trained: Trained,
    settings: FitSettings,
    healthy: Healthy | None = None,
) -> bundle.Manifest:
    """Measure the network on the test part as the monitor runs it, and write the bundle."""
    scaler, test = prepared.scaler, prepared.test
    onnx = graph.to_onnx(trained.network)
    judge = Classifier(onnx, STEPS, len(NAMES))
    evaluation = importance = None
    if len(test):
        scores = judge.score(scaler.transform(test.windows))
        evaluation = evaluate.evaluate(test, scores, THRESHOLD, prepared.sample_period)
        importance = _importance(judge, prepared, settings.seed) if evaluation.quality.found else None
    manifest = _manifest(prepared, trained, settings, evaluation, healthy)
    with quiet():
        layers = weights.layers(trained.network)
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
    golden = export.golden(trained.network, scaler, prepared.train, manifest.baseline)
    extra = {"model.keras": export.to_keras_file(trained.network), **report.build(findings)}
    bundle.save(folder, manifest, onnx, scaler, golden, extra)
    return bundle.load(folder).manifest


def _importance(judge: Classifier, prepared: Prepared, seed: int) -> Importance:
    test = prepared.test
    return explain.importance(
        prepared.scaler,
        judge,
        THRESHOLD,
        test.windows,
        test.faulty,
        seed=seed,
        at_most=_WINDOWS_TO_EXPLAIN,
    )


def _manifest(
    prepared: Prepared,
    trained: Trained,
    settings: FitSettings,
    evaluation: Evaluation | None,
    healthy: Healthy | None,
) -> bundle.Manifest:
    arrays = network.weights(trained.network)
    baseline = normals.described(settings)
    distribution = {name: drift.learn(column) for name, column in zip(NAMES, prepared.healthy.T, strict=True)}
    return bundle.Manifest(
        id=bundle.identify(arrays, prepared.scaler, FEATURES, STEPS, THRESHOLD, baseline),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        features=FEATURES,
        steps=STEPS,
        sample_period=prepared.sample_period,
        threshold=THRESHOLD,
        baseline=baseline,
        ranges={name: (one.low, one.high) for name, one in distribution.items()},
        distribution=distribution,
        data={
            **_describe(prepared, trained, settings),
            **({"healthy": healthy.as_dict()} if healthy else {}),
        },
        quality=evaluation.quality.as_dict() if evaluation else {},
        versions=_versions(),
    )


def _describe(prepared: Prepared, trained: Trained, settings: FitSettings) -> dict[str, object]:
    losses = trained.history["val_loss"]
    return {
        **prepared.sources,
        "train": _count(prepared.train),
        "validation": _count(prepared.validation),
        "test": _count(prepared.test),
        "cleaning": prepared.cleaning.as_dict(),
        "epochs": len(losses),
        "best_epoch": int(np.argmin(losses)) + 1,
        "normal": np.median(
            prepared.train.normals, axis=0
        ).tolist(),  # levels and units, where one is asked for
        "settings": settings.model_dump(mode="json"),
    }


def _count(part: Dataset) -> dict[str, int]:
    return {"windows": len(part), "faulty": int(part.faulty.sum())}


def _versions() -> dict[str, str]:
    libraries = ("keras", "numpy", "onnxruntime", "pandas", "scikit-learn", "tensorflow", "onnx")
    return {
        "sensor-monitor": monitor.__version__,
        "python": python_version(),
        **{name: metadata.version(name) for name in libraries},
    }
