"""Bundles from elsewhere whose texts tell a terminal, a log or a page to do something."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from monitor.bundle import BundleError, load
from monitor.cli.main import main

ESCAPES = {
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J",
    "8 bit": "\x9b2J",
    "line": "a\nb",
    "carriage": "all is well\r",
    "right to left": "\u202etxt",
    "isolate": "\u2066a",
    "separator": "a\u2028b",
    "no width": "a\u200bb",
    "tag": "a\U000e0041",
    "surrogate": "a\\ud800",
    "long": "x" * 10_000,
}


def _put(content: dict[str, Any], path: tuple[str | int, ...], text: str) -> None:
    *parents, last = path
    node: Any = content
    for part in parents:
        node = node[part]
    node[last] = text


PLACES: list[tuple[str | int, ...]] = [
    ("id",),
    ("created",),
    ("features", 0, "name"),
    ("features", 0, "unit"),
    ("features", 0, "quantity"),
    ("versions", "keras"),
    ("data", "recordings"),
    ("quality", "f1"),
]


@pytest.fixture
def folder(toy_bundle: Path, tmp_path: Path) -> Path:
    """A valid bundle that a test may attack with."""
    copy = tmp_path / "bundle"
    shutil.copytree(toy_bundle, copy)
    return copy


def _write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    names = [line.partition("  ")[2] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def _check(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what `check` prints of a bundle that it must refuse."""
    settings = folder.parent / "monitor.toml"
    settings.write_text(
        f'bundle = "{folder}"\n[store]\npath = "{folder.parent / "state.db"}"\n[http]\nport = 0\n'
    )
    assert main(["check", "--config", str(settings)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_text_reaches_the_terminal(
    folder: Path, place: tuple[str | int, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A text of the manifest with characters that can't be printed, or too long, is refused and not shown."""
    content = json.loads((folder / "manifest.json").read_text())
    old, new = json.dumps("FOREIGN"), json.dumps(text).replace("\\\\ud800", "\\ud800")
    _put(content, place, "FOREIGN")
    if place[0] == "features":  # the other files name the features too
        for name in ("scaler.json", "golden.json"):
            other = json.loads((folder / name).read_text())
            other["features"][0] = content["features"][0]["name"]
            _write(folder, name, json.dumps(other).replace(old, new).encode())
        if place[-1] == "name":
            content["ranges"]["FOREIGN"] = content["ranges"].pop("temperature_1")
    _write(folder, "manifest.json", json.dumps(content).replace(old, new).encode())
    error = _check(folder, capsys)
    assert error.startswith("sensor-monitor: bundle ")
    assert error.removesuffix("\n").isprintable()
    assert len(error) < 1000


@pytest.mark.parametrize("name", ["manifest.json", "scaler.json", "golden.json"])
@pytest.mark.parametrize(
    "content",
    [
        b'{"schema": 1, "\x1b[2J": 1}',
        b'{"schema": 1, "id": "a", "baseline": {"\x1b[2J": 1}}',
        b'{"schema": 1, "data": ' + b"[" * 100_000,
        b'{"schema": 1, "features": [["\\u001b[2J"]]}',
        b'{"schema": 1, "features": ["\xff"]}',
        b'{"schema": 1' + b" " * 1000,
        b"",
    ],
)
def test_json_that_attacks(
    folder: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON that is nested too deep, or has escapes in its names, is refused on one line."""
    _write(folder, name, content)
    assert _check(folder, capsys).removesuffix("\n").isprintable()


@pytest.mark.parametrize("name", ["a\x1b[2Jb", "-----BEGIN"])
def test_names_in_sums(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What SHA256SUMS says is shown only with escapes."""
    text = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(f"{name}\n{text}")
    assert _check(folder, capsys).removesuffix("\n").isprintable()
    digest = text[:64]
    (folder / "SHA256SUMS").write_text(text.replace(digest, "\x1b[2J" + digest[4:]))
    assert _check(folder, capsys).removesuffix("\n").isprintable()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 10**6),
        ("steps", 10**30),
        ("sample_period", 1e300),
        ("features", [{"name": f"f{number}", "unit": ""} for number in range(5000)]),
    ],
)
def test_numbers_that_would_fill_the_memory(folder: Path, field: str, value: Any) -> None:
    """Windows whose size is out of all proportion are refused."""
    content = json.loads((folder / "manifest.json").read_text())
    content[field] = value
    _write(folder, "manifest.json", json.dumps(content).encode())
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load(folder)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "__proto__<script>", "a b", "ts", "group", "", "Ä"])
@pytest.mark.parametrize("field", ["name", "quantity"])
def test_names_of_features(folder: Path, name: str, field: str) -> None:
    """A feature is named as in the settings, for its name is a column, a key and a label."""
    content = json.loads((folder / "manifest.json").read_text())
    content["features"][0][field] = name
    _write(folder, "manifest.json", json.dumps(content).encode())
    if field == "quantity" and not name:
        assert load(folder)
    else:
        with pytest.raises(BundleError, match=r"manifest\.json: .* is (no name of|a column)"):
            load(folder)
