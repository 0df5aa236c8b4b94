"""Models from elsewhere that never end, take all memory, or read what lies about."""

import hashlib
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from monitor.bundle import BundleError, load
from monitor.bundle.model import Classifier
from monitor.bundle.trial import TrialLimits, try_model
from monitor.cli.main import main
from tests.conftest import Mosquitto
from tests.security.plant import Plant
from tests.support.processes import Monitor, run_monitor
from tests.support.toy_bundle import FEATURES, STEPS, toy_model

Arrays = dict[str, Any]
AXES = np.array([1, 2], np.int64)
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
LOOPS = 2**62
YES = np.ones((), np.bool_)


def _node(operator: str, inputs: str, outputs: str = "score", **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def _info(name: str, kind: int, shape: Sequence[int | str] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(nodes: Sequence[NodeProto], arrays: Arrays | None = None, **parts: Any) -> onnx.ModelProto:
    """Return a model: windows (window, step, feature) -> score (window, 1)."""
    graph = helper.make_graph(
        nodes,
        "attack",
        [_info("windows", FLOAT, ["window", STEPS, len(FEATURES)])],
        [_info("score", FLOAT, ["window", 1])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (arrays or {}).items()],
    )
    parts.setdefault("opset_imports", [helper.make_opsetid("", 18)])
    return helper.make_model(graph, ir_version=9, **parts)


_HIGHEST = _node("ReduceMax", "windows axes", "highest", keepdims=0)  # (window,)


def _loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [_node("Identity", "go_on", "goes_on"), _node("Identity", "before", "after")],
        "body",
        [_info("number", INT64, []), _info("go_on", BOOL, []), _info("before", FLOAT)],
        [_info("goes_on", BOOL, []), _info("after", FLOAT)],
    )
    nodes = [_HIGHEST, _node("Loop", "count yes highest", body=body)]
    return _model(nodes, {"axes": AXES, "count": np.array(LOOPS), "yes": YES})


def _loop_for_some_windows() -> onnx.ModelProto:
    """A loop that is as long as a value is large: no trial with other values finds it."""
    body = helper.make_graph(
        [_node("Identity", "go_on", "goes_on"), _node("Identity", "before", "after")],
        "body",
        [_info("number", INT64, []), _info("go_on", BOOL, []), _info("before", FLOAT)],
        [_info("goes_on", BOOL, []), _info("after", FLOAT)],
    )
    nodes = [
        _HIGHEST,
        _node("ReduceMax", "highest", "top", keepdims=0),
        _node("Cast", "top", "count", to=INT64),
        _node("Loop", "count yes highest", body=body),
    ]
    return _model(nodes, {"axes": AXES, "yes": YES})


def _branch_with_loop() -> onnx.ModelProto:
    branch = helper.make_graph([_node("Identity", "windows", "out")], "branch", [], [_info("out", FLOAT)])
    return _model([_node("If", "yes", then_branch=branch, else_branch=branch)], {"yes": YES})


def _function() -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ours", 1)]
    function = helper.make_function(
        "ours", "Relu", ["x"], ["y"], [_node("Loop", "x x x", "y")], [helper.make_opsetid("", 18)]
    )
    return _model([_node("Relu", "windows", domain="ours")], opset_imports=opsets, functions=[function])


def _external(location: str) -> onnx.ModelProto:
    model = _model(
        [_node("MatMul", "windows weights", "apart"), _node("ReduceMax", "apart axes", keepdims=0)],
        {"weights": np.zeros((len(FEATURES), 1), np.float32), "axes": AXES[:1]},
    )
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    return model


def _external_in_constant() -> onnx.ModelProto:
    tensor = _external("weights.bin").graph.initializer[0]
    return _model([helper.make_node("Constant", [], ["score"], value=tensor)])


def _fill(count: int) -> onnx.ModelProto:
    return _model([_node("ConstantOfShape", "shape")], {"shape": np.array([count])})


def _many_weights() -> onnx.ModelProto:
    model = _model([_node("Add", "windows many")], {"many": np.zeros(1, np.float32)})
    model.graph.initializer[0].dims[:] = [2**40]
    return model


def _sparse() -> onnx.ModelProto:
    model = _model([_node("Add", "windows many")])
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name = "many"
    sparse.dims[:] = [2**40]
    return model


def _custom() -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return _model([_node("Gelu", "windows", domain="com.microsoft")], opset_imports=opsets)


REFUSED = {
    "loop": (_loop(), "operator Loop"),
    "loop for some windows": (_loop_for_some_windows(), "operator Cast"),
    "branch": (_branch_with_loop(), "operator If"),
    "function": (_function(), "has functions"),
    "scan": (_model([_node("Scan", "windows", num_scan_inputs=1)]), "operator Scan"),
    "external weights": (_external("weights.bin"), "in another file"),
    "password as weights": (_external("/etc/passwd"), "in another file"),
    "external constant": (_external_in_constant(), "operator Constant"),
    "tensor as attribute": (
        _model([helper.make_node("Relu", ["windows"], ["score"], value=_external("x").graph.initializer[0])]),
        "as attribute",
    ),
    "terabytes": (_fill(2**40), "operator ConstantOfShape"),
    "terabytes of weights": (_many_weights(), "weights, expected at most"),
    "sparse terabytes": (_sparse(), "sparse weights"),
    "range": (_model([_node("Range", "a b a")], {"a": np.array(1), "b": np.array(2**62)}), "operator Range"),
    "expand": (_model([_node("Expand", "windows s")], {"s": np.array([2**40])}), "operator Expand"),
    "tile": (_model([_node("Tile", "windows s")], {"s": np.array([2**40, 1, 1])}), "operator Tile"),
    "custom operator": (_custom(), "operators of 'com.microsoft'"),
    "nodes": (_model([_node("Relu", "windows")] * 2_001), "2,001 nodes"),
    "megabytes of a name": (_model([_node("Relu", "w" * 2_000_000)]), "model.onnx: can't be loaded"),
    "escape": (_model([_node("\x1b[2J", "windows")]), r"operator \x1b[2J"),
}


def _grow_constants() -> onnx.ModelProto:
    """Two vectors of 3 million weights, whose sum has 36 TB."""
    arrays = {"row": np.ones((1, 3_000_000), np.float32), "column": np.ones((3_000_000, 1), np.float32)}
    nodes = [_node("Add", "row column", "large"), _node("ReduceMax", "large axes")]
    return _model(nodes, arrays | {"axes": AXES[:1]})


def _grow_windows(doublings: int) -> onnx.ModelProto:
    """Windows that are doubled again and again."""
    nodes = [_node("Concat", f"v{number} v{number}", f"v{number + 1}", axis=1) for number in range(doublings)]
    last = _node("ReduceMax", f"v{doublings} axes", keepdims=0)
    arrays = {"narrow": np.ones((len(FEATURES), 1), np.float32), "axes": AXES[:1]}
    return _model([_node("MatMul", "windows narrow", "v0"), *nodes, last], arrays)


def _work() -> onnx.ModelProto:
    """Two thousand products of large matrices."""
    nodes = [_node("MatMul", f"v{number} square", f"v{number + 1}") for number in range(1_900)]
    sizes = {"wide": (len(FEATURES), 1000), "square": (1000, 1000), "narrow": (1000, 1)}
    arrays = {name: np.ones(shape, np.float32) for name, shape in sizes.items()}
    last = [_node("MatMul", "v1900 narrow", "end"), _node("ReduceMax", "end axes", keepdims=0)]
    return _model([_node("MatMul", "windows wide", "v0"), *nodes, *last], arrays | {"axes": AXES[:1]})


EXHAUSTING = {
    "terabytes of constants": _grow_constants(),
    "terabytes of windows": _grow_windows(40),
    "1.6 GB of windows": _grow_windows(18),
}


@pytest.fixture
def folder(toy_bundle: Path, tmp_path: Path) -> Path:
    """A valid bundle that a test may attack with."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    return copy


def _put_model(folder: Path, content: bytes) -> None:
    (folder / "model.onnx").write_bytes(content)
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(content).hexdigest()
    lines = [f"{digest}  model.onnx" if line.endswith("  model.onnx") else line for line in lines]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", REFUSED)
def test_check_refuses(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` refuses a model with a loop, with weights elsewhere, or of a size that it only claims."""
    model, reason = REFUSED[name]
    _put_model(folder, model.SerializeToString())
    monkeypatch.chdir(folder.parent)
    Path("weights.bin").write_bytes(bytes(16))
    Path("monitor.toml").write_text('bundle = "bundle"\n[store]\npath = "state.db"\n[http]\nport = 0\n')
    assert main(["check", "--config", "monitor.toml"]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.removesuffix("\n").isprintable()
    assert len(error) < 1500


@pytest.mark.parametrize("name", EXHAUSTING)
def test_what_only_a_trial_finds(folder: Path, name: str) -> None:
    """A model of harmless operators that takes too much memory or time is refused by the trial."""
    _put_model(folder, EXHAUSTING[name].SerializeToString())
    with pytest.raises(BundleError, match=r"model\.onnx: can't (be loaded|score)"):
        load(folder)


def test_deadline() -> None:
    """A process that doesn't answer is ended at its deadline."""
    with pytest.raises(BundleError, match="not loaded within 0 s"):
        try_model(toy_model(), STEPS, len(FEATURES), TrialLimits(deadline_s=0.0))


def test_processor_time() -> None:
    """A process that takes too much time of a processor is ended."""
    limits = TrialLimits(cpu_s=1, batch_s=60.0)
    with pytest.raises(BundleError, match="takes more than 1 s"):
        try_model(_work().SerializeToString(), STEPS, len(FEATURES), limits)
    with pytest.raises(BundleError, match="s for 1 windows, expected at most -1 s"):
        try_model(toy_model(), STEPS, len(FEATURES), TrialLimits(batch_s=-1.0))


def test_another_format() -> None:
    """A file that is also one of ONNX Runtime's own format is read as what was checked."""
    content = b"\x0a\x06\0\0ORTM" + toy_model()  # for protobuf, a field that is unknown
    try_model(content, STEPS, len(FEATURES))
    scores = Classifier(content, STEPS, len(FEATURES)).score(np.zeros((1, STEPS, len(FEATURES)), np.float32))
    assert scores < 0.5


def test_reload_goes_on(mosquitto: Mosquitto, folder: Path, toy_bundle: Path, tmp_path: Path) -> None:
    """A running monitor refuses such a model, keeps its own, and takes the next bundle."""
    with run_monitor(Monitor(tmp_path, folder, mosquitto.port)) as monitor:
        assert monitor.process is not None
        for model in (_loop(), _grow_windows(40), _external("weights.bin")):
            refused = monitor.log().count("reload refused")
            _put_model(folder, model.SerializeToString())
            os.kill(monitor.process.pid, signal.SIGHUP)
            monitor.wait_for_metric(refused + 1, "reloads_total", result="refused")
        assert monitor.get("/livez")[0] == 200
        _put_model(folder, (toy_bundle / "model.onnx").read_bytes())
        os.kill(monitor.process.pid, signal.SIGHUP)
        monitor.wait_for_metric(1, "reloads_total", result="done")


def test_reload_at_work(folder: Path, tmp_path: Path) -> None:
    """Reloads of models that take all memory or time neither delay alerts nor cost a reading."""
    with Plant(tmp_path, folder) as plant:
        monitor = plant.monitor
        assert monitor.process is not None
        for number, model in enumerate((_loop(), _grow_windows(18), _external("weights.bin")), start=1):
            _put_model(folder, model.SerializeToString())
            os.kill(monitor.process.pid, signal.SIGHUP)
            plant.turn_faulty()
            monitor.wait_for_metric(number, "reloads_total", result="refused")
        plant.assert_unharmed()
