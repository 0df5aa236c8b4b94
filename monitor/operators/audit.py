"""Records what operators requested: when, who, what, and what became of it."""

import json
import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from monitor.core.times import format_iso
from monitor.operators.requests import Request
from monitor.telemetry.audit_file import AuditFile
from monitor.telemetry.log_throttle import INTERVAL_S
from monitor.telemetry.operator_metrics import OperatorMetrics

__all__ = ["Audit", "Sender"]

_log = logging.getLogger("monitor.audit")

# Maximum number of characters of a text in a record; a request has 4,096 bytes at most.
_MAX_TEXT_LENGTH = 1000
# Maximum number of items of a list in a record: `count` says how many there were.
_MAX_LISTED = 20
# Seconds that the end of the process waits for the file.
_CLOSE_TIMEOUT_S = 1.0


class Sender(msgspec.Struct, frozen=True):
    """Who sent a request."""

    operator: str = ""
    """The name in the request's topic: as sure as the broker's ACL; "" if there is none."""
    claimed: str = ""
    """The user property `operator` of MQTT 5, which the sender or the broker wrote; "" if there is none."""


class Audit:
    """Counts and records each request when it is answered. Any thread may call its methods.

    A record is one line of JSON in ASCII: no text of a request can begin another one, or contain a control
    character. Requests that changed something are in the log, too, whatever its level. Refused ones are only
    in the file, since the log has their reasons once a minute.

    Parameters
    ----------
    metrics : counts requests by result.
    file : receives the records; None: they are only in the log.
    wall : returns seconds since the Unix epoch.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        metrics: OperatorMetrics,
        file: AuditFile | None = None,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._file = file
        self._wall = wall
        self._monotonic = monotonic
        self._dropped_count = 0  # since the last record of them
        self._next_drop_record_at = monotonic()

    def record(
        self, name: str, sender: Sender, request: Request | None, payload: bytes, response: bytes
    ) -> None:
        """Record a request that is answered now.

        Parameters
        ----------
        name : of the request, as in its topic.
        request : None if it couldn't be parsed.
        payload : the request's, of which the beginning is recorded if it couldn't be parsed.
        response : the payload of the response.
        """
        answer = msgspec.json.decode(response)
        is_done = answer.pop("status") == "ok"
        answer.pop("transaction", None)
        result = "done" if is_done else "refused"
        self._metrics.requests_by_result[result].inc()
        content: dict[str, object] = {"request": name, "result": result}
        content |= {key: value for key, value in msgspec.structs.asdict(sender).items() if value}
        if request is None:
            content["payload"] = payload[:_MAX_TEXT_LENGTH].decode(errors="replace")
        else:
            fields = msgspec.structs.asdict(request)
            del fields["transaction"]
            content |= {key: value for key, value in fields.items() if value is not None}
        self._write({**content, **answer}, is_logged=is_done)

    def record_dropped(self, count: int) -> None:
        """Count requests that came too fast, and are neither done nor answered; record them once a minute."""
        self._metrics.requests_by_result["dropped"].inc(count)
        self._dropped_count += count
        now = self._monotonic()
        if now < self._next_drop_record_at:
            return
        self._next_drop_record_at = now + INTERVAL_S
        dropped, self._dropped_count = self._dropped_count, 0
        _log.warning("%s requests came too fast since the last such line: neither done nor answered", dropped)
        self._write({"result": "dropped", "count": dropped}, is_logged=False)

    def close(self) -> None:
        """Wait briefly until all records are written."""
        if self._file is not None:
            self._file.close(_CLOSE_TIMEOUT_S)

    def _write(self, content: Mapping[str, object], *, is_logged: bool) -> None:
        line = json.dumps(
            {"time": format_iso(self._wall()), **{key: _shorten(value) for key, value in content.items()}}
        )
        if self._file is not None:
            self._file.append(line)
        if is_logged:
            _log.info("audit: %s", line)


def _shorten(value: object) -> object:
    if isinstance(value, str) and len(value) > _MAX_TEXT_LENGTH:
        return f"{value[:_MAX_TEXT_LENGTH]}..."
    return value[:_MAX_LISTED] if isinstance(value, list) else value
