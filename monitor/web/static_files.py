"""The page's files, which come with the package, and what a browser may do with them."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["refusal", "routes", "send_report"]

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_EVERYWHERE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
# Nothing from another host, no script that isn't one of our files, in no frame.
_OURS = {
    **_EVERYWHERE,
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cache-control": "no-cache",
}
# A report is one file with its pictures inside; whoever made it, it runs nothing and asks for nothing.
_REPORT = {
    **_EVERYWHERE,
    "content-security-policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    "cache-control": "no-cache",
}


def routes() -> list[Route]:
    """Return where each file is; `page.html` is `/`."""
    found = []
    for file in files("monitor.web").joinpath("static").iterdir():
        if file.name != "token.html":
            path = "/" if file.name == "page.html" else f"/{file.name}"
            found.append(Route(path, _sender(_response(file.name))))
    return found


def refusal() -> Response:
    """Return what somebody sees who doesn't know the token."""
    response = _response("token.html", status=401)
    response.headers["www-authenticate"] = "Bearer"
    return response


def send_report(bundle: Path) -> Response:
    """Return the report that came with a bundle."""
    file = bundle / "report" / "report.html"
    if not file.is_file():
        return PlainTextResponse(
            "This bundle has no report; `sensor-training fit` writes one into it.\n", status_code=404
        )
    return Response(file.read_bytes(), headers=_REPORT, media_type="text/html")


def _response(name: str, status: int = 200) -> Response:
    content = files("monitor.web").joinpath("static", name).read_bytes()
    return Response(content, status, headers=_OURS, media_type=_KINDS[Path(name).suffix])


def _sender(response: Response) -> Callable[[Request], Awaitable[Response]]:
    async def send(_: Request) -> Response:
        return response

    return send
