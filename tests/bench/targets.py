"""What the figures are to reach, and whether they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench import latency
from tests.bench.benchmarks import BYTES, arrays, groups
from tests.bench.measurements import Figure, Key, number
from tests.bench.throughput import MESSAGES, READY, RESIDENT, WINDOWS, paho

__all__ = ["reached", "table"]


@dataclass(frozen=True, slots=True)
class _Bar:
    """One figure, or its ratio to another of the same round."""

    text: str
    key: Key
    limit: float
    over: Key | None = None
    least: bool = True
    """Whether it is to be at least the limit, and not at most."""


_OURS, _PLAIN = groups(1_000), groups(1_000, baseline=False)
_P50, _P99 = latency.quantity("p50", 1000), latency.quantity("p99", 1000)
_BARS = (
    _Bar(
        "QoS 0, 1,000 groups: windows/s over bare paho's messages/s",
        (_OURS, WINDOWS),
        1.5,
        (paho(0), MESSAGES),
    ),
    _Bar(
        "the same without a baseline",
        (_PLAIN, WINDOWS),
        1.5,
        (paho(0), MESSAGES),
    ),
    _Bar(
        "with a baseline over without one",
        (_OURS, WINDOWS),
        0.9,
        (_PLAIN, WINDOWS),
    ),
    _Bar(
        "QoS 1, durable: windows/s over bare paho's messages/s at QoS 1",
        (groups(1_000, 1), WINDOWS),
        0.8,
        (paho(1), MESSAGES),
    ),
    _Bar(
        "arrays of 100: windows/s over bare paho's messages/s",
        (arrays(100), WINDOWS),
        2.0,
        (paho(0), MESSAGES),
    ),
    _Bar(
        "publish to alert at 1,000/s, p50 over the echo's",
        (latency.OURS, _P50),
        2.0,
        (latency.ECHO, _P50),
        least=False,
    ),
    _Bar(
        "publish to alert at 1,000/s, p99 over the echo's",
        (latency.OURS, _P99),
        3.0,
        (latency.ECHO, _P99),
        least=False,
    ),
    _Bar(
        "100,000 groups: windows/s over those with 1,000", (groups(100_000), WINDOWS), 0.7, (_OURS, WINDOWS)
    ),
    _Bar("resident memory with 10,000 groups, MiB", (groups(10_000), RESIDENT), 200, least=False),
    _Bar("bytes a group from 10,000 to 100,000 groups", (groups(100_000), BYTES), 1000, least=False),
    _Bar(
        "bytes a group from 10,000 to 100,000 groups, no baseline",
        (groups(100_000, baseline=False), BYTES),
        1000,
        least=False,
    ),
    _Bar("start to /readyz, s", (_OURS, READY), 2.0, least=False),
)


def reached(rounds: Sequence[Sequence[Figure]]) -> list[dict[str, str | float | bool]]:
    """Return figure, bar, what was measured (the median of the rounds), and whether that is enough.

    A round that lacks a figure doesn't count, and a bar that no round tells of is left out.
    """
    found: list[dict[str, str | float | bool]] = []
    by_round = [{figure.key: figure.value for figure in figures} for figures in rounds]
    for bar in _BARS:
        values = [
            figures[bar.key] / (figures[bar.over] if bar.over else 1.0)
            for figures in by_round
            if bar.key in figures and (bar.over is None or figures.get(bar.over))
        ]
        if not values:
            continue
        measured = median(values)
        met = measured >= bar.limit if bar.least else measured <= bar.limit
        found.append(
            {"figure": bar.text, "least": bar.least, "bar": bar.limit, "measured": measured, "met": met}
        )
    return found


def table(found: list[dict[str, str | float | bool]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    rows = [("figure", "bar", "measured", "met"), ("---", "---:", "---:", "---")]
    for bar in found:
        limit = f"{'>=' if bar['least'] else '<='} {bar['bar']:g}"
        rows.append(
            (str(bar["figure"]), limit, number(float(bar["measured"])), "yes" if bar["met"] else "**no**")
        )
    return [f"| {' | '.join(row)} |" for row in rows]
