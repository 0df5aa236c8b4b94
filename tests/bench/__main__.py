"""`python -m tests.bench`: runs every benchmark in several rounds, and prints two tables."""

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import targets
from tests.bench.benchmarks import BENCHMARKS, Benchmark, bytes_per_group
from tests.bench.config import BenchConfig
from tests.bench.machine import describe_machine
from tests.bench.measurements import Measurement, format_number, summarize, table_lines, to_json

__all__ = ["main"]

_FOLDER = Path("var/bench")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the command line selects; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("rows", nargs="*", help="run only rows whose name contains one of these words")
    parser.add_argument(
        "--bundle", type=Path, required=True, help="bundle of the monitor and of the clients that judge"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 sends a tenth of the messages")
    parser.add_argument("--out", type=Path, default=_FOLDER, help="folder for table.md and bench.json")
    options = parser.parse_args(argv)
    benchmarks = [
        benchmark
        for benchmark in BENCHMARKS
        if not options.rows or set(options.rows) & set(benchmark.keywords)
    ]
    if not benchmarks:
        names = "; ".join(benchmark.name for benchmark in BENCHMARKS)
        parser.error(f"no row's name contains any of these words; the rows are: {names}")
    config = BenchConfig(options.out, options.bundle, options.scale)
    rounds: list[list[Measurement]] = []
    failed_count = 0
    for number in range(1, options.rounds + 1):
        measurements, failed = _run_round(number, benchmarks, config)
        rounds.append(measurements)
        failed_count += failed
    metadata = {
        **describe_machine(),
        "rounds": options.rounds,
        "scale": options.scale,
        "rows not measured": failed_count,
    }
    _write_results(options.out, rounds, metadata)
    return 1 if failed_count else 0


def _run_round(
    number: int, benchmarks: Sequence[Benchmark], config: BenchConfig
) -> tuple[list[Measurement], int]:
    """Run each benchmark once; return the measurements, and how many benchmarks failed."""
    measurements: list[Measurement] = []
    failed_count = 0
    for benchmark in benchmarks:
        started_at = time.monotonic()
        try:
            new_measurements = benchmark.run(config)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001, the other rows must still run; pytest.fail raises BaseException
            traceback.print_exc()
            failed_count += 1
            continue
        measurements += new_measurements
        text = "; ".join(
            f"{measurement.quantity} {format_number(measurement.value)}" for measurement in new_measurements
        )
        print(f"{number}. {benchmark.name}: {text} ({time.monotonic() - started_at:.0f} s)", flush=True)
    return [*measurements, *bytes_per_group(measurements)], failed_count


def _write_results(folder: Path, rounds: list[list[Measurement]], metadata: dict[str, Any]) -> None:
    """Print the two tables, and write them and the JSON file."""
    summaries = summarize(rounds)
    target_results = targets.evaluate_targets(rounds)
    header = ", ".join(f"{name} {value}" for name, value in metadata.items())
    text = "\n".join(
        [f"{header}.", "", *table_lines(summaries.values()), "", *targets.table_lines(target_results)]
    )
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    (folder / "bench.json").write_text(
        to_json(summaries.values(), about=metadata, bars=target_results) + "\n"
    )
    print(f"\n{text}")


if __name__ == "__main__":
    sys.exit(main())
