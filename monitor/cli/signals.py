"""Signal handlers of the commands that run until they are stopped."""

import signal
import threading
from collections.abc import Callable

__all__ = ["on_signal", "stop_event"]


def on_signal(action: Callable[[], object], *signals: signal.Signals) -> None:
    """Call `action`, in a thread of its own, when one of these signals arrives (default: SIGTERM, SIGINT).

    A handler interrupts the main thread at any instruction, also while that thread holds the lock of the very
    event that `action` sets: called in the handler itself, `action` would then wait for that lock for ever.
    """
    for number in signals or (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=action).start())


def stop_event() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    on_signal(stop.set)
    return stop
