"""The routes. Everything they show comes in as an argument; nothing here changes anything."""

from collections.abc import Awaitable, Callable
from html import escape

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["build"]

Check = Callable[[], str]
"""Returns "" if all is well, else what isn't."""


def build(
    registry: CollectorRegistry, alive: Check, ready: Check, summary: Callable[[], dict[str, str]]
) -> Starlette:
    """Return the web application.

    Parameters
    ----------
    registry : what /metrics shows.
    alive, ready : answer /livez and /readyz.
    summary : label -> text, what the page shows.
    """

    # Coroutines that never wait: all is quickly said, and a thread for each request would keep memory.
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    def check(problem: Check) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            text = problem()
            return PlainTextResponse(f"{text or 'ok'}\n", status_code=503 if text else 200)

        return answer

    async def page(_: Request) -> Response:
        rows = "".join(f"<tr><th>{escape(name)}<td>{escape(text)}" for name, text in summary().items())
        return HTMLResponse(_PAGE.replace("ROWS", rows))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/metrics", metrics),
            Route("/livez", check(alive)),
            Route("/readyz", check(ready)),
        ]
    )


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>sensor-monitor</title>
<style>
body { font: 1.25rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884 }
th { white-space: nowrap }
td { font-variant-numeric: tabular-nums }
</style>
<h1>sensor-monitor</h1>
<table>ROWS</table>
<p><a href="/metrics">/metrics</a> <a href="/livez">/livez</a> <a href="/readyz">/readyz</a></p>
</html>
"""
