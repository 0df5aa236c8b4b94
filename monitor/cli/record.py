"""`sensor-monitor record`: write what the plant sends into a recording."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import exit_codes
from monitor.cli.arguments import add_seconds_argument, add_settings_arguments, settings_from_flags
from monitor.cli.signals import stop_event

if TYPE_CHECKING:
    from monitor.bundle.manifest import Manifest
    from monitor.cli.recorded_rows import RowConverter
    from monitor.config.settings import Settings

SUMMARY = "Write what the plant sends into a recording, beside a running monitor."
DETAILS = (
    "Listens as a client of its own, publishes nothing, and writes the readings that a\n"
    "monitor with these settings would accept; values of several messages are aligned as\n"
    "the monitor aligns them. With --raw it writes each value as it came, one a row. Ctrl-C\n"
    "ends it; whenever it ends, the file holds whole rows only."
)
EXAMPLES = (
    "sensor-monitor record --out plant.csv --config config/monitor.toml",
    "sensor-monitor record --out plant.csv --seconds 1860",
    "sensor-monitor record --raw --out values.csv --config config/monitor.toml",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--out", type=Path, required=True, metavar="F.csv", help="a file that doesn't exist yet"
    )
    parser.add_argument(
        "--raw", action="store_true", help="single values with their topics, not yet aligned into readings"
    )
    add_settings_arguments(parser)
    add_seconds_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Record until `--seconds` have passed or a signal arrives."""
    import secrets

    from monitor.cli.broker_client import build_session
    from monitor.cli.progress_line import ProgressLine
    from monitor.cli.recorder import Recorder
    from monitor.config.loading import load_settings
    from monitor.service.settings_to_features import load_bundle
    from monitor.telemetry.logs import configure_logging

    settings = load_settings(arguments.config, settings_from_flags(arguments))
    configure_logging(settings.log.level, settings.log.format)
    manifest = load_bundle(settings).manifest
    stop = stop_event()
    progress = ProgressLine(sys.stderr)
    recorder = Recorder(
        arguments.out,
        _build_converter(settings, manifest, raw=arguments.raw),
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
    if recorder.undecided_count:
        print(
            f"{recorder.undecided_count:,} sampling time(s) were not decided when it ended and are left out"
        )
    return exit_codes.SUCCESS if completed or arguments.seconds is None else exit_codes.INTERRUPTED


def _build_converter(settings: "Settings", manifest: "Manifest", *, raw: bool) -> "RowConverter":
    """Return what turns messages into rows.

    Raises
    ------
    ConfigurationError : the settings don't fit the bundle, or have no sources of single values.
    """
    from monitor.cli.recorded_rows import ReadingRows, ValueRows
    from monitor.service.settings_to_alignment import build_alignment
    from monitor.service.settings_to_decoder import build_decoder
    from monitor.service.settings_to_recordings import build_value_decoder

    features = manifest.feature_names
    if raw:
        return ValueRows(build_value_decoder(settings, features), features)
    return ReadingRows(
        build_decoder(settings, features),
        build_alignment(settings, features, manifest.sample_period),
        features,
        settings.windows.max_skew,
    )
