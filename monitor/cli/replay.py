"""`sensor-monitor replay`: publish a recording."""

import argparse
import os
from pathlib import Path

from monitor.cli import exit_codes
from monitor.cli.arguments import add_settings_arguments, non_negative_float
from monitor.cli.signals import stop_event

SUMMARY = "Publish a recording as a plant would send it."
DETAILS = (
    "Each reading goes to the topic that the settings read its group from, with the\nrecording's own times."
)
EXAMPLES = (
    "sensor-monitor replay plant.csv --config config/monitor.toml",
    "sensor-monitor replay plant.csv --speed 60",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("recording", type=Path, metavar="RECORDING", help="CSV or Parquet file")
    add_settings_arguments(parser, bundle=False)
    parser.add_argument(
        "--speed",
        type=non_negative_float,
        default=1.0,
        metavar="X",
        help="times real speed; 0: as fast as the broker takes it (default: 1)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Publish the recording until its end or a signal."""
    from monitor.cli.broker_client import build_session
    from monitor.cli.replayer import Replayer
    from monitor.config.loading import load_settings
    from monitor.core.topics import Template
    from monitor.recordings.reader import Recording
    from monitor.telemetry.logs import configure_logging

    settings = load_settings(arguments.config)
    configure_logging(settings.log.level, settings.log.format)
    stop = stop_event()
    templates = [Template(text) for text in settings.input.topics]
    replayer = Replayer(
        Recording(arguments.recording), templates, settings.input.fields, speed=arguments.speed
    )
    session = build_session(settings, f"sensor-replay-{os.getpid()}", replayer)
    replayer.run(session, settings.mqtt.qos, stop)
    print(f"published {replayer.published_count:,} readings")
    if replayer.first_problem:
        print(f"not all of them can be judged; the first: {replayer.first_problem}")
    if stop.is_set():
        return exit_codes.INTERRUPTED
    replayer.check_usable()
    return exit_codes.SUCCESS
