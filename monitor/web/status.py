"""The live page's data about the monitor as a whole."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from monitor import __version__
from monitor.bundle import default_bundle
from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.addresses import format_address
from monitor.core.quantities import describe_lone_features
from monitor.core.verdicts import State

__all__ = ["MonitorStatus"]

_PREFIX = "sensor_monitor_"
_METRIC_NAMES = tuple(
    f"{_PREFIX}{name}"
    for name in (
        "readings_total",
        "predictions_total",
        "alerts_firing",
        "groups",
        "queue_readings",
        "drift_psi",
    )
)
# Rates are computed over this many snapshots, one a second: steady enough to read.
_RATE_SAMPLES = 6


class MonitorStatus:
    """Reads metrics and computes rates.

    Parameters
    ----------
    registry : the metrics.
    get_config : returns the settings and the manifest in use.
    get_problem : returns why the monitor is not ready; "" if it is.
    monotonic : returns monotonic seconds.
    get_input_problem : returns why nothing can be judged although readings come; "" if it can.
    aligns_values : whether readings are made of values, so that a feature can be stale.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        get_config: Callable[[], tuple[Settings, Manifest]],
        get_problem: Callable[[], str],
        monotonic: Callable[[], float] = time.monotonic,
        get_input_problem: Callable[[], str] = lambda: "",
        *,
        aligns_values: bool = False,
    ) -> None:
        # Collecting the other metrics, such as those of the process, would take most of the time.
        self._registry = registry.restricted_registry(_METRIC_NAMES)
        self._get_config = get_config
        self._get_problem = get_problem
        self._monotonic = monotonic
        self._get_input_problem = get_input_problem
        self._aligns_values = aligns_values
        # Monotonic time, readings, windows.
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=_RATE_SAMPLES)
        self._started_at = time.time()

    def snapshot(self) -> dict[str, Any]:
        """Return the status as JSON-ready data; to be called once a second."""
        totals: dict[tuple[str, str], float] = {}
        for family in self._registry.collect():
            for sample in family.samples:
                label = next(iter(sample.labels.values()), "")
                totals[sample.name.removeprefix(_PREFIX), label] = sample.value
        readings = sum(value for (name, _), value in totals.items() if name == "readings_total")
        faulty = totals["predictions_total", "Faulty"]
        windows = totals["predictions_total", "Normal"] + faulty
        self._samples.append((self._monotonic(), readings, windows))
        settings, manifest = self._get_config()
        not_ready, input_problem = self._get_problem(), self._get_input_problem()
        return {
            "now": time.time(),
            "problem": "; ".join(filter(None, [not_ready, input_problem])),
            "not_ready": not_ready,
            "input_problem": input_problem,
            "broker": format_address(settings.mqtt.host, settings.mqtt.port),
            "topics": settings.input.all_topics,
            "readings": readings,
            "readings_rate": self._rate(1),
            "windows": windows,
            "windows_rate": self._rate(2),
            "faulty": faulty,
            "waiting": totals["queue_readings", ""],
            "firing": totals["alerts_firing", ""],
            "drift": max(
                ((value, label) for (name, label), value in totals.items() if name == "drift_psi"),
                default=None,
            ),
            "states": {state.value: totals["groups", state.value] for state in State},
            "features": manifest.features,
            "notes": describe_lone_features(manifest.feature_names, manifest.quantities),
            "aligns_values": self._aligns_values,
            "threshold": manifest.threshold,
            "bundle": manifest.id,
            "created": manifest.created,
            "report": (default_bundle.choose_folder(settings.bundle) / "report" / "report.html").is_file(),
            "needs_token": settings.http.needs_token,
            "version": __version__,
            "started_at": self._started_at,
        }

    def _rate(self, column: int) -> float | None:
        """Return the increase per second of a column of the samples; None if there is one sample only."""
        first, last = self._samples[0], self._samples[-1]
        elapsed_s = last[0] - first[0]
        return (last[column] - first[column]) / elapsed_s if elapsed_s > 0 else None
