"""`python -m tests.bench`: measures every row a few times over, and prints two tables."""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.bench import targets
from tests.bench.benchmarks import PLANS, bytes_a_group
from tests.bench.config import Setting
from tests.bench.machine import describe
from tests.bench.measurements import Figure, number, summarize, table, to_json

__all__ = ["main"]

_FOLDER = Path("var/bench")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; return 1 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("rows", nargs="*", help="words; only rows whose names have one of them")
    parser.add_argument(
        "--bundle", type=Path, required=True, help="what the monitor loads and the others use"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 sends a tenth")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="for table.md and bench.json")
    options = parser.parse_args(argv)
    plans = [p for p in PLANS if not options.rows or set(options.rows) & set(p.words)]
    if not plans:
        parser.error(f"no row has any of these words: {'; '.join(p.name for p in PLANS)}")
    setting = Setting(options.out, options.bundle, options.scale)
    rounds: list[list[Figure]] = []
    broken = 0
    for round_ in range(1, options.rounds + 1):
        figures: list[Figure] = []
        for plan in plans:
            began = time.monotonic()
            try:
                measured = plan.run(setting)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001, the others are to run, and pytest's failures are of this kind
                traceback.print_exc()
                broken += 1
                continue
            figures += measured
            text = "; ".join(f"{figure.quantity} {number(figure.value)}" for figure in measured)
            print(f"{round_}. {plan.name}: {text} ({time.monotonic() - began:.0f} s)", flush=True)
        rounds.append([*figures, *bytes_a_group(figures)])
    summaries = summarize(rounds)
    reached = targets.reached(rounds)
    about = {**describe(), "rounds": options.rounds, "scale": options.scale, "rows not measured": broken}
    head = ", ".join(f"{name} {value}" for name, value in about.items())
    text = "\n".join([f"{head}.", "", *table(summaries.values()), "", *targets.table(reached)])
    (options.out / "table.md").write_text(text + "\n", encoding="utf-8")
    (options.out / "bench.json").write_text(to_json(summaries.values(), about=about, bars=reached) + "\n")
    print(f"\n{text}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
