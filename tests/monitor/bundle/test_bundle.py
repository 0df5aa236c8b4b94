import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from monitor.bundle import Bundle, BundleError, Feature, GoldenFile, compute_bundle_id, load, save
from monitor.bundle.scaler import Scaler
from monitor.detect.baseline import BaselineSpec
from tests.support.toy_bundle import FAULTY, FEATURES, HEALTHY, NAMES, SCALER, STEPS, toy_manifest, toy_model

REQUIRED = ["manifest.json", "model.onnx", "scaler.json", "golden.json"]


@pytest.fixture
def folder(toy_bundle: Path, tmp_path: Path) -> Path:
    """A valid bundle that a test may damage."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    return copy


def _load_error(folder: Path) -> str:
    with pytest.raises(BundleError) as error:
        load(folder)
    text = str(error.value)
    assert text.startswith(f"bundle {folder}: ")
    assert "\n" not in text
    return text.removeprefix(f"bundle {folder}: ")


def _rewrite_sums(folder: Path) -> None:
    """Update SHA256SUMS after a change of files, so that the checks after the checksums are reached."""
    names = [line.partition("  ")[2] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def _edit_json(folder: Path, name: str, change: Callable[[Any], object]) -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    _rewrite_sums(folder)


def _write_model(folder: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    model = onnx.load_from_string((folder / "model.onnx").read_bytes())
    change(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    _rewrite_sums(folder)


def _set_limit(folder: Path, value: float) -> None:
    limit = numpy_helper.from_array(np.array(value, dtype=np.float32), "limit")
    _write_model(folder, lambda model: model.graph.initializer[1].CopyFrom(limit))


def _read_files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _score_examples(bundle: Bundle) -> list[float]:
    windows = np.array([[HEALTHY] * STEPS, [FAULTY] * STEPS])
    scores: list[float] = bundle.classifier.score(bundle.scaler.transform(windows)).round(3).tolist()
    return scores


def test_load(toy_bundle: Path) -> None:
    """A valid bundle loads with its manifest, its scaler, and a model that scores windows."""
    bundle = load(toy_bundle)
    manifest = bundle.manifest
    assert (manifest.feature_names, manifest.steps, manifest.threshold) == (NAMES, STEPS, 0.5)
    assert bundle.scaler.mean.tolist() == SCALER.mean.tolist()
    assert _score_examples(bundle) == [0.0, 1.0]


def test_sums_cover_every_file(toy_bundle: Path) -> None:
    """SHA256SUMS has a line for every other file of the bundle, in the format of `sha256sum`."""
    files = _read_files(toy_bundle)
    lines = files.pop("SHA256SUMS").decode().splitlines()
    expected = {f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items()}
    assert set(lines) == expected
    assert set(REQUIRED) < set(files)


def test_missing_folder(tmp_path: Path) -> None:
    """A missing folder is an error with the expected kind of folder."""
    assert "no such folder; expected one that `sensor-training fit" in _load_error(tmp_path / "none")


@pytest.mark.parametrize("name", [*REQUIRED, "SHA256SUMS"])
def test_missing_file(folder: Path, name: str) -> None:
    """The error names a missing file."""
    (folder / name).unlink()
    assert _load_error(folder) == f"{name}: is missing"


@pytest.mark.parametrize("length", [0, 5, -1])
@pytest.mark.parametrize("name", [*REQUIRED, "report/report.html"])
def test_truncated(folder: Path, name: str, length: int) -> None:
    """The error names a truncated file, also an optional one."""
    (folder / name).write_bytes((folder / name).read_bytes()[:length])
    assert _load_error(folder).startswith(f"{name}: its SHA-256 is ")


@pytest.mark.parametrize("position", [0, 0.5, 0.999])
@pytest.mark.parametrize("name", [*REQUIRED, "report/report.html"])
def test_one_byte_changed(folder: Path, name: str, position: float) -> None:
    """The error names a file with a changed byte, also an optional one."""
    content = bytearray((folder / name).read_bytes())
    content[int(position * len(content))] ^= 1
    (folder / name).write_bytes(content)
    assert _load_error(folder).startswith(f"{name}: its SHA-256 is ")


@pytest.mark.parametrize("part", ["digest", "separator", "name"])
@pytest.mark.parametrize("line", range(5))
def test_sums_changed(folder: Path, line: int, part: str) -> None:
    """SHA256SUMS with a changed byte in any line is rejected."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    column = {"digest": 10, "separator": 64, "name": 70}[part]
    lines[line] = lines[line][:column] + chr(ord(lines[line][column]) ^ 1) + lines[line][column + 1 :]
    (folder / "SHA256SUMS").write_text("\n".join(lines))
    assert _load_error(folder)


@pytest.mark.parametrize("length", [0, 60, 200])
def test_sums_truncated(folder: Path, length: int) -> None:
    """A truncated SHA256SUMS is rejected."""
    (folder / "SHA256SUMS").write_bytes((folder / "SHA256SUMS").read_bytes()[:length])
    assert _load_error(folder).startswith("SHA256SUMS: ")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "report/../../outside"])
def test_sums_stay_inside(folder: Path, name: str) -> None:
    """SHA256SUMS can't make the monitor read a file outside the bundle."""
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    assert _load_error(folder).startswith("SHA256SUMS: line 6 ")


def test_optional_files_may_be_absent(folder: Path) -> None:
    """A bundle without its report loads and gives the same scores."""
    shutil.rmtree(folder / "report")
    assert _score_examples(load(folder)) == [0.0, 1.0]


def _swap_features(content: Any) -> None:
    content["features"][0], content["features"][1] = content["features"][1], content["features"][0]


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("manifest.json", lambda m: m.update(schema=2), "schema version 2, this monitor reads version 1"),
        ("manifest.json", lambda m: m.update(schema=0), "schema version 0"),
        ("manifest.json", lambda m: m.pop("schema"), "schema"),
        ("manifest.json", lambda m: m.pop("threshold"), "threshold"),
        ("manifest.json", lambda m: m.update(steps="3"), "steps"),
        ("manifest.json", lambda m: m.update(steps=1), "steps must be at least 2, not 1"),
        ("manifest.json", lambda m: m.update(threshold=1.5), "threshold must lie between 0 and 1, not 1.5"),
        ("manifest.json", lambda m: m.update(sample_period=0), "sample_period must be above 0"),
        ("manifest.json", lambda m: m.update(baseline={"floors": [1.0]}), "floors must be 4 numbers above 0"),
        (
            "manifest.json",
            lambda m: m.update(baseline={"floors": [1.0], "version": 1}),
            "version must be one of (2, 3)",
        ),
        ("manifest.json", lambda m: m["ranges"].pop("humidity_1"), "ranges must name"),
        ("manifest.json", lambda m: m["ranges"].update(humidity_1=[9, 1]), "lowest below highest"),
        ("manifest.json", lambda m: m["features"].append(m["features"][0]), "must be distinct names"),
        ("manifest.json", lambda m: m["features"][2].update(unit="degF"), "temperature_2 degF"),
        ("manifest.json", _swap_features, "expected manifest.json's ['humidity_1', 'temperature_1'"),
        ("scaler.json", _swap_features, "features are ['humidity_1', 'temperature_1'"),
        ("golden.json", _swap_features, "features are ['humidity_1', 'temperature_1'"),
        ("scaler.json", lambda s: s.update(scale=[1, 1, 0, 1]), "scales must be above 0, not 0.0"),
        ("scaler.json", lambda s: s.update(mean=[1, 1], scale=[1, 1]), "2 means, expected 4"),
        ("scaler.json", lambda s: s.update(mean=[1, 1]), "2 means and 4 scales"),
        ("scaler.json", lambda s: s.update(mean=[20.0, 50.0, 20.1, 50.0]), "scores differ from training's"),
        ("golden.json", lambda g: g.update(windows=[], scores=[]), "expected windows of 3 x 4 numbers"),
        ("golden.json", lambda g: g["scores"].pop(), "expected windows of 3 x 4 numbers"),
        ("golden.json", lambda g: g["windows"][1].pop(), "expected windows of 3 x 4 numbers"),
        ("golden.json", lambda g: g.update(windows=[w[:2] for w in g["windows"]]), "expected windows of 3"),
        ("golden.json", lambda g: g["windows"][1][0].__setitem__(0, "x"), "golden.json"),
    ],
)
def test_invalid_content_with_valid_sums(
    folder: Path, name: str, change: Callable[[Any], object], reason: str
) -> None:
    """A file with a valid checksum and invalid content is rejected with the rule that it breaks."""
    _edit_json(folder, name, change)
    assert reason in _load_error(folder)


@pytest.mark.parametrize(
    ("shift", "is_valid"), [(0.9e-5, True), (1.1e-5, False), (-1.1e-5, False), (0.5, False)]
)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_golden_scores(folder: Path, index: int, shift: float, *, is_valid: bool) -> None:
    """A model whose score of any golden window differs from training's by more than 1e-5 is rejected."""
    _edit_json(folder, "golden.json", lambda g: g["scores"].__setitem__(index, g["scores"][index] + shift))
    if is_valid:
        assert load(folder)
    else:
        assert _load_error(folder).startswith("golden.json: the model's scores differ")


def test_other_weights(folder: Path) -> None:
    """A model with other weights than the trained ones is rejected because of its golden scores."""
    _set_limit(folder, 0.6)
    assert _load_error(folder).startswith("golden.json: the model's scores differ")


@pytest.mark.parametrize(
    ("model", "reason"),
    [(toy_model()[:200], "can't be loaded"), (toy_model(steps=4), "expected one input (window, 3, 4)")],
)
def test_model_of_other_window_shape(folder: Path, model: bytes, reason: str) -> None:
    """A model that can't be loaded, or that is for other windows, is rejected despite a valid checksum."""
    (folder / "model.onnx").write_bytes(model)
    _rewrite_sums(folder)
    message = _load_error(folder)
    assert message.startswith("model.onnx: ")
    assert reason in message


def test_model_with_nan_scores(folder: Path) -> None:
    """A model that gives NaN for the golden windows is rejected with a `BundleError`."""
    _set_limit(folder, np.nan)
    assert _load_error(folder)


def test_model_for_single_windows(folder: Path) -> None:
    """A model that takes only one window per call is rejected with a `BundleError`."""
    input_info = helper.make_tensor_value_info("windows", TensorProto.FLOAT, [1, STEPS, len(FEATURES)])
    _write_model(folder, lambda model: model.graph.input[0].CopyFrom(input_info))
    assert _load_error(folder)


def test_saving_replaces(folder: Path) -> None:
    """Saving over a bundle replaces it: files that the new bundle lacks are removed."""
    save(folder, toy_manifest(threshold=0.7), toy_model(), SCALER, _golden(folder))
    assert load(folder).manifest.threshold == 0.7
    assert set(_read_files(folder)) == {*REQUIRED, "SHA256SUMS"}
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("existing", [True, False])
def test_failing_save_leaves_nothing_behind(folder: Path, *, existing: bool) -> None:
    """If a save fails, an existing bundle is unchanged, and no files of the new bundle are left."""
    golden, before = _golden(folder), _read_files(folder)
    target = folder if existing else folder.parent / "other"
    impossible_file = {"model.onnx/no-folder": b"model.onnx is a file and not a folder"}
    with pytest.raises(OSError, match=r"model\.onnx"):
        save(target, toy_manifest(threshold=0.7), toy_model(), SCALER, golden, impossible_file)
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]
    assert _read_files(folder) == before


def _golden(folder: Path) -> GoldenFile:
    content = json.loads((folder / "golden.json").read_text())
    return GoldenFile(tuple(content["features"]), content["windows"], content["scores"])


WEIGHTS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, dtype=np.float32)]
ID = compute_bundle_id(WEIGHTS, SCALER, FEATURES, STEPS, 0.5)


@pytest.mark.parametrize(
    "weights",
    [
        [WEIGHTS[0] + np.float32(1e-6), WEIGHTS[1]],
        [WEIGHTS[0].reshape(3, 2), WEIGHTS[1]],
        [WEIGHTS[0].astype(np.float64), WEIGHTS[1]],
        WEIGHTS[::-1],
        WEIGHTS[:1],
    ],
)
def test_id_changes_with_the_weights(weights: list[np.ndarray]) -> None:
    """The id changes with any weight, and with the shapes, types, order and number of the weights."""
    assert compute_bundle_id(weights, SCALER, FEATURES, STEPS, 0.5) != ID


def test_id_changes_with_the_manifest() -> None:
    """The id changes with scaler, features, units, steps, threshold, baseline and what is judged."""
    ids = {
        ID,
        compute_bundle_id(WEIGHTS, Scaler(SCALER.mean + 1e-9, SCALER.scale), FEATURES, STEPS, 0.5),
        compute_bundle_id(WEIGHTS, Scaler(SCALER.mean, SCALER.scale + 1e-9), FEATURES, STEPS, 0.5),
        compute_bundle_id(WEIGHTS, SCALER, FEATURES[::-1], STEPS, 0.5),
        compute_bundle_id(WEIGHTS, SCALER, (Feature("t1", "degC"), *FEATURES[1:]), STEPS, 0.5),
        compute_bundle_id(WEIGHTS, SCALER, (Feature("temperature_1", "degF"), *FEATURES[1:]), STEPS, 0.5),
        compute_bundle_id(WEIGHTS, SCALER, FEATURES, 4, 0.5),
        compute_bundle_id(WEIGHTS, SCALER, FEATURES, STEPS, 0.51),
        compute_bundle_id(WEIGHTS, SCALER, FEATURES, STEPS, 0.5, BaselineSpec(floors=(1.0,) * 4)),
        compute_bundle_id(WEIGHTS, SCALER, FEATURES, STEPS, 0.5, BaselineSpec(floors=(1.0,) * 4), "sensor"),
    }
    assert len(ids) == 10


def test_id_is_deterministic() -> None:
    """The id is the same 16 hex digits for the same numbers, whatever their memory layout."""
    weights = [np.asfortranarray(WEIGHTS[0]), WEIGHTS[1].copy()]
    scaler = Scaler.from_numbers(SCALER.mean.tolist(), SCALER.scale.tolist())
    assert compute_bundle_id(weights, scaler, list(FEATURES), STEPS, 0.5) == ID
    assert (len(ID), int(ID, 16) > 0) == (16, True)
