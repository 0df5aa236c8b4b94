"""`sensor-monitor run`: the daemon, until it is stopped."""

import argparse
import logging
import os
import signal
from typing import TYPE_CHECKING

from monitor.cli.arguments import add_settings_arguments, settings_from_flags
from monitor.cli.signals import on_signal

if TYPE_CHECKING:
    from monitor.config.settings import Settings

SUMMARY = "Judge what arrives over MQTT until stopped."
DETAILS = (
    "Reads the plant's topics, judges each window of readings, publishes alerts and\n"
    "states below the base topic, and answers HTTP. SIGTERM or Ctrl-C ends it and\n"
    "loses nothing; SIGHUP loads bundle and settings anew."
)
EXAMPLES = (
    "sensor-monitor run --config config/monitor.toml",
    "MONITOR_MQTT__HOST=broker sensor-monitor run --bundle var/bundle",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Build, start, run and stop the daemon; return its exit code."""
    from monitor.service.allocator import configure_allocator, freeze_startup_objects

    configure_allocator()  # before the imports below, which allocate most of the memory

    from monitor.bundle.trial import spare_process

    with spare_process():  # starts while this one imports the rest
        from monitor.config.exposed_secrets import find_exposed_secrets
        from monitor.config.loading import load_settings
        from monitor.service.builder import build_daemon
        from monitor.telemetry.logs import configure_logging

        def read_settings() -> "Settings":
            return load_settings(arguments.config, settings_from_flags(arguments))

        settings = read_settings()
        dropped_log_lines = configure_logging(settings.log.level, settings.log.format)
        for warning in find_exposed_secrets(settings):
            logging.getLogger(__name__).warning("%s", warning)
        # Nothing is lost by an end while the store is read. The default action would do, but the kernel
        # withholds it from the first process of a container.
        on_signal(lambda: os._exit(0), signal.SIGTERM)
        daemon = build_daemon(settings, read_settings, dropped_log_lines=dropped_log_lines)
    on_signal(daemon.request_stop)
    on_signal(daemon.reload, signal.SIGHUP)
    freeze_startup_objects()
    daemon.start()
    exit_code = daemon.run()
    daemon.stop()
    return exit_code
