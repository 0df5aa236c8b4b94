"""`sensor-monitor record`: write the plant's readings into a recording."""

import argparse
import sys
from pathlib import Path

from monitor.cli import exit_codes
from monitor.cli.arguments import add_seconds_argument, add_settings_arguments, settings_from_flags
from monitor.cli.signals import stop_event

SUMMARY = "Write what the plant sends into a recording, beside a running monitor."
DETAILS = (
    "Listens as a client of its own, publishes nothing, and writes the readings that a\n"
    "monitor with these settings would accept. Ctrl-C ends it; whenever it ends, the file\n"
    "holds whole rows only."
)
EXAMPLES = (
    "sensor-monitor record --out plant.csv --config config/monitor.toml",
    "sensor-monitor record --out plant.csv --seconds 1860",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="F.csv", help="a file that doesn't exist yet"
    )
    add_settings_arguments(parser)
    add_seconds_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Record until `--seconds` have passed or a signal arrives."""
    import secrets

    from monitor import bundle
    from monitor.bundle import default_bundle
    from monitor.cli.broker_client import build_session
    from monitor.cli.progress_line import ProgressLine
    from monitor.cli.recorder import Recorder
    from monitor.config.loading import load_settings
    from monitor.service.settings_to_sources import build_decoder
    from monitor.telemetry.logs import configure_logging

    settings = load_settings(arguments.config, settings_from_flags(arguments))
    configure_logging(settings.log.level, settings.log.format)
    features = bundle.load(default_bundle.choose_folder(settings.bundle)).manifest.feature_names
    stop = stop_event()
    progress = ProgressLine(sys.stderr)
    recorder = Recorder(
        arguments.out,
        build_decoder(settings, features),
        features,
        max_skew=settings.windows.max_skew,
        on_progress=progress.show,
    )
    # A random client id: with the monitor's own, the broker would end the monitor's session.
    session = build_session(
        settings, f"sensor-record-{secrets.token_hex(4)}", recorder, filters=settings.input.filters
    )
    try:
        completed = recorder.run(session, stop, arguments.seconds)
    finally:
        progress.close()
    if not recorder.written_count:
        print(f"{arguments.out}: not written, for it was stopped before there was a connection")
        return exit_codes.INTERRUPTED
    print(f"{arguments.out}: {recorder}")
    return exit_codes.SUCCESS if completed or arguments.seconds is None else exit_codes.INTERRUPTED
