"""Inputs that lie: about time, against a reference model; about everything, under a fuzzer."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.chaos.clock_faults import compare
from tests.chaos.results import Row
from tests.support.toy_bundle import save_toy_bundle

__all__ = ["fuzz_decode", "lie_about_time"]

_GROUPS = 500
_MOST_GROWTH = 0.10
"""Of a fuzzer, which collects what it finds interesting; a leak of a reading a run would be far more."""


def lie_about_time(folder: Path, count: int, seed: int) -> Row:
    """Compare outcomes and windows of so many readings with the reference model's."""
    save_toy_bundle(folder / "bundle")
    found = compare(folder / "bundle", count, seed, groups=_GROUPS)
    row = Row("clocks that jump, wrong order, doubles, the future", found.readings, found.readings)
    row.broken += found.differences
    row.notes.append(f"{dict(found.outcomes.most_common())}, {found.windows} windows equal")
    return row


def fuzz_decode(folder: Path, count: int, seed: int) -> Row:
    """Run the coverage-guided fuzzer on decode."""
    row = Row("any bytes on any topic (atheris)", count)
    if find_spec("atheris") is None:
        row.notes.append("not done: atheris isn't installed")
        return row
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.chaos.fuzz", str(count), str(seed), str(folder / "fuzz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        row.broken.append(done.stderr[-2000:])
        return row
    growth = found["last_mb"] / found["first_mb"] - 1
    row.notes.append(
        f"{found['readings']} readings, {found['refusals']} refusals; memory {found['first_mb']:.1f} MiB "
        f"after a tenth, {found['last_mb']:.1f} MiB at the end"
    )
    if done.returncode or found["runs"] < count:
        row.broken.append(done.stderr[-2000:])
    if growth > _MOST_GROWTH:
        row.broken.append(f"memory grew by {growth:.1%}")
    return row
