"""The web application: its routes. All but logging in and out are read-only; their content is passed in."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.telemetry.http_refusals import CountRefusal, Refusal
from monitor.web import login, static_files
from monitor.web.client_address import client_key
from monitor.web.health import HealthChecks, health_routes
from monitor.web.host_check import HostCheckMiddleware
from monitor.web.page_slots import PageSlot
from monitor.web.security_headers import SecurityHeadersMiddleware
from monitor.web.site_check import SiteCheckMiddleware
from monitor.web.stream import Stream
from monitor.web.token_auth import Access, Authenticator, TokenAuthMiddleware

__all__ = ["build_app"]

_log = logging.getLogger(__name__)

# The files of the token page, which need no token.
_TOKEN_PAGE_FILES = {"/token.css", "/icon.svg"}


def build_app(
    registry: CollectorRegistry,
    health: HealthChecks,
    stream: Stream,
    get_bundle_dir: Callable[[], Path],
    get_token: Callable[[], str] | None = None,
    allowed_hosts: Collection[str] = (),
    count_refusal: CountRefusal = lambda _: None,
) -> ASGIApp:
    """Build the web application.

    Parameters
    ----------
    registry : the metrics of /metrics.
    health : what /livez and /readyz answer.
    stream : the live page's events.
    get_bundle_dir : returns the folder of the bundle in use, for its report.
    get_token : returns the secret that clients must send; None for access without a token.
    allowed_hosts : host names by which clients may ask, beside addresses, `localhost` and the machine's name.
    count_refusal : counts what is refused.
    """
    authenticator = Authenticator(get_token, count_refusal) if get_token else None

    def is_trusted(request: Request) -> bool:
        return authenticator is None or authenticator.access(request) is Access.GRANTED

    files = static_files.routes()
    public = [*health_routes(health, is_trusted), *(file for file in files if file.path in _TOKEN_PAGE_FILES)]
    protected = [
        *(file for file in files if file.path not in _TOKEN_PAGE_FILES),
        *_routes(registry, stream, get_bundle_dir, authenticator, count_refusal),
    ]
    if authenticator:
        public.append(login.login_route(authenticator))
        protected.append(login.logout_route(authenticator))
    app = Starlette(routes=_with_slashes(public), lifespan=lambda _: _lifespan(stream))
    # The router itself decides what needs no token: what fits no public route goes to the protected ones.
    # Starlette's own redirects would contain the host that the client asked for.
    app.router.redirect_slashes = False
    app.router.default = _protect(_with_slashes(protected), authenticator)
    checked = SiteCheckMiddleware(app, count_refusal)
    return SecurityHeadersMiddleware(HostCheckMiddleware(checked, allowed_hosts, count_refusal))


def _protect(routes: list[Route], authenticator: Authenticator | None) -> ASGIApp:
    router = Router(routes, redirect_slashes=False)
    if authenticator is None:
        return router
    return TokenAuthMiddleware(
        router, authenticator, lambda request, access: login.refusal(authenticator, request, access)
    )


def _routes(
    registry: CollectorRegistry,
    stream: Stream,
    get_bundle_dir: Callable[[], Path],
    authenticator: Authenticator | None,
    count_refusal: CountRefusal,
) -> list[Route]:
    """Return the routes of what changes. Coroutines that never wait: a thread for each would hold memory."""

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    async def events(request: Request) -> Response:
        headers = {"x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        slot = stream.slots.acquire(client_key(request.client.host if request.client else None))
        if slot is None:
            count_refusal(Refusal.PAGES)
            return PlainTextResponse(f"{stream.slots.max_pages} pages are open already\n", status_code=503)

        def is_allowed() -> bool:
            return authenticator is None or authenticator.is_still_granted(request)

        return _EventStreamResponse(stream, slot, is_allowed, headers)

    async def report(_: Request) -> Response:
        return static_files.report_response(get_bundle_dir())

    return [Route("/events", events), Route("/report", report), Route("/metrics", metrics)]


def _with_slashes(routes: list[Route]) -> list[Route]:
    """Return routes with those of their paths with a slash too many."""
    return routes + [
        Route(f"{route.path}/", _redirect_without_slash) for route in routes if route.path != "/"
    ]


async def _redirect_without_slash(request: Request) -> Response:
    """Redirect `/metrics/` to `/metrics`, by a relative URL: Starlette's own would miss a proxy's path."""
    query = request.scope["query_string"].decode()
    return RedirectResponse(f"..{request.scope['path'].rstrip('/')}{'?' if query else ''}{query}")


class _EventStreamResponse(StreamingResponse):
    """The event stream of one page, which has its place until the response ends or the place is lost."""

    def __init__(
        self, stream: Stream, slot: PageSlot, is_allowed: Callable[[], bool], headers: dict[str, str]
    ) -> None:
        super().__init__(stream.events(slot, is_allowed), headers=headers, media_type="text/event-stream")
        self._stream = stream
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.slots.release(self._slot)


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
