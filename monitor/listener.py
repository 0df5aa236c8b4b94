"""What a session with the broker tells its owner."""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Delivery", "Listener"]

Delivery = tuple[str, bytes, object, bool]
"""A message: its topic, its payload, the receipt that acknowledges it (None where nothing is to be
acknowledged), and whether the broker sent it before and nobody acknowledged it."""


class Listener(Protocol):
    """Told by a session what happens, on the network thread: must be quick and never raise."""

    def connected(self) -> None:
        """Hear that the broker took us in and every subscription stands."""

    def disconnected(self, reason: str) -> None:
        """Hear why there is no connection; the session keeps trying."""

    def taken_over(self) -> None:
        """Hear that another client has our id; the session is over."""

    def received(self, messages: Sequence[Delivery]) -> None:
        """Take messages in their order."""

    def requested(
        self, topic: str, payload: bytes, response_topic: str | None, correlation: bytes | None
    ) -> None:
        """Take a request, which is acknowledged already.

        MQTT 5 says where its answer goes and what the answer must bear; None where nothing is said.
        """
