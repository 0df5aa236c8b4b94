"""`python -m tests.chaos.fuzzing TARGET RUNS SEED FOLDER` fuzzes one target and prints a report as JSON.

If an input crashes the target, breaks what it asserts, hangs, or needs too much memory, it ends with a
traceback and saves the input in FOLDER. It runs in its own process because libFuzzer ends the process that it
runs in.
"""

import importlib
import json
import logging
import os
import sys
from pathlib import Path

import atheris

# Imported before the instrumentation, so not instrumented: atheris keeps the result of each comparison, and
# in these modules results are arrays.
import monitor.ingest.columns
import monitor.ingest.message_batch  # noqa: F401
from tests.chaos.fuzzing.file_watch import FileWatch
from tests.chaos.fuzzing.target import FuzzTarget
from tests.chaos.memory import resident_mb

__all__ = ["main"]

_PACKAGES_WITHOUT_MONITOR = ["paho", "h11"]
# Of each request atheris keeps 1 KB, which would hide what the monitor keeps: without it memory doesn't grow.
_NOT_GUIDED = {"operators"}
_INPUT_TIMEOUT_S = 30
"""Seconds after which an input counts as hanging: none takes 1 s, but the machine may be busy."""
_MAX_MEMORY_MB = 2048


class _Counter:
    """The function that libFuzzer calls; counts its runs and prints the report after the last one.

    The report has the resident memory after the first tenth of the runs and after the last.
    """

    def __init__(self, target: FuzzTarget, watch: FileWatch, runs: int) -> None:
        self._target = target
        self._watch = watch
        self._max_runs = runs
        self._run_count = self._accepted_count = 0
        self._first_mb = 0.0

    def __call__(self, data: bytes) -> None:
        """Run one input."""
        self._accepted_count += self._target.run(data)
        self._watch.check()
        self._run_count += 1
        if self._run_count == max(1, self._max_runs // 10):
            self._first_mb = resident_mb(self._target.process_id)
        if self._run_count == self._max_runs:
            self._target.finish()
            self._watch.stop()
            report = {
                "runs": self._run_count,
                "accepted": self._accepted_count,
                "first_mb": self._first_mb,
                "last_mb": resident_mb(self._target.process_id),
            }
            print(json.dumps(report), flush=True)


def main() -> None:
    """Write the initial corpus and the dictionary, and run the fuzzer."""
    name, runs, seed, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    box, corpus = folder / "box", folder / "corpus"
    own = box / "outer" / "inner" / "own"  # so deep that `../..` stays in the box
    for path in (own, box / "cwd", box / "home", box / "tmp", corpus):
        path.mkdir(parents=True)
    os.environ |= {"HOME": str(box / "home"), "TMPDIR": str(box / "tmp")}
    os.chdir(box / "cwd")
    logging.disable()
    packages = _PACKAGES_WITHOUT_MONITOR if name in _NOT_GUIDED else ["monitor", *_PACKAGES_WITHOUT_MONITOR]
    with atheris.instrument_imports(include=packages):
        module = importlib.import_module(f"tests.chaos.fuzzing.{name}")
    target: FuzzTarget = module.Target(own)
    for number, content in enumerate(target.seeds()):
        (corpus / f"{number}").write_bytes(content)
    dictionary = folder / "dictionary"
    escaped = [token.replace("\\", "\\\\").replace('"', '\\"') for token in target.tokens]
    dictionary.write_text("".join(f'"{token}"\n' for token in escaped))
    watch = FileWatch(box, own)
    options = [
        f"-runs={runs}",
        f"-seed={seed}",
        f"-max_len={target.max_input_bytes}",
        "-len_control=0",  # inputs as long as the seeds from the first on
        f"-dict={dictionary}",
        f"-timeout={_INPUT_TIMEOUT_S}",
        f"-rss_limit_mb={_MAX_MEMORY_MB}",
        "-verbosity=0",
        f"-artifact_prefix={folder}/",  # where an input that fails is saved
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], _Counter(target, watch, runs))
    watch.start()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
