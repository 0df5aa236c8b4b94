"""What the HTTP server itself logs: each kind of line once a minute, however many clients cause it."""

import logging

from monitor.telemetry.log_throttle import LogThrottle

__all__ = ["ThrottledServerLog"]

_LOGGER_NAMES = ("uvicorn.error", "asyncio")


class ThrottledServerLog(logging.Filter):
    """Lets the lines of uvicorn and asyncio through once a minute each, between `start` and `stop`.

    Parameters
    ----------
    thread_name : of the server's thread. Lines of other threads, which may use asyncio too, are let through.
    """

    def __init__(self, thread_name: str) -> None:
        super().__init__()
        self._thread_name = thread_name
        self._throttle = LogThrottle()

    def start(self) -> None:
        """Begin to throttle."""
        for name in _LOGGER_NAMES:
            logging.getLogger(name).addFilter(self)

    def stop(self) -> None:
        """End it."""
        for name in _LOGGER_NAMES:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is logged; say in it whose it is and how many like it were not."""
        if record.threadName != self._thread_name:
            return True
        # One of the kind is enough to see the cause; a traceback's text differs from one to the next.
        exception_name = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        text = self._throttle.throttle(record.name, record.getMessage().strip(), exception_name)
        if text is None:
            return False
        record.msg, record.args = f"HTTP server: {text}", ()
        return True
