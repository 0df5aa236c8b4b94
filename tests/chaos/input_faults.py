"""Faulty inputs: wrong event times, compared with a reference model, and arbitrary bytes from a fuzzer."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.chaos.clock_faults import compare_with_reference_model
from tests.chaos.results import ResultRow
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["fuzz_decode", "send_wrong_timestamps"]

_GROUP_COUNT = 500
_MAX_MEMORY_GROWTH = 0.10
"""The fuzzer itself grows, because it keeps inputs that reach new branches. A leak of one reading a run would
be far more."""


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


def fuzz_decode(folder: Path, count: int, seed: int) -> ResultRow:
    """Run the coverage-guided fuzzer on the decode stage, `count` times."""
    row = ResultRow("any bytes on any topic (atheris)", count)
    if find_spec("atheris") is None:
        row.notes.append("not run: atheris isn't installed")
        return row
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.chaos.fuzz", str(count), str(seed), str(folder / "fuzz")]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report = json.loads(process.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        row.failures.append(process.stderr[-2000:])
        return row
    growth = report["last_mb"] / report["first_mb"] - 1
    row.notes.append(
        f"{report['readings']} readings, {report['refusals']} refusals; memory {report['first_mb']:.1f} MiB "
        f"after a tenth, {report['last_mb']:.1f} MiB at the end"
    )
    if process.returncode or report["runs"] < count:
        row.failures.append(process.stderr[-2000:])
    if growth > _MAX_MEMORY_GROWTH:
        row.failures.append(f"memory grew by {growth:.1%}")
    return row
