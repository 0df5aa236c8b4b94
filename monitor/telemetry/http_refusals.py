"""Counts what the HTTP server refuses."""

from collections.abc import Callable
from enum import Enum

from prometheus_client import CollectorRegistry, Counter

__all__ = ["CountRefusal", "HttpRefusals", "Refusal"]


class Refusal(Enum):
    """Why a request or a connection is refused."""

    WRONG_TOKEN = "wrong_token"  # noqa: S105 - a reason
    TOO_MANY_WRONG_TOKENS = "too_many_wrong_tokens"
    HOST = "host"
    CROSS_SITE = "cross_site"
    PAGES = "pages"
    CONNECTIONS = "connections"


CountRefusal = Callable[[Refusal], None]
"""Counts one refusal; any thread may call it."""


class HttpRefusals:
    """The metric `http_refused_total`.

    Parameters
    ----------
    prefix : of the metric's name.
    registry : registers it.
    """

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        counter = Counter(
            f"{prefix}http_refused",
            "Refused HTTP requests, and pages and connections closed for others, by reason.",
            ["reason"],
            registry=registry,
        )
        self._by_reason = {reason: counter.labels(reason.value) for reason in Refusal}

    def count(self, reason: Refusal) -> None:
        """Count one refusal."""
        self._by_reason[reason].inc()
