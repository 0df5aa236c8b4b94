"""The rows of the table, in the order in which each round runs them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.bench import latency
from tests.bench.config import Setting
from tests.bench.measurements import Figure
from tests.bench.no_baseline import plain
from tests.bench.stage_costs import SUBJECT, stages
from tests.bench.throughput import (
    RESIDENT,
    flood_ceiling,
    flood_lines,
    flood_ours,
    flood_rival,
    flood_sub,
    paho,
)

__all__ = ["BYTES", "PLANS", "Plan", "arrays", "bytes_a_group", "groups"]

BYTES = "bytes a group"
_CEILING = "raw socket, QoS 0, the broker's ceiling"
_SUB = "mosquitto_sub, QoS 0"
_LINES = "two of ours, a line each, QoS 0"


@dataclass(frozen=True, slots=True)
class Plan:
    """A row before it is run."""

    name: str
    run: Callable[[Setting], list[Figure]]

    @property
    def words(self) -> list[str]:
        """Return what it is selected by."""
        return self.name.lower().replace(",", "").split()


def groups(count: int, qos: int = 0, *, baseline: bool = True) -> str:
    """Return what the monitor is called where it hears so many groups."""
    return f"ours, QoS {qos}, {count:,} groups{'' if baseline else ', no baseline'}"


def arrays(readings: int) -> str:
    """Return what it is called where a message holds so many readings."""
    return f"ours, QoS 0, {readings} readings a message"


def _ours(name: str, messages: int, **more: int) -> Plan:
    return Plan(name, lambda setting: flood_ours(setting, name, messages, **more))


def _plain(count: int, messages: int) -> Plan:
    """Return the row of a bundle that has no baseline."""
    name = groups(count, baseline=False)

    def run(setting: Setting) -> list[Figure]:
        bundle = plain(setting.bundle, setting.folder / "plain")
        return flood_ours(replace(setting, bundle=bundle), name, messages, groups=count)

    return Plan(name, run)


def _rival(name: str, kind: str, messages: int, **more: int) -> Plan:
    return Plan(name, lambda setting: flood_rival(setting, name, kind, messages, **more))


# As many messages as keep each busy for a few seconds.
PLANS = (
    Plan(_CEILING, lambda setting: flood_ceiling(setting, _CEILING, 300_000)),
    _rival(paho(0), "paho", 300_000),
    _rival(paho(1), "paho", 200_000, qos=1),
    Plan(_SUB, lambda setting: flood_sub(setting, _SUB, 300_000)),
    _rival("paho and ONNX Runtime a message", "onnx", 60_000),
    _rival("paho and Keras predict a message", "keras", 150, groups=10),
    _ours(groups(100), 200_000, groups=100),
    _ours(groups(1_000), 300_000),
    _ours(groups(10_000), 200_000, groups=10_000),
    _ours(groups(100_000), 300_000, groups=100_000),
    _plain(1_000, 300_000),
    _plain(10_000, 200_000),
    _plain(100_000, 100_000),
    _ours(groups(1_000, 1), 150_000, qos=1),
    Plan(_LINES, lambda setting: flood_lines(setting, _LINES, 300_000)),
    _ours(arrays(10), 50_000, array=10),
    _ours(arrays(100), 8_000, array=100),
    Plan("echo, latency", latency.echo),
    Plan("ours, latency", latency.ours),
    Plan(SUBJECT, stages),
)


def bytes_a_group(figures: list[Figure]) -> list[Figure]:
    """Return what a group takes, as 90,000 more of them show it; nothing where that wasn't measured."""
    resident = {figure.subject: figure.value for figure in figures if figure.quantity == RESIDENT}
    found = []
    for baseline in (True, False):
        few, many = (resident.get(groups(count, baseline=baseline)) for count in (10_000, 100_000))
        if few is not None and many is not None:
            value = (many - few) * (1 << 20) / 90_000
            found.append(Figure(groups(100_000, baseline=baseline), BYTES, value))
    return found
