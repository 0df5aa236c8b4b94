"""`sensor-monitor check`: verify that `run` would start, and what messages would become."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.cli import exit_codes
from monitor.cli.arguments import add_settings_arguments, non_negative_float, settings_from_flags
from monitor.cli.output import print_text

if TYPE_CHECKING:
    from monitor.config.settings import Settings

SUMMARY = "Verify settings, bundle, store and port without starting."
DETAILS = (
    "Says what is wrong with them, as `run` would, and opens no connection unless\n"
    "--connect asks for it; then it waits up to 10 s for a reading that is usable, and\n"
    "exit code 1 says that readings came and none was. --sample says what one message\n"
    "would become, --listen what the plant's real messages become: groups, features,\n"
    "outcomes, and why something is refused; exit code 1 says that nothing was readable.\n"
    "A running monitor is not disturbed."
)
EXAMPLES = (
    "sensor-monitor check --config config/monitor.toml --connect",
    "sensor-monitor check --config config/monitor.toml --sample m.json --topic plant/a/b/reading",
    "sensor-monitor check --config config/monitor.toml --listen 60",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_settings_arguments(parser)
    parser.add_argument("--connect", action="store_true", help="try the broker too, and read what comes")
    parser.add_argument("--sample", type=Path, metavar="FILE", help="say what this payload would become")
    parser.add_argument("--topic", metavar="T", help="the topic that the payload of --sample came on")
    parser.add_argument(
        "--listen", type=non_negative_float, metavar="N", help="say what N seconds of the real topics become"
    )


def run(arguments: argparse.Namespace) -> int:
    """Verify the settings and everything they name, or read messages, and print the results."""
    from monitor.cli.broker_check import check_connection
    from monitor.cli.startup_checks import check_files
    from monitor.config.loading import load_settings
    from monitor.core.errors import InvalidInputError

    if (arguments.sample is None) != (arguments.topic is None):
        raise InvalidInputError("--sample and --topic go together: a payload, and the topic that it came on")
    settings = load_settings(arguments.config, settings_from_flags(arguments))
    if arguments.sample is not None:
        return _check_sample(settings, arguments.sample, arguments.topic)
    results = check_files(settings)
    print_text(f"settings {arguments.config or '(defaults)'}: ok\n{results}")
    if arguments.connect:
        check_connection(settings, print_text)
    if arguments.listen is not None:
        return _check_input(settings, arguments.listen)
    return exit_codes.SUCCESS


def _check_sample(settings: "Settings", file: Path, topic: str) -> int:
    import time

    from monitor.cli.sample_check import describe_sample
    from monitor.core.errors import OperationError
    from monitor.service.settings_to_features import load_bundle

    manifest = load_bundle(settings).manifest
    text, is_usable = describe_sample(settings, manifest, file, topic, time.time())
    print_text(text)
    if not is_usable:
        raise OperationError(f"{file}: nothing in it is usable as a message on {topic}")
    return exit_codes.SUCCESS


def _check_input(settings: "Settings", seconds: float) -> int:
    import secrets
    import sys

    from monitor.cli.broker_client import build_session
    from monitor.cli.input_check import InputCheck
    from monitor.cli.progress_line import ProgressLine
    from monitor.cli.signals import stop_event
    from monitor.core.errors import OperationError
    from monitor.telemetry.logs import configure_logging

    configure_logging(settings.log.level, settings.log.format)
    stop = stop_event()
    progress = ProgressLine(sys.stderr)
    check = InputCheck(settings, on_progress=progress.show)
    # A random client id: with the monitor's own, the broker would end the monitor's session.
    session = build_session(
        settings, f"sensor-check-{secrets.token_hex(4)}", check, filters=settings.input.filters
    )
    try:
        completed = check.run(session, stop, seconds)
    finally:
        progress.close()
    print_text(check.report.describe())
    if not check.report.usable_count:
        raise OperationError(f"input: nothing usable came within {check.report.seconds:.0f} s")
    return exit_codes.SUCCESS if completed else exit_codes.INTERRUPTED
