"""The log's formats, and its lines about readings, alerts and requests."""

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Literal

from monitor.core.printable import printable, printable_lines
from monitor.core.readings import Outcome, RejectedReading
from monitor.core.values import RejectedValue
from monitor.core.verdicts import AlertEvent
from monitor.telemetry.log_handler import BoundedLogHandler
from monitor.telemetry.log_throttle import INTERVAL_S, LogThrottle

__all__ = ["PipelineLog", "RequestLog", "configure_logging"]

_log = logging.getLogger("monitor.pipeline")
_request_log = logging.getLogger("monitor.requests")
_STDERR = 2  # file descriptor
# Topics that are logged after one batch for having brought more than their share.
_MAX_EXCESS_TOPICS = 5
# Alert events that are logged within `INTERVAL_S`: a plant-wide fault would fill the disk.
_MAX_ALERTS = 1000


def configure_logging(level: str, log_format: Literal["text", "json"]) -> Callable[[], int]:
    """Send the log to stderr, one line per record; never wait for whoever reads it.

    Parameters
    ----------
    level : lowest level that is logged: "debug", "info", "warning" or "error".
    log_format : plain text, or a JSON object per line.

    Returns
    -------
    Function that returns how many lines were dropped so far.
    """
    root = logging.getLogger()
    for previous in root.handlers:
        if isinstance(previous, BoundedLogHandler):
            previous.close()
    root.setLevel(level.upper())
    logging.getLogger("monitor.audit").setLevel(logging.INFO)  # what was changed is always logged
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the daemon itself logs the HTTP address
    if sys.stderr is None:  # the process was started with it closed
        root.handlers[:] = [logging.NullHandler()]
        return lambda: 0
    handler = BoundedLogHandler(_STDERR, sys.stderr.encoding or "utf-8")
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    root.handlers[:] = [handler]
    return lambda: handler.dropped_count


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, the library's name
        """Escape control characters: a topic may contain any, and a record must stay on one line."""
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802, the library's name
        """Escape control characters but line ends: an exception's text may quote what came from outside."""
        return printable_lines(super().formatException(ei))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class PipelineLog:
    """Logs each alert, and why readings are rejected, once a minute for each topic.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._throttle = LogThrottle(monotonic)
        self._alerts_interval_start = float("-inf")
        self._alert_count = 0

    def log_rejected(self, rejected: Sequence[RejectedReading]) -> None:
        """Log the reasons of rejected readings, throttled."""
        for _, same in groupby(rejected, key=id):  # one object stands for many of the same reason
            reading, *others = same
            text = self._throttle.throttle(
                reading.outcome.value, reading.reason, reading.source, 1 + len(others)
            )
            if text is not None:
                _log.warning("%s reading of %s: %s", reading.outcome.value, reading.source, text)

    def log_rejected_values(self, rejected: Sequence[RejectedValue]) -> None:
        """Log the reasons of rejected values, throttled."""
        for _, same in groupby(rejected, key=id):
            value, *others = same
            kind = f"{value.outcome.value} value"
            text = self._throttle.throttle(kind, value.reason, value.source, 1 + len(others))
            if text is not None:
                _log.warning("%s value of %s: %s", value.outcome.value, value.source, text)

    def log_overflow(self, count: int) -> None:
        """Log that `count` messages were dropped because the receive queue was full."""
        reason = f"{count} messages of QoS 0 found no room; expected fewer, or qos = 1"
        self.log_rejected([RejectedReading(Outcome.OVERFLOW, "all topics", reason)])

    def log_excess(self, counts: Counter[str]) -> None:
        """Log the topics that brought more than their share; of many the worst."""
        for topic, count in counts.most_common(_MAX_EXCESS_TOPICS):
            reason = (
                f"{count} messages dropped: the topic brings more than its share, which delays all others"
            )
            self.log_rejected([RejectedReading(Outcome.EXCESS, topic, reason)])

    def log_alerts(self, events: Sequence[AlertEvent]) -> None:
        """Log each alert event; in a flood only the first ones of a minute, and how many more there were."""
        now = self._monotonic()
        if now - self._alerts_interval_start >= INTERVAL_S:
            if self._alert_count > _MAX_ALERTS:
                _log.warning(
                    "%s more alert events were published than written here", self._alert_count - _MAX_ALERTS
                )
            self._alerts_interval_start, self._alert_count = now, 0
        remaining = max(0, _MAX_ALERTS - self._alert_count)
        self._alert_count += len(events)
        if remaining and self._alert_count > _MAX_ALERTS:
            _log.warning(
                "more than %s alert events within a minute: the rest are counted, not written", _MAX_ALERTS
            )
        for event in events[:remaining]:
            level = logging.WARNING if event.status == "firing" else logging.INFO
            status = f"{event.status} again ({event.repeat})" if event.repeat else event.status
            reason = f"{event.reason}; " if event.reason else ""
            score = "no score" if event.score is None else f"score {event.score:.3f}"
            _log.log(level, "%s %s: %s%s, incident %s", status, event.group, reason, score, event.id)

    def log_muted_incidents(self, events: Sequence[AlertEvent]) -> None:
        """Log incidents that began in muted groups, and how many more there were within a minute."""
        for event in events:
            reason = "an incident began while its alerts are muted; it isn't published"
            text = self._throttle.throttle("muted", reason, event.group)
            if text is not None:
                details = f": {event.reason}" if event.reason else ""
                _log.warning("group %s: %s; incident %s%s", event.group, text, event.id, details)

    def log_mixed_senders(self, groups: Sequence[str]) -> None:
        """Log groups whose readings seem to come from two senders."""
        for group in groups:
            reason = (
                "its readings alternate between two levels, as if two devices sent to one topic; expected "
                "one for each group: does a name in the template of input.topics tell them apart?"
            )
            text = self._throttle.throttle("mixed", reason, group)
            if text is not None:
                _log.warning("group %s: %s", group, text)

    def log_silent(self, groups: Sequence[str]) -> None:
        """Log groups that fell silent, throttled."""
        for group in groups:
            text = self._throttle.throttle(
                "silent", "silent: no usable reading for windows.stale_after", group
            )
            if text is not None:
                _log.info("group %s is %s", group, text)

    def log_input_problem(self, kind: str, problem: str) -> None:
        """Log why nothing can be judged although readings come, each kind once a minute."""
        if self._throttle.throttle("input", kind, "") is not None:
            _log.warning("input: %s", problem)

    def log_clock_step(self, step: float, group_count: int) -> None:
        """Log that the wall clock was set by `step` seconds, and how many groups begin afresh therefore."""
        what = "was set forward, or the machine slept," if step > 0 else "was set back"
        _log.warning(
            "this machine's clock %s by %.0f s: the windows of %s groups whose readings carry no ts "
            "start afresh, and mutes keep their length",
            what,
            abs(step),
            group_count,
        )

    def log_load_errors(self, reasons: Sequence[str]) -> None:
        """Log why the stored state of evicted groups can't be read, so that they start without history."""
        for reason in reasons:
            _log.error("a group can't be restored from the store and starts without history: %s", reason)


class RequestLog:
    """Logs why operators' requests were refused, the same reason once a minute. Not thread-safe."""

    def __init__(self) -> None:
        self._throttle = LogThrottle()

    def log_rejected(self, name: str, reason: str) -> None:
        """Log a refused request, throttled.

        Parameters
        ----------
        name : of the request, as in its topic.
        reason : as in its response.
        """
        text = self._throttle.throttle(name, reason, reason)
        if text is not None:
            _request_log.warning("request %r is refused: %s", name, text)
