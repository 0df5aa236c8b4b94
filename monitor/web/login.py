"""The routes by which a browser logs in and out."""

from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from monitor.web import static_files
from monitor.web.token_auth import Access, Authenticator

__all__ = ["login_route", "logout_route", "refusal"]

# Bytes of a form: a token has at most some hundred.
_MAX_FORM_BYTES = 4096
_MESSAGES = {
    Access.NO_TOKEN: "",
    Access.WRONG_TOKEN: "That is not the token.",
    Access.TOO_MANY_WRONG_TOKENS: "Too many wrong tokens came from this address. Please wait.",
}


def login_route(authenticator: Authenticator) -> Route:
    """Return the route that takes the token page's form, and answers with a cookie."""

    async def login(request: Request) -> Response:
        if request.method != "POST":  # the address stays after a wrong token, and may be opened again
            return _to_page()
        form = await _read_form(request)
        if form is None:
            return PlainTextResponse("expected a form with a token\n", 400, headers={"connection": "close"})
        access = authenticator.try_token(request, form)
        if access is not Access.GRANTED:
            return refusal(authenticator, request, access)
        response = _to_page()
        authenticator.begin_session(request, response)
        return response

    return Route("/login", login, methods=["GET", "POST"])


def logout_route(authenticator: Authenticator) -> Route:
    """Return the route that ends a session. Other sites' forms are sent without the cookie that it needs."""

    async def logout(request: Request) -> Response:
        response = _to_page()
        authenticator.end_session(request, response)
        return response

    return Route("/logout", logout, methods=["POST"])


def refusal(authenticator: Authenticator, request: Request, access: Access) -> Response:
    """Return the response to a request that isn't granted: a page that asks for the token."""
    is_slowed = access is Access.TOO_MANY_WRONG_TOKENS
    response = static_files.token_page(
        request.scope["raw_path"], _MESSAGES[access], 429 if is_slowed else 401
    )
    if is_slowed:
        response.headers["retry-after"] = str(max(1, authenticator.wait_s(request)))
    else:
        response.headers["www-authenticate"] = "Bearer"
    return response


def _to_page() -> Response:
    # Relative, since a proxy may serve the monitor below a path that it removes.
    return RedirectResponse("./", status_code=303)


async def _read_form(request: Request) -> str | None:
    """Return the token in a form; None if there is no such form."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MAX_FORM_BYTES:
                return None
        return parse_qs(body.decode(), strict_parsing=True, max_num_fields=8)["token"][0]
    except (ClientDisconnect, ValueError, KeyError):
        return None
