"""The page's files, which are part of the package, and the security headers they are served with."""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from monitor.bundle.files import REPORT_FILE, read_file
from monitor.core.errors import BundleError

__all__ = ["report_response", "routes", "token_page"]

_MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_COMMON_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}
# Forbids resources of other hosts, inline scripts, and embedding in a frame.
_PAGE_HEADERS = {
    **_COMMON_HEADERS,
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cache-control": "no-cache",
}
# A report is one HTML file with embedded images. Wherever the bundle comes from, it may run and request
# nothing.
_REPORT_HEADERS = {
    **_COMMON_HEADERS,
    "content-security-policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    "cache-control": "no-cache",
}


def routes() -> list[Route]:
    """Return a route for each file but the token page; `page.html` is `/`."""
    file_routes = []
    for file in files("monitor.web").joinpath("static").iterdir():
        if file.name != "token.html":
            path = "/" if file.name == "page.html" else f"/{file.name}"
            file_routes.append(Route(path, _endpoint(_file_response(file.name))))
    return file_routes


def token_page(raw_path: bytes, message: str, status: int) -> Response:
    """Return a page that asks for the token.

    Parameters
    ----------
    raw_path : path of the request, as it was sent. The page's links are relative to it, since a proxy may
        serve the monitor below a path that it removes.
    message : what to say above the form, as HTML.
    status : of the response.
    """
    root = b"../" * (raw_path.count(b"/") - 1) or b"./"
    content = _read("token.html").replace(b"{{root}}", root).replace(b"{{message}}", message.encode())
    return Response(content, status, headers=_PAGE_HEADERS, media_type="text/html")


def report_response(bundle: Path) -> Response:
    """Return the training report in a bundle's folder, if it is as SHA256SUMS says, else 404 and why."""
    try:
        content = read_file(bundle, REPORT_FILE)
    except BundleError as error:
        return PlainTextResponse(f"This bundle's report isn't shown: {error}\n", status_code=404)
    if content is None:
        return PlainTextResponse(
            "This bundle has no report; `sensor-training fit` writes one into it.\n", status_code=404
        )
    return Response(content, headers=_REPORT_HEADERS, media_type="text/html")


def _file_response(name: str) -> Response:
    return Response(_read(name), headers=_PAGE_HEADERS, media_type=_MEDIA_TYPES[Path(name).suffix])


@cache
def _read(name: str) -> bytes:
    return files("monitor.web").joinpath("static", name).read_bytes()


def _endpoint(response: Response) -> Callable[[Request], Awaitable[Response]]:
    async def send(_: Request) -> Response:
        return response

    return send
