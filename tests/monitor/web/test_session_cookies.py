from starlette.responses import Response

from monitor.web.session_cookies import CookieState, SessionCookies, cookie_name
from tests.monitor.web.test_guess_limit import Clock

TOKEN, OTHER_TOKEN = b"token-0123456789", b"token-9876543210"


def issue(cookies: SessionCookies) -> str:
    """Begin a session, and return the value of its cookie."""
    response = Response()
    cookies.issue(response, TOKEN, secure=True)
    value = response.headers["set-cookie"].partition(";")[0].partition("=")[2]
    assert value
    return value


def test_session_ends() -> None:
    """A cookie is valid for 30 days, with its token only, and until its session is ended."""
    clock = Clock()
    cookies = SessionCookies(clock)
    value, other = issue(cookies), issue(cookies)
    assert value != other
    assert cookies.state(value, TOKEN) is CookieState.VALID
    assert cookies.state(value, OTHER_TOKEN) is CookieState.FORGED
    assert cookie_name(TOKEN) != cookie_name(OTHER_TOKEN)
    cookies.end(Response(), value, TOKEN)
    assert cookies.state(value, TOKEN) is CookieState.ABSENT
    clock.now += 30 * 86400 - 1
    assert cookies.state(other, TOKEN) is CookieState.VALID
    clock.now += 1
    assert cookies.state(other, TOKEN) is CookieState.ABSENT


def test_forged_cookies() -> None:
    """Nothing but what was issued is valid: no other end, no part, no other text."""
    cookies = SessionCookies(Clock())
    value = issue(cookies)
    expires, rest = value.split(".", 1)
    forged = [
        f"{int(expires) + 1}.{rest}",
        value[:-1],
        f"{value}0",
        "x",
        ".",
        "..",
        "1.2.3",
        "\u2603",
        "\udcff",
    ]
    for text in forged:
        assert cookies.state(text.encode(errors="replace").decode("latin-1"), TOKEN) is CookieState.FORGED, (
            text
        )
    assert cookies.state("", TOKEN) is CookieState.ABSENT
