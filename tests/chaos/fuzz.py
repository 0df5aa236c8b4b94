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
    from tests.chaos.decode_checker import DecodeChecker

from tests.chaos.memory import resident_mb
from tests.support.toy_bundle import HEALTHY, NAMES

__all__ = ["main"]

_DEFAULT_TOPIC = b"plant/line1/station7/reading"
_MAX_INPUT_BYTES = (
    4096  # bytes: decode doesn't look at length below a mebibyte, and short inputs are tried faster
)
_TOKENS = ["ts", *NAMES, "1e309", "-1e308", "NaN", "Infinity", "1.7e12", "2026-01-01T00:00:00Z", "\\ud800"]


class _FuzzTarget:
    """Counts the runs, and looks at memory after the first tenth and after the last."""

    def __init__(self, runs: int) -> None:
        self._decoder = DecodeChecker()
        self._max_runs = runs
        self._run_count = self._reading_count = self._rejected_count = 0
        self._first_mb = 0.0

    def __call__(self, data: bytes) -> None:
        """Try one input: a topic, a line feed, a payload; without a line feed, a payload on a good topic."""
        topic, separator, payload = data.partition(b"\n")
        reading_count, rejected_count = self._decoder.check(
            (topic if separator else _DEFAULT_TOPIC).decode(errors="replace"), payload if separator else data
        )
        self._reading_count += reading_count
        self._rejected_count += rejected_count
        self._run_count += 1
        if self._run_count == max(1, self._max_runs // 10):
            self._first_mb = resident_mb(os.getpid())
        if self._run_count == self._max_runs:
            print(
                json.dumps(
                    {
                        "runs": self._run_count,
                        "readings": self._reading_count,
                        "refusals": self._rejected_count,
                        "first_mb": self._first_mb,
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
        payload = json.dumps(content).encode()
        (corpus / f"{number}").write_bytes(payload)
        (corpus / f"{number}-topic").write_bytes(b"g1/data\n" + payload)
    dictionary_file = folder / "words"
    escaped = [token.replace("\\", "\\\\") for token in _TOKENS]
    dictionary_file.write_text("".join(f'"{token}"\n' for token in escaped))
    options = [
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-dict={dictionary_file}",
        "-verbosity=0",
    ]
    # An input that breaks the promise is kept here.
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)], _FuzzTarget(runs))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
