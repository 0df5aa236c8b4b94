"""Passes the requests of operators to the pipeline, and starts reloads on a separate thread."""

import threading
from collections.abc import Callable

from monitor.operators import requests
from monitor.operators.audit import Audit
from monitor.operators.commands import Respond
from monitor.service.ports import RequestPort
from monitor.telemetry.logs import RequestLog

__all__ = ["RequestHandler"]

# Maximum length of a request's name in the log, in characters.
_MAX_NAME_LENGTH = 100


class RequestHandler:
    """Ensures that each request is answered and recorded, without blocking the source's thread.

    Parameters
    ----------
    submit : passes a request to the pipeline, which answers it; returns False if too many are
        queued.
    wake : wakes the pipeline.
    reload : reloads bundle and settings; returns an error message, "" after a success.
    audit : records each request.
    """

    def __init__(
        self,
        *,
        submit: Callable[[requests.Request, Respond], bool],
        wake: Callable[[], None],
        reload: Callable[[], str],
        audit: Audit,
    ) -> None:
        self._submit = submit
        self._wake = wake
        self._reload = reload
        self._audit = audit
        self._reload_lock = threading.Lock()
        self._log = RequestLog()

    def reload(self) -> str:
        """Reload bundle and settings; return an error message, "" after a success."""
        return self._reload()

    def handle(self, port: RequestPort) -> None:
        """Accept a request; an invalid request is answered at once."""
        name, request = port.name[:_MAX_NAME_LENGTH], None

        def respond(response: bytes) -> None:
            self._audit.record(name, port.sender, request, port.payload, response)
            port.respond(response)

        try:
            request = requests.parse_request(port.name, port.payload, retained=port.retained)
            self._dispatch(request, respond, port.problem)
        except requests.RequestRejected as rejection:
            self._log.log_rejected(name, str(rejection))
            respond(requests.response_payload(rejection.transaction, str(rejection)))

    def record_dropped(self, count: int) -> None:
        """Record requests that the source dropped because they came too fast."""
        self._audit.record_dropped(count)

    def close(self) -> None:
        """Wait briefly until all is recorded."""
        self._audit.close()

    def _dispatch(self, request: requests.Request, respond: Respond, problem: str) -> None:
        """Start the execution of a request.

        Raises
        ------
        RequestRejected : it has a problem, too many requests are queued, or a reload is running.
        """
        if problem:
            raise requests.RequestRejected(problem, request)
        if not isinstance(request, requests.Reload):
            accepted = self._submit(request, respond)
            self._wake()
            if not accepted:
                raise requests.RequestRejected("too many requests wait; expected fewer at a time", request)
        elif self._reload_lock.acquire(blocking=False):
            threading.Thread(target=self._reload_and_respond, args=(request, respond), name="request").start()
        else:
            raise requests.RequestRejected("a reload is being worked on; expected one at a time", request)

    def _reload_and_respond(self, request: requests.Request, respond: Respond) -> None:
        response = requests.response_payload(request.transaction, self._reload())
        self._reload_lock.release()
        respond(response)
