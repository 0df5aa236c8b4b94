"""`sensor-monitor replay`: publish a recording."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import exit_codes
from monitor.cli.arguments import add_settings_arguments, non_negative_float
from monitor.cli.output import print_text
from monitor.cli.signals import stop_event

if TYPE_CHECKING:
    from monitor.cli.replayed_messages import ReplayedMessages
    from monitor.config.settings import Settings

SUMMARY = "Publish a recording as a plant would send it."
DETAILS = (
    "Each reading goes to the topic that the settings read its group from, with the\n"
    "recording's own times. Values that were recorded with --raw go to the topics that they\n"
    "came by, in the format of the settings' source."
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
    from monitor.telemetry.logs import configure_logging

    settings = load_settings(arguments.config)
    configure_logging(settings.log.level, settings.log.format)
    stop = stop_event()
    messages = _build_messages(arguments.recording, settings)
    replayer = Replayer(messages, arguments.speed)
    session = build_session(settings, f"sensor-replay-{os.getpid()}", replayer)
    replayer.run(session, settings.mqtt.qos, stop)
    print_text(f"published {replayer.published_count:,} {messages.noun}s")
    if messages.first_problem:
        print_text(f"not all of them can be judged; the first: {messages.first_problem}")
    if stop.is_set():
        return exit_codes.INTERRUPTED
    replayer.check_usable()
    return exit_codes.SUCCESS


def _build_messages(path: Path, settings: "Settings") -> "ReplayedMessages":
    """Return the messages by which a recording is published.

    Raises
    ------
    RecordingError : the recording can't be read, or its messages can't be built.
    ConfigurationError : the settings don't fit the recording.
    """
    from monitor.cli.replayed_messages import ReadingMessages
    from monitor.cli.value_messages import ValueMessages
    from monitor.core.errors import RecordingError
    from monitor.core.topics import Template
    from monitor.recordings.values import ValueRecording, open_recording

    recording = open_recording(path)
    if isinstance(recording, ValueRecording):
        messages = ValueMessages(recording, settings)
        messages.check()
        return messages
    if settings.input.sources:
        raise RecordingError(
            f"{path}: has one reading a row, and nobody would read it where input.sources is set; expected "
            "values that `sensor-monitor record --raw` wrote, or settings with input.topics"
        )
    templates = [Template(text) for text in settings.input.topics]
    return ReadingMessages(recording, templates, settings.input.fields)
