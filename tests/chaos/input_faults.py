"""Faulty inputs: wrong event times, compared with a reference model, and inputs from a fuzzer."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

from tests.chaos.clock_faults import compare_with_reference_model
from tests.chaos.results import ResultRow
from tests.conftest import ROOT
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["fuzz", "send_wrong_timestamps"]

_GROUP_COUNT = 500
_INPUTS = {
    "decode": "bytes on any topic",
    "packets": "bytes from a broker",
    "payloads": "payload of any format",
    "operators": "request of an operator",
    "http": "bytes over HTTP",
    "settings": "settings file",
    "stores": "store",
    "bundles": "bundle",
    "models": "model",
}
_MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108, files in it have random names
_START_TIMEOUT_S, _RUN_TIMEOUT_S = 300.0, 0.5
"""Seconds for all runs together. One that hangs is ended earlier, by libFuzzer."""
_MAX_MEMORY_GROWTH_MB = 30.0
"""Caches fill, up to 20 MiB, and the fuzzer keeps inputs that reach new branches. A leak of one reading a run
would be far more."""


def send_wrong_timestamps(folder: Path, count: int, seed: int) -> ResultRow:
    """Compare the outcomes and windows of `count` readings with those of the reference model."""
    save_toy_bundle(folder / "bundle")
    comparison = compare_with_reference_model(folder / "bundle", count, seed, group_count=_GROUP_COUNT)
    row = ResultRow(
        "clock jumps, out-of-order, duplicate and future readings",
        comparison.reading_count,
        comparison.reading_count,
    )
    row.failures += comparison.differences
    row.notes.append(f"{dict(comparison.outcomes.most_common())}, {comparison.window_count} windows equal")
    return row


def fuzz(folder: Path, target: str, count: int, seed: int) -> ResultRow:
    """Run the coverage-guided fuzzer on one way into the monitor, `count` times.

    Parameters
    ----------
    target : a module of `tests.chaos.fuzzing` with a `Target`.
    """
    row = ResultRow(f"any {_INPUTS[target]} (atheris)", count)
    if find_spec("atheris") is None:
        row.notes.append("not run: atheris isn't installed")
        return row
    folder.mkdir(parents=True)
    memory = _MEMORY_FOLDER if _MEMORY_FOLDER.is_dir() else None  # each start writes files
    with TemporaryDirectory(dir=memory, prefix="fuzz-") as temporary:
        code, output, errors = _run_fuzzer(target, count, seed, Path(temporary))
        for artifact in Path(temporary).glob("*-*"):  # an input that failed: crash-..., timeout-..., oom-...
            shutil.move(artifact, folder)
    try:
        report = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        row.failures.append(f"exit code {code}: {errors[-2000:]}")
        return row
    growth = report["last_mb"] - report["first_mb"]
    row.notes.append(
        f"{report['accepted']} accepted; memory {report['first_mb']:.1f} MiB after a tenth, "
        f"{report['last_mb']:.1f} MiB at the end"
    )
    if code or report["runs"] < count:
        row.failures.append(f"exit code {code}: {errors[-2000:]}")
    if growth > _MAX_MEMORY_GROWTH_MB:
        row.failures.append(f"memory grew by {growth:.0f} MiB")
    return row


def _run_fuzzer(target: str, count: int, seed: int, folder: Path) -> tuple[int, str, str]:
    """Run the fuzzer in a process of its own; return its exit code and what it wrote."""
    command = [sys.executable, "-m", "tests.chaos.fuzzing", target, str(count), str(seed), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # it changes its working directory
    timeout = _START_TIMEOUT_S + count * _RUN_TIMEOUT_S
    # Files, because what it started may outlive it, and would hold a pipe open.
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env=environment, cwd=ROOT, start_new_session=True
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            return -1, "", f"not done within {timeout:.0f} s"
        finally:
            with suppress(ProcessLookupError):  # also what it started: libFuzzer ends it without a farewell
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        errors.seek(0)
        return code, output.read(), errors.read()
