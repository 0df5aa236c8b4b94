"""`python -m tests.bench`: measures every row a few times over, and prints two tables."""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.bench import targets
from tests.bench.benchmarks import BENCHMARKS, bytes_per_group
from tests.bench.config import BenchConfig
from tests.bench.machine import describe_machine
from tests.bench.measurements import Measurement, format_number, summarize, table_lines, to_json

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
    benchmarks = [
        candidate
        for candidate in BENCHMARKS
        if not options.rows or set(options.rows) & set(candidate.keywords)
    ]
    if not benchmarks:
        parser.error(
            f"no row has any of these words: {'; '.join(candidate.name for candidate in BENCHMARKS)}"
        )
    config = BenchConfig(options.out, options.bundle, options.scale)
    rounds: list[list[Measurement]] = []
    failed_count = 0
    for round_ in range(1, options.rounds + 1):
        measurements: list[Measurement] = []
        for benchmark in benchmarks:
            started_at = time.monotonic()
            try:
                new_measurements = benchmark.run(config)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001, the others are to run, and pytest's failures are of this kind
                traceback.print_exc()
                failed_count += 1
                continue
            measurements += new_measurements
            text = "; ".join(
                f"{measurement.quantity} {format_number(measurement.value)}"
                for measurement in new_measurements
            )
            print(f"{round_}. {benchmark.name}: {text} ({time.monotonic() - started_at:.0f} s)", flush=True)
        rounds.append([*measurements, *bytes_per_group(measurements)])
    summaries = summarize(rounds)
    target_results = targets.evaluate_targets(rounds)
    metadata = {
        **describe_machine(),
        "rounds": options.rounds,
        "scale": options.scale,
        "rows not measured": failed_count,
    }
    header = ", ".join(f"{name} {value}" for name, value in metadata.items())
    text = "\n".join(
        [f"{header}.", "", *table_lines(summaries.values()), "", *targets.table_lines(target_results)]
    )
    (options.out / "table.md").write_text(text + "\n", encoding="utf-8")
    (options.out / "bench.json").write_text(
        to_json(summaries.values(), about=metadata, bars=target_results) + "\n"
    )
    print(f"\n{text}")
    return 1 if failed_count else 0


if __name__ == "__main__":
    sys.exit(main())
