"""The decode stage under atheris, a fuzzer that searches for inputs which reach new branches.

`python -m tests.chaos.fuzz RUNS SEED FOLDER` prints a report as JSON. If an assertion of `DecodeChecker`
fails, it ends with a traceback and saves the input in FOLDER. It runs in its own process because libFuzzer
ends the process that it runs in.
"""

import json
import os
import sys
from pathlib import Path

import atheris

# Imported before the instrumentation, so not instrumented: atheris keeps the result of each comparison, and
# in this module results are arrays.
import monitor.ingest.columns  # noqa: F401

with atheris.instrument_imports(
    include=["monitor.ingest.decode", "monitor.ingest.formats.json_object", "monitor.core.topics"]
):
    from tests.chaos.decode_checker import DecodeChecker

from tests.chaos.memory import resident_mb
from tests.support.toy_bundle import HEALTHY, NAMES

__all__ = ["main"]

_DEFAULT_TOPIC = b"plant/line1/station7/reading"
_MAX_INPUT_BYTES = 4096
"""Decode treats all lengths below 1 MiB alike, and short inputs run faster."""
_TOKENS = ["ts", *NAMES, "1e309", "-1e308", "NaN", "Infinity", "1.7e12", "2026-01-01T00:00:00Z", "\\ud800"]


class _FuzzTarget:
    """The function under test; counts its runs and prints the report after the last one.

    The report has the resident memory after the first tenth of the runs and after the last.
    """

    def __init__(self, runs: int) -> None:
        self._decoder = DecodeChecker()
        self._max_runs = runs
        self._run_count = self._reading_count = self._rejected_count = 0
        self._first_mb = 0.0

    def __call__(self, data: bytes) -> None:
        """Run one input: topic, line feed, payload; without a line feed, a payload on a valid topic."""
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
    """Write the initial corpus and the dictionary, and run the fuzzer."""
    runs, seed, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    reading: dict[str, object] = {"ts": 1000.0}
    reading.update(zip(NAMES, HEALTHY, strict=True))
    for number, content in enumerate([reading, [reading, reading], reading | {"ts": "2026-01-01"}, {}]):
        payload = json.dumps(content).encode()
        (corpus / f"{number}").write_bytes(payload)
        (corpus / f"{number}-topic").write_bytes(b"g1/data\n" + payload)
    dictionary_file = folder / "dictionary"
    escaped = [token.replace("\\", "\\\\") for token in _TOKENS]
    dictionary_file.write_text("".join(f'"{token}"\n' for token in escaped))
    options = [
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-dict={dictionary_file}",
        "-verbosity=0",
    ]
    # `-artifact_prefix`: where an input that fails an assertion is saved.
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)], _FuzzTarget(runs))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
