"""The web application: its routes. All are read-only, and their content is passed in as arguments."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.web import static_files
from monitor.web.stream import Stream
from monitor.web.token_auth import TokenAuthMiddleware

__all__ = ["build_app"]

_log = logging.getLogger(__name__)

HealthCheck = Callable[[], str]
"""Returns "" if healthy, else the reason why not."""

# Paths that need no token: the health checks, for a supervisor without it, and the files of the token page.
_PUBLIC_PATHS = {"/livez", "/readyz", "/token.css", "/icon.svg"}


def build_app(
    registry: CollectorRegistry,
    liveness: HealthCheck,
    readiness: HealthCheck,
    stream: Stream,
    get_bundle_dir: Callable[[], Path],
    get_token: Callable[[], str] | None = None,
    input_problem: HealthCheck = lambda: "",
) -> ASGIApp:
    """Build the web application.

    Parameters
    ----------
    registry : the metrics of /metrics.
    liveness, readiness : health checks of /livez and /readyz.
    stream : the live page's events.
    get_bundle_dir : returns the folder of the bundle in use, for its report.
    get_token : returns the secret that clients must send; None for access without a token.
    input_problem : why nothing can be judged although readings come: said by /readyz, which is not 503 for
        it, since another process could not judge them either.
    """

    # Coroutines that never wait: each response is computed quickly, and a thread per request would hold
    # memory.
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    def check(
        problem: HealthCheck, notice: HealthCheck = lambda: ""
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            text = problem()
            content = "; ".join(filter(None, [text or "ok", notice()]))
            return PlainTextResponse(f"{content}\n", status_code=503 if text else 200)

        return answer

    async def events(request: Request) -> Response:
        if stream.is_full:
            return PlainTextResponse(f"{stream.max_clients} pages are open already\n", status_code=503)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        return _EventStreamResponse(stream, headers)

    async def report(_: Request) -> Response:
        return static_files.report_response(get_bundle_dir())

    routes = [
        *static_files.routes(),
        Route("/events", events),
        Route("/report", report),
        Route("/metrics", metrics),
        Route("/livez", check(liveness)),
        Route("/readyz", check(readiness, input_problem)),
    ]
    routes += [Route(f"{route.path}/", _redirect_without_slash) for route in routes if route.path != "/"]
    app = Starlette(routes=routes, lifespan=lambda _: _lifespan(stream))
    if get_token is None:
        return app
    return TokenAuthMiddleware(app, get_token, _PUBLIC_PATHS, static_files.unauthorized_response)


async def _redirect_without_slash(request: Request) -> Response:
    """Redirect `/metrics/` to `/metrics`, by a relative URL: Starlette's own would miss a proxy's path."""
    query = request.scope["query_string"].decode()
    return RedirectResponse(f"..{request.scope['path'].rstrip('/')}{'?' if query else ''}{query}")


class _EventStreamResponse(StreamingResponse):
    """The event stream of one client, which counts as connected until the response ends."""

    def __init__(self, stream: Stream, headers: Mapping[str, str]) -> None:
        super().__init__(stream.events(), headers=headers, media_type="text/event-stream")
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._stream.track_client():
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def _lifespan(stream: Stream) -> AsyncIterator[None]:
    task = asyncio.create_task(stream.run())
    task.add_done_callback(_log_failure)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log an exception that ended the page's updates; the monitor itself goes on."""
    if not task.cancelled() and task.exception():
        _log.error("the live page is no longer updated", exc_info=task.exception())
