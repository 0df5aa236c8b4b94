"""How long clients wait before they connect again."""

from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from monitor.mqtt.reconnect_delays import SHORT_CONNECTION_S, ReconnectDelays


class _RecordingClient(paho.Client):
    def __init__(self) -> None:
        super().__init__(CallbackAPIVersion.VERSION2)
        self.delays: list[tuple[Any, Any]] = []

    def reconnect_delay_set(self, min_delay: Any = 1, max_delay: Any = 120) -> None:
        self.delays.append((min_delay, max_delay))


def test_delays_differ() -> None:
    """Each client draws delays of its own, so that many clients do not reconnect at once."""
    client = _RecordingClient()
    for _ in range(20):
        ReconnectDelays().apply(client)
    assert len(dict(client.delays)) == len({longest for _, longest in client.delays}) == 20
    assert all(1 <= shortest <= 2 and 8 <= longest <= 16 for shortest, longest in client.delays)


@pytest.mark.parametrize("cause_removed", [True, False])
def test_connections_that_end_soon(*, cause_removed: bool) -> None:
    """Each connection that ends soon doubles the shortest delay, from the third on, up to the longest.

    Unless the cause is known and removed; a long connection ends it.
    """
    client, delays = _RecordingClient(), ReconnectDelays()
    delays.apply(client)
    shortest, longest = client.delays[-1]
    for _ in range(3):
        delays.record_end(client, 0.1, cause_removed=cause_removed)
    assert client.delays[-1] == (shortest if cause_removed else shortest * 2, longest)
    for _ in range(2000):
        delays.record_end(client, 0.1, cause_removed=cause_removed)
    assert client.delays[-1] == (shortest if cause_removed else longest, longest)
    delays.record_end(client, SHORT_CONNECTION_S, cause_removed=False)
    assert client.delays[-1] == (shortest, longest)


def test_connections_that_another_client_takes() -> None:
    """The session is taken back at once, then with pauses that double; after a minute they begin afresh."""
    client, delays = _RecordingClient(), ReconnectDelays()
    delays.apply(client)
    calm, longest = client.delays[-1]
    pauses = []
    for _ in range(2000):
        delays.record_end(client, 10.0, cause_removed=False, is_takeover=True)
        pauses.append(client.delays[-1][0])
    first = pauses[0]
    assert 0.2 <= first <= 0.4
    assert pauses[1:4] == [first * 2, first * 4, first * 8]
    assert pauses[-1] == longest
    delays.record_end(client, 60.0, cause_removed=False, is_takeover=True)
    assert client.delays[-1] == (first, longest)
    delays.record_end(client, 10.0, cause_removed=False)
    assert client.delays[-1] == (calm, longest)
