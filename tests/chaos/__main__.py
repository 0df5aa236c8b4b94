"""`python -m tests.chaos`: every fault at full length, and a table of what came of it."""

import argparse
import random
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.broker_faults import kill_broker, restart_broker
from tests.chaos.connection_faults import absent_subscriber, break_connection
from tests.chaos.input_faults import fuzz_decode, lie_about_time
from tests.chaos.overload import flood
from tests.chaos.process_faults import absent_broker, kill_monitor, two_monitors, wrong_address
from tests.chaos.results import Row
from tests.chaos.soak import soak
from tests.chaos.store_faults import fill_disk, kill_in_commit, truncate_store

__all__ = ["main"]

_FOLDER = Path("var/chaos")


@dataclass(frozen=True, slots=True)
class _Plan:
    """A row of the table before it is run."""

    name: str
    full: int
    """How often or how long at full scale."""
    run: Callable[[Path, int, int], Row]


_PLANS = (
    _Plan("kill monitor", 50, kill_monitor),
    _Plan("restart broker", 20, restart_broker),
    _Plan("kill broker", 10, kill_broker),
    _Plan("break connection", 50, break_connection),
    _Plan("absent broker", 30, lambda folder, seconds, seed: absent_broker(folder, 1, seed, seconds)),
    _Plan("wrong address", 1, wrong_address),
    _Plan("kill commit", 20, kill_in_commit),
    _Plan("fill disk", 20, fill_disk),
    _Plan("truncate store", 20, truncate_store),
    _Plan("two monitors", 1, two_monitors),
    _Plan("absent subscriber", 10, absent_subscriber),
    _Plan("wrong clocks", 1_000_000, lie_about_time),
    _Plan("fuzz decode", 5_000_000, fuzz_decode),
    _Plan("flood qos-1", 60, lambda folder, seconds, seed: flood(folder, seconds, seed, 1)),
    _Plan("flood qos-0", 60, lambda folder, seconds, seed: flood(folder, seconds, seed, 0)),
    _Plan("soak", 10_000_000, soak),
)
_HEAD = (
    "fault",
    "times",
    "readings confirmed",
    "readings lost",
    "alerts lost",
    "second ids",
    "unresolved",
    "invented",
    "repeats (allowed)",
    "remarks",
)


def main() -> int:
    """Run what the command line asks for; return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("rows", nargs="*", help="words; only rows whose names have one of them")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 is a tenth of everything")
    options = parser.parse_args()
    plans = [p for p in _PLANS if not options.rows or set(options.rows) & set(p.name.split())]
    if not plans:
        parser.error(f"no row has any of these words: {', '.join(p.name for p in _PLANS)}")
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    rows = []
    for plan in plans:
        count = max(1, round(plan.full * options.scale))
        print(f"{plan.name}: {count:,}, seed {options.seed} ...", flush=True)
        began = time.monotonic()
        rows.append(_run(plan, count, options.seed))
        verdict = "; ".join(rows[-1].wrong) or "as promised"
        print(f"{plan.name}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    table = "\n".join(
        [f"Commit {_commit()}, seed {options.seed}, scale {options.scale:g}.", "", *_table(rows)]
    )
    (_FOLDER / "table.md").write_text(table + "\n", encoding="utf-8")
    print(f"\n{table}")
    return 1 if any(row.wrong for row in rows) else 0


def _run(plan: _Plan, count: int, seed: int) -> Row:
    """Run one row; what it leaves is kept where a promise was broken."""
    folder = _FOLDER / plan.name.replace(" ", "-")
    try:
        row = plan.run(folder.absolute(), count, seed)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001, the others are to run, and pytest's failures are of this kind
        traceback.print_exc()
        return Row(plan.name, count, broken=[f"{type(error).__name__}: {error}"])
    if not row.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return row


def _table(rows: list[Row]) -> list[str]:
    lines = [_HEAD, ("---", *["---:"] * (len(_HEAD) - 2), "---")]
    for row in rows:
        figures = (
            row.times, row.confirmed, row.lost, row.alerts_lost, row.second_ids, row.unresolved,
            row.invented, row.repeats,
        )  # fmt: skip
        remarks = "; ".join(dict.fromkeys([*(f"**{text}**" for text in row.broken), *row.notes]))
        lines.append((row.fault, *(f"{figure:,}" for figure in figures), remarks.replace("\n", " ")))
    return [f"| {' | '.join(line)} |" for line in lines]


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
