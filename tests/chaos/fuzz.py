"""Decode under atheris, which looks for inputs that reach new branches.

`python -m tests.chaos.fuzz RUNS SEED CORPUS` prints what it did as JSON, and dies with a traceback and the
input where the promise is broken. It is a process of its own because libFuzzer ends the one it runs in.
"""

import json
import os
import sys
from pathlib import Path

import atheris

# Imported before, so not instrumented: atheris keeps what each comparison gave, and here that is an array.
import monitor.ingest.columns  # noqa: F401

with atheris.instrument_imports(
    include=["monitor.ingest.decode", "monitor.ingest.formats.json_object", "monitor.core.topics"]
):
    from tests.chaos.decode_checker import Decoder

from tests.chaos.memory import resident_mb
from tests.support.toy_bundle import HEALTHY, NAMES

__all__ = ["main"]

_TOPIC = b"plant/line1/station7/reading"
_LONGEST = 4096  # bytes: decode doesn't look at length below a mebibyte, and short inputs are tried faster
_TOKENS = ["ts", *NAMES, "1e309", "-1e308", "NaN", "Infinity", "1.7e12", "2026-01-01T00:00:00Z", "\\ud800"]


class _Target:
    """Counts the runs, and looks at memory after the first tenth and after the last."""

    def __init__(self, runs: int) -> None:
        self._decoder = Decoder()
        self._runs = runs
        self._done = self._readings = self._refusals = 0
        self._first = 0.0

    def __call__(self, data: bytes) -> None:
        """Try one input: a topic, a line feed, a payload; without a line feed, a payload on a good topic."""
        topic, found, payload = data.partition(b"\n")
        readings, refusals = self._decoder.check(
            (topic if found else _TOPIC).decode(errors="replace"), payload if found else data
        )
        self._readings += readings
        self._refusals += refusals
        self._done += 1
        if self._done == max(1, self._runs // 10):
            self._first = resident_mb(os.getpid())
        if self._done == self._runs:
            print(
                json.dumps(
                    {
                        "runs": self._done,
                        "readings": self._readings,
                        "refusals": self._refusals,
                        "first_mb": self._first,
                        "last_mb": resident_mb(os.getpid()),
                    }
                ),
                flush=True,
            )


def main() -> None:
    """Run as a command."""
    runs, seed, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    reading: dict[str, object] = {"ts": 1000.0}
    reading.update(zip(NAMES, HEALTHY, strict=True))
    for number, content in enumerate([reading, [reading, reading], reading | {"ts": "2026-01-01"}, {}]):
        text = json.dumps(content).encode()
        (corpus / f"{number}").write_bytes(text)
        (corpus / f"{number}-topic").write_bytes(b"g1/data\n" + text)
    words = folder / "words"
    escaped = [token.replace("\\", "\\\\") for token in _TOKENS]
    words.write_text("".join(f'"{token}"\n' for token in escaped))
    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={_LONGEST}", f"-dict={words}", "-verbosity=0"]
    # An input that breaks the promise is kept here.
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)], _Target(runs))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
