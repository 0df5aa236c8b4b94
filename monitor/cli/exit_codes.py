"""The exit codes of `sensor-monitor`."""

import signal

__all__ = ["DONE", "FAILED", "INTERRUPTED", "UNUSABLE"]

DONE = 0
FAILED = 1
"""The work could not be done, for a reason that may pass: no broker, a port in use."""
UNUSABLE = 2
"""Wrong usage, settings, bundle or recording: the same call would fail again."""
INTERRUPTED = 128 + signal.SIGINT
