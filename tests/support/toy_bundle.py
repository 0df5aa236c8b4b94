"""A bundle that takes no training: a few ONNX operators whose score a test can predict."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from monitor.bundle import Feature, GoldenFile, Manifest, compute_bundle_id, save
from monitor.bundle.manifest import BaselineSpec, Distribution
from monitor.bundle.model import Classifier
from monitor.bundle.model_input import build_transform
from monitor.bundle.scaler import Scaler

FEATURES = (
    Feature("temperature_1", "degC"),
    Feature("humidity_1", "%RH"),
    Feature("temperature_2", "degC"),
    Feature("humidity_2", "%RH"),
)
STEPS = 3
NAMES = tuple(feature.name for feature in FEATURES)
SCALER = Scaler.from_numbers([20.0, 50.0, 20.0, 50.0], [10.0, 10.0, 10.0, 10.0])
RANGES = {name: (0.0, 40.0) if name.startswith("temperature") else (20.0, 80.0) for name in NAMES}
HEALTHY = [20.0, 50.0, 20.5, 50.0]
FAULTY = [20.0, 50.0, 30.0, 50.0]
"""The second temperature is 10 degC away from the first."""


def toy_model(steps: int = STEPS, features: int = len(FEATURES), extra_layers: int = 0) -> bytes:
    """Return sigmoid(20 x (largest |temperature_1 - temperature_2| / 10 - 0.5)) as an ONNX file.

    Parameters
    ----------
    steps, features : readings in a window, values in a reading.
    extra_layers : matrix products that don't change the score; each costs a microsecond or two per window.
    """
    weights = np.zeros((features, 1), dtype=np.float32)
    weights[0], weights[2] = 1, -1
    width = 256 if extra_layers else 1
    constants: dict[str, np.ndarray[Any, Any]] = {
        "difference": weights,
        "limit": np.array(0.5, dtype=np.float32),
        "steepness": np.array(20, dtype=np.float32),
        "axes": np.array([1], dtype=np.int64),
        "wide": np.zeros((steps * features, width), dtype=np.float32),
        "square": np.zeros((width, width), dtype=np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["windows", "difference"], ["apart"]),  # (window, step, 1)
        helper.make_node("Abs", ["apart"], ["distance"]),
        helper.make_node("ReduceMax", ["distance", "axes"], ["largest"], keepdims=0),  # (window, 1)
        helper.make_node("Sub", ["largest", "limit"], ["excess"]),
        helper.make_node("Mul", ["excess", "steepness"], ["logit"]),
        helper.make_node("Flatten", ["windows"], ["flat"]),  # (window, step * feature)
        helper.make_node("MatMul", ["flat", "wide"], ["layer0"]),
        *(
            helper.make_node("MatMul", [f"layer{number}", "square"], [f"layer{number + 1}"])
            for number in range(extra_layers)
        ),
        helper.make_node("ReduceSum", [f"layer{extra_layers}", "axes"], ["nothing"]),  # (window, 1), all 0
        helper.make_node("Add", ["logit", "nothing"], ["sum"]),
        helper.make_node("Sigmoid", ["sum"], ["score"]),
    ]
    return _to_model("windows", features, nodes, constants, steps)


def _to_model(
    input_name: str,
    width: int,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray[Any, Any]],
    steps: int = STEPS,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["window", steps, width])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["window", 1])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    model: bytes = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    onnx.checker.check_model(model)
    return model


def toy_sensor_model() -> bytes:
    """Return sigmoid(20 x (largest absolute deviation - 0.5)) of one sensor as an ONNX file."""
    constants: dict[str, np.ndarray[Any, Any]] = {
        "limit": np.array(0.5, dtype=np.float32),
        "steepness": np.array(20, dtype=np.float32),
        "axes": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Abs", ["deviations"], ["distance"]),  # (window, step, 1)
        helper.make_node("ReduceMax", ["distance", "axes"], ["largest"], keepdims=0),  # (window, 1)
        helper.make_node("Sub", ["largest", "limit"], ["excess"]),
        helper.make_node("Mul", ["excess", "steepness"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    return _to_model("deviations", 1, nodes, constants)


def toy_manifest(**changes: object) -> Manifest:
    """Return the toy bundle's manifest, with some fields changed."""
    values: dict[str, object] = {
        "id": compute_bundle_id([], SCALER, FEATURES, STEPS, 0.5),
        "created": "2026-01-01T00:00:00+00:00",
        "features": FEATURES,
        "steps": STEPS,
        "sample_period": 5.0,
        "threshold": 0.5,
        "ranges": RANGES,
        "data": {},
        "quality": {"f1": 1.0},
        "versions": {},
        **changes,
    }
    return Manifest(**values)  # type: ignore[arg-type]


def save_toy_sensor_bundle(folder: Path, **changes: object) -> None:
    """Write a bundle that judges sensor by sensor: Faulty beyond 5 units; changes as in `toy_manifest`."""
    scaler = Scaler.from_numbers([0.0] * len(FEATURES), [10.0] * len(FEATURES))
    distribution = {
        name: Distribution(-9.0, 9.0, (float(number),), (0.5, 0.5)) for number, name in enumerate(NAMES)
    }
    values: dict[str, object] = {
        "judges": "sensor",
        "baseline": BaselineSpec(floors=(0.1, 0.5, 0.1, 0.5)),
        "ranges": {name: (-1.0 - number, 1.0 + number) for number, name in enumerate(NAMES)},
        "distribution": distribution,
        **changes,
    }
    baselines = np.tile(np.array([[0.0] * 4, [1.0] * 4, HEALTHY]), (2, 1, 1))
    # The temperatures are 0.5 and 10 degC apart, so each is a half of it from what they have in common.
    golden = GoldenFile(
        NAMES, [[HEALTHY] * STEPS, [FAULTY] * STEPS], [_score(0.25), _score(5.0)], baselines.tolist()
    )
    save(folder, toy_manifest(**values), toy_sensor_model(), scaler, golden)


def _score(units: float) -> float:
    """Return the sensor model's score of a window whose largest deviation has this many units."""
    return float(1 / (1 + np.exp(-20 * (units / 10 - 0.5))))


def save_toy_bundle(folder: Path, *, extra_layers: int = 0, **changes: object) -> None:
    """Write the toy bundle into a folder; other parameters as in `toy_model` and `toy_manifest`."""
    model = toy_model(extra_layers=extra_layers)
    windows = np.array([[HEALTHY] * STEPS, [HEALTHY, HEALTHY, FAULTY], [FAULTY] * STEPS])
    manifest = toy_manifest(**changes)
    baselines = np.tile(np.array([HEALTHY, [1.0] * len(FEATURES), HEALTHY]), (len(windows), 1, 1))
    model_inputs = build_transform(manifest.quantities, has_baseline=manifest.baseline is not None).transform(
        windows, baselines
    )
    scores = Classifier(model, STEPS, len(FEATURES)).score(SCALER.transform(model_inputs))
    golden = GoldenFile(
        NAMES,
        windows.tolist(),
        scores.tolist(),
        baselines.tolist() if manifest.baseline is not None else None,
    )
    save(folder, manifest, model, SCALER, golden, {"report/report.html": b"<p>toy</p>"})
