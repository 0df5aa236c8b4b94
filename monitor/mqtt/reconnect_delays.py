"""How long a client waits until it connects again."""

import random

import paho.mqtt.client as paho

__all__ = ["SHORT_CONNECTION_S", "ReconnectDelays"]

SHORT_CONNECTION_S = 5.0
"""Seconds: a connection that ends earlier was probably ended because of something that this client did."""
_SHORTEST_RANGE_S, _LONGEST_RANGE_S = (1.0, 2.0), (8.0, 16.0)  # from which delays are drawn, seconds
# A network that breaks twice is worth a quick third attempt.
_QUICK_ATTEMPTS, _MAX_DOUBLINGS = 2, 10


class ReconnectDelays:
    """The delays of one client; each client draws its own.

    So a plant's monitors do not all reconnect at once after a broker restart. Paho doubles the delay from the
    shortest to the longest, and starts again after each accepted connection: a broker that accepts a
    connection and ends it soon would be asked every second or two for ever. So after some such connections
    the shortest delay is doubled as well.
    """

    def __init__(self) -> None:
        draw = random.SystemRandom()
        self._shortest, self._longest = draw.uniform(*_SHORTEST_RANGE_S), draw.uniform(*_LONGEST_RANGE_S)
        self._short_connections = 0  # in a row

    def apply(self, client: paho.Client) -> None:
        """Make a client use these delays."""
        doublings = min(max(0, self._short_connections - _QUICK_ATTEMPTS), _MAX_DOUBLINGS)
        shortest = min(self._shortest * 2.0**doublings, self._longest)
        client.reconnect_delay_set(shortest, self._longest)  # type: ignore[arg-type] # paho only adds and compares them

    def record_end(self, client: paho.Client, connected_for_s: float, *, cause_removed: bool) -> None:
        """Take note of an accepted connection that ended after so many seconds.

        Parameters
        ----------
        cause_removed : whether the message that caused it was set aside.
        """
        before = self._short_connections
        is_short = connected_for_s < SHORT_CONNECTION_S and not cause_removed
        self._short_connections = before + 1 if is_short else 0
        if before != self._short_connections:
            self.apply(client)
