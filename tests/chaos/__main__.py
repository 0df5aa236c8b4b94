"""`python -m tests.chaos`: runs every fault scenario at full length and prints a table of the results."""

import argparse
import random
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.chaos.broker_faults import kill_broker, restart_broker
from tests.chaos.clock_steps import step_clock
from tests.chaos.connection_faults import break_connection, disconnect_subscriber
from tests.chaos.input_faults import fuzz, send_wrong_timestamps
from tests.chaos.overload import flood
from tests.chaos.process_faults import (
    kill_monitor,
    start_before_broker,
    start_second_monitor,
    start_with_wrong_address,
)
from tests.chaos.refused_message import refuse_messages
from tests.chaos.results import ResultRow
from tests.chaos.soak import soak
from tests.chaos.store_faults import fill_disk, kill_during_commit, truncate_store
from tests.chaos.unread_log import leave_log_unread
from tests.chaos.value_faults import disturb_plant_of_values

__all__ = ["main"]

_FOLDER = Path("var/chaos")


@dataclass(frozen=True, slots=True)
class _Scenario:
    """A fault scenario: one row of the table."""

    name: str
    full_count: int
    """Count at scale 1: repetitions, seconds or readings, whichever `run` takes."""
    run: Callable[[Path, int, int], ResultRow]
    """Takes an empty folder, the scaled count and the seed."""


def _fuzz(target: str, folder: Path, count: int, seed: int) -> ResultRow:
    return fuzz(folder, target, count, seed)


_SCENARIOS = (
    _Scenario("kill monitor", 50, kill_monitor),
    _Scenario("values kill", 50, disturb_plant_of_values),
    _Scenario("restart broker", 20, restart_broker),
    _Scenario("kill broker", 10, kill_broker),
    _Scenario("break connection", 50, break_connection),
    _Scenario(
        "absent broker", 30, lambda folder, seconds, seed: start_before_broker(folder, 1, seed, seconds)
    ),
    _Scenario("wrong address", 1, start_with_wrong_address),
    _Scenario("kill commit", 20, kill_during_commit),
    _Scenario("fill disk", 20, fill_disk),
    _Scenario("truncate store", 20, truncate_store),
    _Scenario("two monitors", 1, start_second_monitor),
    _Scenario("absent subscriber", 10, disconnect_subscriber),
    _Scenario("refused messages", 50, refuse_messages),
    _Scenario("unread log", 20, leave_log_unread),
    _Scenario("wrong clocks", 1_000_000, send_wrong_timestamps),
    _Scenario("step clock", 20, step_clock),
    _Scenario("fuzz decode", 5_000_000, partial(_fuzz, "decode")),
    # A million together, by how long one takes.
    _Scenario("fuzz packets", 290_000, partial(_fuzz, "packets")),
    _Scenario("fuzz payloads", 290_000, partial(_fuzz, "payloads")),
    _Scenario("fuzz operators", 190_000, partial(_fuzz, "operators")),
    _Scenario("fuzz http", 99_000, partial(_fuzz, "http")),
    _Scenario("fuzz settings", 50_000, partial(_fuzz, "settings")),
    _Scenario("fuzz bundles", 50_000, partial(_fuzz, "bundles")),
    _Scenario("fuzz models", 1_000, partial(_fuzz, "models")),
    _Scenario("fuzz stores", 30_000, partial(_fuzz, "stores")),
    _Scenario("flood qos-1", 60, lambda folder, seconds, seed: flood(folder, seconds, seed, 1)),
    _Scenario("flood qos-0", 60, lambda folder, seconds, seed: flood(folder, seconds, seed, 0)),
    _Scenario("soak", 10_000_000, soak),
)
_COLUMNS = (
    "fault",
    "times",
    "readings confirmed",
    "readings lost",
    "alerts lost",
    "unexpected ids",
    "unresolved",
    "unexpected events",
    "duplicates (allowed)",
    "remarks",
)


def main() -> int:
    """Run the scenarios that the command line selects; return 1 if one of them found a problem."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("rows", nargs="*", help="run only rows whose name contains one of these words")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 runs a tenth of each row")
    options = parser.parse_args()
    scenarios = [
        scenario
        for scenario in _SCENARIOS
        if not options.rows or set(options.rows) & set(scenario.name.split())
    ]
    if not scenarios:
        names = ", ".join(scenario.name for scenario in _SCENARIOS)
        parser.error(f"no row's name contains any of these words; the rows are: {names}")
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    rows = []
    for scenario in scenarios:
        count = max(1, round(scenario.full_count * options.scale))
        print(f"{scenario.name}: {count:,}, seed {options.seed} ...", flush=True)
        started_at = time.monotonic()
        rows.append(_run_scenario(scenario, count, options.seed))
        summary = "; ".join(rows[-1].problems) or "as promised"
        print(f"{scenario.name}: {summary} ({time.monotonic() - started_at:.0f} s)", flush=True)
    table = "\n".join(
        [f"Commit {_git_commit()}, seed {options.seed}, scale {options.scale:g}.", "", *_table_lines(rows)]
    )
    (_FOLDER / "table.md").write_text(table + "\n", encoding="utf-8")
    print(f"\n{table}")
    return 1 if any(row.problems for row in rows) else 0


def _run_scenario(scenario: _Scenario, count: int, seed: int) -> ResultRow:
    """Run one scenario; keep its folder if it found a problem, delete it otherwise."""
    folder = _FOLDER / scenario.name.replace(" ", "-")
    try:
        row = scenario.run(folder.absolute(), count, seed)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001, the other rows must still run; pytest.fail raises BaseException
        traceback.print_exc()
        return ResultRow(scenario.name, count, failures=[f"{type(error).__name__}: {error}"])
    if not row.problems:
        shutil.rmtree(folder, ignore_errors=True)
    return row


def _table_lines(rows: list[ResultRow]) -> list[str]:
    lines = [_COLUMNS, ("---", *["---:"] * (len(_COLUMNS) - 2), "---")]
    for row in rows:
        counts = (
            row.repetitions,
            row.confirmed_readings,
            row.lost_windows,
            row.lost_alerts,
            row.unexpected_ids,
            row.unresolved_incidents,
            row.unexpected_events,
            row.duplicate_events,
        )
        remarks = "; ".join(dict.fromkeys([*(f"**{text}**" for text in row.failures), *row.notes]))
        lines.append((row.fault, *(f"{count:,}" for count in counts), remarks.replace("\n", " ")))
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _git_commit() -> str:
    result = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
