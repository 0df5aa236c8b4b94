"""Bundles from elsewhere: files that were changed, with checksums that fit or don't."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from monitor import bundle
from monitor.bundle.graph import check_graph
from monitor.core.errors import BundleError
from tests.chaos.fuzzing.target import FuzzTarget, check_readable
from tests.support.toy_bundle import save_toy_bundle, save_toy_sensor_bundle

__all__ = ["Target"]

_SUMS = "SHA256SUMS"
_FILES = ("manifest.json", "scaler.json", "golden.json", _SUMS)
_GRAPH = len(_FILES)
"""Kind of input that is a model's graph, which `check_graph` judges before a model is loaded."""


class Target(FuzzTarget):
    """Loads a bundle; an input's first byte says which file the rest is, or that it is a model's graph.

    The model that is loaded is the bundle's own: it was tried once, so that no input starts a process.
    """

    max_input_bytes = 8192
    tokens = ("null", "1e309", "NaN", "\\u001b[2J", "../", "sensor", "window", "quantity", '"features":')

    def __init__(self, folder: Path) -> None:
        self._folders = [folder / "window", folder / "sensor"]
        save_toy_bundle(self._folders[0])
        save_toy_sensor_bundle(self._folders[1])
        for kind in self._folders:
            bundle.load(kind)
        self._contents = [{name: (kind / name).read_bytes() for name in _FILES} for kind in self._folders]

    def seeds(self) -> Iterator[bytes]:
        """Yield the files of a bundle that judges windows, and of one that judges sensors."""
        for number, (folder, contents) in enumerate(zip(self._folders, self._contents, strict=True)):
            for kind, name in enumerate(_FILES):
                yield bytes([kind << 1 | number]) + contents[name]
            yield bytes([_GRAPH << 1 | number]) + (folder / "model.onnx").read_bytes()

    def run(self, data: bytes) -> bool:
        """Load one bundle; accepted if it has no error, which else must be a readable line."""
        if not data:
            return False
        number, kind = data[0] & 1, (data[0] >> 1) % (len(_FILES) + 1)
        try:
            if kind == _GRAPH:
                check_graph(data[1:])
            else:
                self._load(number, _FILES[kind], data[1:])
        except BundleError as error:
            check_readable(error)
            return False
        return True

    def _load(self, number: int, name: str, content: bytes) -> None:
        """Load a bundle in which a file is another; its checksum fits, unless it is the checksums."""
        folder, contents = self._folders[number], self._contents[number]
        sums = contents[_SUMS]
        if name == _SUMS:
            sums = content
        else:
            old, new = (hashlib.sha256(part).hexdigest().encode() for part in (contents[name], content))
            sums = sums.replace(old, new)
            (folder / name).write_bytes(content)
        (folder / _SUMS).write_bytes(sums)
        try:
            bundle.load(folder)
        finally:
            (folder / name).write_bytes(contents[name])
            (folder / _SUMS).write_bytes(contents[_SUMS])
