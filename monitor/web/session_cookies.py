"""Cookies of browsers that have sent the token: signed with it, so that nothing need be kept of them."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum

from starlette.responses import Response

__all__ = ["CookieState", "SessionCookies", "cookie_name"]

_MAX_AGE_S = 30 * 24 * 3600  # a month
_ID_BYTES = 16
# Ended sessions that are remembered. Only who has the token can end one; each takes 0.2 kB.
_MAX_ENDED = 10_000


class CookieState(Enum):
    """What a request's cookie is."""

    VALID = "valid"
    ABSENT = "absent"
    """There is none, or its session has ended."""
    FORGED = "forged"


class SessionCookies:
    """Issues and verifies the cookies of sessions.

    A session ends after a month, when the browser logs out, or when the token is renewed. What logged out is
    remembered until the process ends.

    Parameters
    ----------
    wall : returns Unix time, seconds.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._ended: OrderedDict[str, None] = OrderedDict()

    def issue(self, response: Response, token: bytes, *, secure: bool) -> None:
        """Begin a session.

        Parameters
        ----------
        secure : whether the browser may send the cookie over HTTPS only.
        """
        session = f"{int(self._wall()) + _MAX_AGE_S}.{secrets.token_urlsafe(_ID_BYTES)}"
        # No path: a proxy may serve the monitor below a path that it removes, and without one the cookie is
        # valid for the folder of the URL that the browser asked for. SameSite "lax": it is also sent when a
        # link on another site leads to the page, but not with another site's forms.
        response.set_cookie(
            cookie_name(token),
            f"{session}.{_sign(token, session)}",
            max_age=_MAX_AGE_S,
            path=None,
            secure=secure,
            httponly=True,
            samesite="lax",
        )

    def state(self, value: str, token: bytes) -> CookieState:
        """Return what a cookie's value is worth; "" if the request has none."""
        session, _, signature = value.rpartition(".")
        if not value:
            return CookieState.ABSENT
        if not hmac.compare_digest(signature.encode(), _sign(token, session).encode()):
            return CookieState.FORGED
        is_over = int(session.partition(".")[0]) <= self._wall()
        return CookieState.ABSENT if is_over or session in self._ended else CookieState.VALID

    def end(self, response: Response, value: str, token: bytes) -> None:
        """End the session of a valid cookie, and remove the cookie from the browser."""
        self._ended[value.rpartition(".")[0]] = None
        if len(self._ended) > _MAX_ENDED:
            self._ended.popitem(last=False)
        response.set_cookie(cookie_name(token), "", max_age=0, path=None, httponly=True, samesite="lax")


def cookie_name(token: bytes) -> str:
    """Return the name of a token's cookies.

    A cookie is valid for all ports of a host, so each token has a name of its own: two monitors on one host
    do not overwrite each other's.
    """
    return f"sensor-monitor-{_digest(token, 'name')[:8]}"


def _sign(token: bytes, session: str) -> str:
    return _digest(token, f"session {session}")


def _digest(token: bytes, purpose: str) -> str:
    return hmac.new(token, purpose.encode(), hashlib.sha256).hexdigest()
