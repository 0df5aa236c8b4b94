"""Metrics of what operators ask for: requests, mutes, and the file that records them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["OperatorMetrics"]


class OperatorMetrics:
    """The metrics of operators.

    Parameters
    ----------
    prefix : of the metrics' names.
    registry : registers them.
    """

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        self._muted_groups = Gauge(
            f"{prefix}muted_groups",
            "Groups in memory whose alerts operators have muted, counted once a minute.",
            registry=registry,
        )
        self.incidents_muted = Counter(
            f"{prefix}incidents_muted", "Incidents that began in muted groups.", registry=registry
        )
        requests = Counter(
            f"{prefix}requests",
            "Requests of operators by result; dropped: too many a second, neither done nor answered.",
            ["result"],
            registry=registry,
        )
        self.audit_records_lost = Counter(
            f"{prefix}audit_records_lost",
            "Records of requests that are not in operators.audit_file, because it could not be written.",
            registry=registry,
        )
        self._audit_file_failing = Gauge(
            f"{prefix}audit_file_failing",
            "1 while operators.audit_file can't be written, so that records wait.",
            registry=registry,
        )
        self.unanswerable = Counter(
            f"{prefix}requests_unanswerable",
            "Requests refused without an answer: properties unreadable or too long, or the connection ended "
            "after each delivery.",
            registry=registry,
        )
        self.requests_by_result = {
            result: requests.labels(result) for result in ("done", "refused", "dropped")
        }

    def watch_mutes(self, muted_groups: Callable[[], float]) -> None:
        """Export the number of muted groups, read at each scrape."""
        self._muted_groups.set_function(muted_groups)

    def watch_audit_file(self, is_failing: Callable[[], bool]) -> None:
        """Export whether the file of records can't be written, read at each scrape."""
        self._audit_file_failing.set_function(lambda: float(is_failing()))
