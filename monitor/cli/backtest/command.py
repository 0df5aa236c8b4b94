"""`sensor-monitor backtest`: judge a recording."""

import argparse
from pathlib import Path

from monitor.cli import exit_codes
from monitor.cli.arguments import add_settings_arguments, settings_from_flags
from monitor.cli.output import print_text

SUMMARY = "Judge a recording with the daemon's own stages."
DETAILS = (
    "Needs no broker. Writes the outcome and verdict that the daemon would have given\n"
    "each reading, and with --alerts-out the alerts that it would have sent; prints\n"
    "the alerts per day. A recording of single values (record --raw) is aligned into\n"
    "readings first, as the daemon does."
)
EXAMPLES = (
    "sensor-monitor backtest --bundle var/bundle --recording plant.csv --out scores.csv",
    "sensor-monitor backtest --recording plant.csv --out scores.csv --alerts-out events.jsonl",
    "sensor-monitor backtest --recording plant.csv --out scores.csv --propose raise_after=3",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_settings_arguments(parser)
    parser.add_argument("--recording", type=Path, required=True, metavar="F", help="CSV or Parquet file")
    parser.add_argument("--out", type=Path, required=True, metavar="SCORES.CSV", help="one row per reading")
    parser.add_argument("--alerts-out", type=Path, metavar="EVENTS.JSONL", help="one line per alert event")
    parser.add_argument(
        "--propose",
        nargs="+",
        action="extend",
        metavar="NAME=VALUE",
        help="other alert settings, such as raise_after=3: what would change with them",
    )


def run(arguments: argparse.Namespace) -> int:
    """Judge the recording and print a report."""
    from monitor.cli.backtest.runner import backtest
    from monitor.config.loading import load_settings, override_alerts
    from monitor.core.errors import RecordingError
    from monitor.recordings.values import open_recording
    from monitor.service.settings_to_features import load_bundle

    settings = load_settings(arguments.config, settings_from_flags(arguments))
    proposed = override_alerts(settings.alerts, arguments.propose) if arguments.propose else None
    recording = open_recording(arguments.recording)
    report = backtest(
        load_bundle(settings),
        settings,
        recording,
        arguments.out,
        arguments.alerts_out,
        proposed,
    )
    print_text(str(report))
    if not report.usable_count:
        raise RecordingError(f"{recording.path}: {report.describe_unusable()}")
    return exit_codes.SUCCESS
