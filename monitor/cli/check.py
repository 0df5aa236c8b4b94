"""`sensor-monitor check`: verify that `run` would start."""

import argparse

from monitor.cli import exit_codes
from monitor.cli.arguments import add_settings_arguments, settings_from_flags

SUMMARY = "Verify settings, bundle, store and port without starting."
DETAILS = (
    "Says what is wrong with them, as `run` would, and opens no connection unless\n"
    "--connect asks for it; then it waits up to 10 s for a reading that is usable, and\n"
    "exit code 1 says that readings came and none was. A running monitor is not disturbed."
)
EXAMPLES = (
    "sensor-monitor check --config config/monitor.toml",
    "sensor-monitor check --config config/monitor.toml --connect",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_settings_arguments(parser)
    parser.add_argument("--connect", action="store_true", help="try the broker too, and read what comes")


def run(arguments: argparse.Namespace) -> int:
    """Verify the settings and everything they name, and print the results."""
    from monitor.cli.broker_check import check_connection
    from monitor.cli.startup_checks import check_files
    from monitor.config.loading import load_settings

    settings = load_settings(arguments.config, settings_from_flags(arguments))
    results = check_files(settings)
    print(f"settings {arguments.config or '(defaults)'}: ok\n{results}")
    if arguments.connect:
        check_connection(settings, print)
    return exit_codes.SUCCESS
