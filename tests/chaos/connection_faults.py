"""Faults of connections: the monitor's is cut, stalled or half-open; the alert subscriber's is absent."""

import random
from pathlib import Path

from tests.chaos.harness import Harness, split_by_mode
from tests.chaos.results import ResultRow

__all__ = ["break_connection", "disconnect_subscriber"]

# The shortest that the settings accept: a silent connection is given up after about twice the keepalive.
_KEEPALIVE_SETTING = "keepalive = 5"
_MAX_STALL_S = 12.0
"""Seconds: longer than the keepalive, so some stalls outlast the connection and some don't."""


def break_connection(folder: Path, count: int, seed: int) -> ResultRow:
    """Cut, stall and half-close the monitor's connection in turn, `count` times in all."""
    total = ResultRow("connection cut, stalled, half-open", count)
    rng = random.Random(seed)  # noqa: S311, repeatable on purpose
    for mode, repetitions in split_by_mode(count):
        with Harness(folder / mode, seed, mode, mqtt=_KEEPALIVE_SETTING, use_proxy=True) as harness:
            harness.load_generator.start()
            for number in range(repetitions):
                harness.wait_random(0.2, 1.0)
                _break_once(harness, ("cut", "stall", "half-open")[number % 3], rng)
                harness.wait_ready()
            reconnects = harness.monitor.metric("mqtt_reconnects_total")
            total.add(harness.finish())
            total.notes.append(f"{reconnects:.0f} reconnects")
    return total


def _break_once(harness: Harness, kind: str, rng: random.Random) -> None:
    assert harness.proxy is not None
    if kind == "cut":
        harness.proxy.disconnect_all()
    elif kind == "stall":
        harness.proxy.pause()
        max_stall_s = rng.choice((1.0, _MAX_STALL_S))
        harness.wait_random(max_stall_s / 2, max_stall_s)
        harness.proxy.resume()
    else:
        reconnects = harness.monitor.metric("mqtt_reconnects_total")
        harness.proxy.shutdown_broker_side()
        harness.wait_for(
            lambda: harness.monitor.metric("mqtt_reconnects_total") > reconnects, "the monitor reconnects"
        )


def disconnect_subscriber(folder: Path, count: int, seed: int) -> ResultRow:
    """Disconnect the alert subscriber for a while, `count` times: its session must receive every alert."""
    total = ResultRow("alert subscriber away", count)
    for mode, repetitions in split_by_mode(count):
        with Harness(folder / mode, seed, mode) as harness:
            harness.load_generator.start()
            for _ in range(repetitions):
                harness.wait_random(0.2, 1.0)
                harness.recorder.disconnect()
                harness.wait_random(0.5, 2.0)
                harness.recorder.start()
            total.add(harness.finish())
    return total
