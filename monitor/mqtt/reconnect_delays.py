"""How long a client waits until it connects again."""

import random

import paho.mqtt.client as paho

__all__ = ["SHORT_CONNECTION_S", "ReconnectDelays"]

SHORT_CONNECTION_S = 5.0
"""Seconds: a connection that ends earlier was probably ended because of something that this client did."""
_SHORTEST_RANGE_S, _LONGEST_RANGE_S = (1.0, 2.0), (8.0, 16.0)  # from which delays are drawn, seconds
# After another client took the session, readings wait at the broker, or nowhere: the first attempt to take it
# back comes at once. The pauses grow, for two clients that disconnect each other are a load on the broker.
_FIRST_AFTER_TAKEOVER_S = (0.2, 0.4)  # from which the delay is drawn, seconds
_TAKEOVER_MEMORY_S = 60.0  # a connection that lasted so long begins the pauses afresh, seconds
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
        self._after_takeover = draw.uniform(*_FIRST_AFTER_TAKEOVER_S)
        self._short_connections = 0  # in a row
        self._takeovers = 0  # in a row

    def apply(self, client: paho.Client) -> None:
        """Make a client use these delays."""
        if self._takeovers:
            shortest = self._after_takeover * 2.0 ** min(self._takeovers - 1, _MAX_DOUBLINGS)
        else:
            doublings = min(max(0, self._short_connections - _QUICK_ATTEMPTS), _MAX_DOUBLINGS)
            shortest = self._shortest * 2.0**doublings
        shortest = min(shortest, self._longest)
        client.reconnect_delay_set(shortest, self._longest)  # type: ignore[arg-type] # paho only adds and compares them

    def record_end(
        self, client: paho.Client, connected_for_s: float, *, cause_removed: bool, is_takeover: bool = False
    ) -> None:
        """Take note of an accepted connection that ended after so many seconds.

        Parameters
        ----------
        cause_removed : whether the message that caused it was set aside.
        is_takeover : whether the broker ended it because another client has the client id.
        """
        before = (self._short_connections, self._takeovers)
        is_short = connected_for_s < SHORT_CONNECTION_S and not cause_removed
        self._short_connections = self._short_connections + 1 if is_short and not is_takeover else 0
        if connected_for_s >= _TAKEOVER_MEMORY_S or not is_takeover:
            self._takeovers = 0
        self._takeovers += is_takeover
        if before != (self._short_connections, self._takeovers):
            self.apply(client)
