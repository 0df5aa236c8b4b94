"""What the page shows, label by label."""

from prometheus_client import CollectorRegistry

from monitor.manifest import Manifest
from monitor.settings import Settings

__all__ = ["summary"]


def summary(
    registry: CollectorRegistry, settings: Settings, manifest: Manifest, problem: str
) -> dict[str, str]:
    """Return label -> text.

    Parameters
    ----------
    registry : the metrics.
    settings, manifest : in use.
    problem : why the monitor isn't ready; "" if it is.
    """

    def total(name: str, **labels: str) -> str:
        return f"{registry.get_sample_value(f'sensor_monitor_{name}', labels) or 0:,.0f}"

    return {
        "Broker": problem or f"connected to {settings.mqtt.host}:{settings.mqtt.port}",
        "Topics": ", ".join(settings.input.topics),
        "Bundle": f"{manifest.id}, made {manifest.created}",
        "Windows judged": total("readings_total", outcome="judged"),
        "of these Faulty": total("predictions_total", label="Faulty"),
        "Alerts firing": total("alerts_firing"),
        "Groups normal": total("groups", state="normal"),
        "Groups faulty": total("groups", state="faulty"),
        "Groups silent": total("groups", state="silent"),
    }
