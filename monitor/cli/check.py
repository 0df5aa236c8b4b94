"""`sensor-monitor check`: verify that `run` would start."""

import argparse

from monitor.cli import exit_codes
from monitor.cli.arguments import add_settings_arguments, settings_from_flags
from monitor.core.addresses import format_address

SUMMARY = "Verify settings, bundle, store and port without starting."
DETAILS = (
    "Says what is wrong with them, as `run` would, and opens no connection unless\n"
    "--connect asks for it. A running monitor is not disturbed."
)
EXAMPLES = (
    "sensor-monitor check --config config/monitor.toml",
    "sensor-monitor check --config config/monitor.toml --connect",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_settings_arguments(parser)
    parser.add_argument("--connect", action="store_true", help="try the broker too")


def run(arguments: argparse.Namespace) -> int:
    """Verify the settings and everything they name, and print the results."""
    from monitor.cli.startup_checks import check_connection, check_files
    from monitor.config.loading import load_settings

    settings = load_settings(arguments.config, settings_from_flags(arguments))
    results = check_files(settings)
    print(f"settings {arguments.config or '(defaults)'}: ok\n{results}")
    if arguments.connect:
        check_connection(settings)
        print(f"broker {format_address(settings.mqtt.host, settings.mqtt.port)}: ok")
    return exit_codes.SUCCESS
