"""`sensor-monitor record`: write what the plant sends into a recording."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import exit_codes
from monitor.cli.arguments import add_seconds_argument, add_settings_arguments, settings_from_flags
from monitor.cli.output import print_text
from monitor.cli.signals import stop_event

if TYPE_CHECKING:
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
    "sensor-monitor record --out pumps.csv --features vibration_1 vibration_2 --seconds 1860",
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
    parser.add_argument(
        "--features",
        nargs="+",
        metavar="NAME",
        help="what a reading consists of, for a plant without a bundle of its own (default: the bundle's)",
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
    from monitor.telemetry.logs import configure_logging

    settings = load_settings(arguments.config, settings_from_flags(arguments))
    configure_logging(settings.log.level, settings.log.format)
    if arguments.features:
        _check_features(arguments.features, has_bundle=arguments.bundle is not None)
    converter = _build_converter(settings, arguments.features, raw=arguments.raw)
    stop = stop_event()
    progress = ProgressLine(sys.stderr)
    recorder = Recorder(arguments.out, converter, on_progress=progress.show)
    # A random client id: with the monitor's own, the broker would end the monitor's session.
    session = build_session(
        settings, f"sensor-record-{secrets.token_hex(4)}", recorder, filters=settings.input.filters
    )
    try:
        completed = recorder.run(session, stop, arguments.seconds)
    finally:
        progress.close()
    if not recorder.written_count:
        print_text(f"{arguments.out}: not written, for it was stopped before there was a connection")
        return exit_codes.INTERRUPTED
    print_text(f"{arguments.out}: {recorder}")
    if recorder.undecided_count:
        print_text(
            f"{recorder.undecided_count:,} sampling time(s) were not decided when it ended and are left out"
        )
    return exit_codes.SUCCESS if completed or arguments.seconds is None else exit_codes.INTERRUPTED


def _check_features(names: list[str], *, has_bundle: bool) -> None:
    """Check the names of `--features`.

    Raises
    ------
    InvalidInputError : a name is none or comes twice, or there is a bundle that says what the features are.
    """
    from monitor.core.errors import InvalidInputError
    from monitor.core.feature_names import check_name

    if has_bundle:
        raise InvalidInputError("--features goes without --bundle, which says what a reading consists of")
    try:
        for name in names:
            check_name(name)
    except ValueError as error:
        raise InvalidInputError(f"--features: {error}") from None
    if len(set(names)) < len(names):
        raise InvalidInputError("--features: a name comes twice, expected distinct names")


def _build_converter(settings: "Settings", names: list[str] | None, *, raw: bool) -> "RowConverter":
    """Return what turns messages into rows.

    Parameters
    ----------
    names : names of the features; None: those of the bundle.

    Raises
    ------
    ConfigurationError : the settings don't fit the features, or have no sources of single values.
    """
    from monitor.cli.recorded_rows import ReadingRows, ValueRows
    from monitor.core.errors import ConfigurationError
    from monitor.service.settings_to_alignment import build_alignment, is_complete
    from monitor.service.settings_to_decoder import build_decoder
    from monitor.service.settings_to_features import load_bundle
    from monitor.service.settings_to_recordings import build_value_decoder

    period = settings.input.align.period
    if names is None:
        manifest = load_bundle(settings).manifest
        names, period = list(manifest.feature_names), period or manifest.sample_period
    if raw:
        return ValueRows(build_value_decoder(settings, names), names)
    if period is None and not all(is_complete(source, names) for source in settings.input.sources):
        raise ConfigurationError(
            "input.align.period is missing; expected it with --features, for no bundle says how often "
            "readings come"
        )
    return ReadingRows(
        build_decoder(settings, names),
        build_alignment(settings, names, period or 0.0),
        names,
        settings.windows.max_skew,
    )
