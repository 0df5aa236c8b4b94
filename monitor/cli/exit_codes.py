"""The exit codes of `sensor-monitor`."""

import signal

__all__ = ["FAILED", "INTERRUPTED", "INVALID_INPUT", "SUCCESS"]

SUCCESS = 0
FAILED = 1
"""A failure that may not occur again, such as an unreachable broker or a port in use."""
INVALID_INPUT = 2
"""Wrong usage, or invalid settings, bundle or recording: the same command would fail again."""
INTERRUPTED = 128 + signal.SIGINT
