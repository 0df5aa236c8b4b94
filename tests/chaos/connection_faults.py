"""The connection breaks, stalls or is open at one end only; the subscriber of the alerts is away."""

import random
from pathlib import Path

from tests.chaos.harness import Rig, by_mode
from tests.chaos.results import Row

__all__ = ["absent_subscriber", "break_connection"]

# The shortest that the settings take: a connection that says nothing is given up after about twice that.
_KEEPALIVE = "keepalive = 5"
_LONGEST_STALL = 12.0  # seconds: beyond keepalive, so some stalls end with the connection and some don't


def break_connection(folder: Path, count: int, seed: int) -> Row:
    """Cut, stall or half-open the monitor's connection, one after the other."""
    total = Row("connection cut, stalled, half-open", count)
    chance = random.Random(seed)  # noqa: S311, repeatable on purpose
    for mode, times in by_mode(count):
        with Rig(folder / mode, seed, mode, mqtt=_KEEPALIVE, proxied=True) as rig:
            rig.plant.start()
            for number in range(times):
                rig.wait(0.2, 1.0)
                _break(rig, ("cut", "stall", "half-open")[number % 3], chance)
                rig.ready()
            reconnects = rig.monitor.metric("mqtt_reconnects_total")
            total.add(rig.verdict())
            total.notes.append(f"{reconnects:.0f} reconnects")
    return total


def _break(rig: Rig, kind: str, chance: random.Random) -> None:
    assert rig.proxy is not None
    if kind == "cut":
        rig.proxy.cut()
    elif kind == "stall":
        rig.proxy.stall()
        longest = chance.choice((1.0, _LONGEST_STALL))
        rig.wait(longest / 2, longest)
        rig.proxy.flow()
    else:
        before = rig.monitor.metric("mqtt_reconnects_total")
        rig.proxy.half_open()
        rig.until(lambda: rig.monitor.metric("mqtt_reconnects_total") > before, "it notices")


def absent_subscriber(folder: Path, count: int, seed: int) -> Row:
    """Let the subscriber of the alerts be away for a while, `count` times: its session gets them all."""
    total = Row("alert subscriber away", count)
    for mode, times in by_mode(count):
        with Rig(folder / mode, seed, mode) as rig:
            rig.plant.start()
            for _ in range(times):
                rig.wait(0.2, 1.0)
                rig.witness.leave()
                rig.wait(0.5, 2.0)
                rig.witness.start()
            total.add(rig.verdict())
    return total
