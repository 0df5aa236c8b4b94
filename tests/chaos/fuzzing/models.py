"""Models from elsewhere, in a bundle whose other files are sound."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from monitor import bundle
from monitor.core.errors import BundleError
from tests.chaos.fuzzing.target import FuzzTarget, check_readable
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["Target"]

_MODEL, _SUMS = "model.onnx", "SHA256SUMS"


class Target(FuzzTarget):
    """Loads a bundle with a model; each is tried in a process, which takes a fraction of a second."""

    max_input_bytes = 16_384
    tokens = ("Loop", "Constant", "external_data", "location", "MatMul", "windows", "score")

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "bundle"
        save_toy_bundle(self._folder)
        self._model = (self._folder / _MODEL).read_bytes()
        self._sums = (self._folder / _SUMS).read_bytes()

    def seeds(self) -> Iterator[bytes]:
        """Yield the model."""
        yield self._model

    def run(self, data: bytes) -> bool:
        """Load one bundle; accepted if the model gives the scores of training."""
        old, new = (hashlib.sha256(content).hexdigest().encode() for content in (self._model, data))
        (self._folder / _MODEL).write_bytes(data)
        (self._folder / _SUMS).write_bytes(self._sums.replace(old, new))
        try:
            bundle.load(self._folder)
        except BundleError as error:
            check_readable(error)
            return False
        return True
