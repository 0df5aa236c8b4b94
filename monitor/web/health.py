"""The health checks /livez and /readyz."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["HealthCheck", "HealthChecks", "health_routes"]

HealthCheck = Callable[[], str]
"""Returns "" if healthy, else the reason why not."""


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """What the health checks answer."""

    liveness: HealthCheck
    """Names nothing of the plant: whoever asks may know it."""
    readiness: HealthCheck
    """With addresses, logins and reasons."""
    unready_parts: HealthCheck = lambda: ""
    """The same as names of parts, such as "broker": for those who have no token."""
    input_problem: HealthCheck = lambda: ""
    """Why nothing can be judged although readings come. It is no reason for 503: another process could judge
    no more."""


def health_routes(checks: HealthChecks, is_trusted: Callable[[Request], bool]) -> list[Route]:
    """Return the routes of the health checks.

    Parameters
    ----------
    checks : what they answer.
    is_trusted : whether a request is answered in full.
    """

    # Coroutines that never wait: each response is computed quickly.
    async def livez(_: Request) -> Response:
        return _response(checks.liveness())

    async def readyz(request: Request) -> Response:
        if is_trusted(request):
            return _response(checks.readiness(), checks.input_problem())
        parts = checks.unready_parts()
        return _response(
            f"not ready: {parts}" if parts else "", "no usable input" if checks.input_problem() else ""
        )

    return [Route("/livez", livez), Route("/readyz", readyz)]


def _response(problem: str, notice: str = "") -> Response:
    content = "; ".join(filter(None, [problem or "ok", notice]))
    return PlainTextResponse(f"{content}\n", status_code=503 if problem else 200)
