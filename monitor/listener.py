"""What a session with the broker tells its owner."""

from typing import Protocol

__all__ = ["Listener"]


class Listener(Protocol):
    """Told by a session what happens, on the network thread: must be quick and never raise."""

    def connected(self) -> None:
        """Hear that the broker took us in and every subscription stands."""

    def disconnected(self, reason: str) -> None:
        """Hear why there is no connection; the session keeps trying."""

    def taken_over(self) -> None:
        """Hear that another client has our id; the session is over."""

    def received(self, topic: str, payload: bytes, receipt: object, *, redelivered: bool) -> None:
        """Take a message. Its receipt acknowledges it; None needs no acknowledgement.

        `redelivered` tells that the broker sent it before, and nobody acknowledged it.
        """

    def requested(
        self, topic: str, payload: bytes, response_topic: str | None, correlation: bytes | None
    ) -> None:
        """Take a request, which is acknowledged already.

        MQTT 5 says where its answer goes and what the answer must bear; None where nothing is said.
        """
