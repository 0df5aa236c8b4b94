"""Slows clients that send wrong tokens."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

__all__ = ["GuessLimit"]

# Wrong tokens that a client may send at once, and seconds until it may send another one: 17,280 a day. A
# Prometheus with the token of yesterday, which asks every 15 s, stays below it.
_BURST = 20
_INTERVAL_S = 5.0
# Clients that are remembered; of more, the one that sent a wrong token longest ago is forgotten.
_MAX_CLIENTS = 4096


class GuessLimit:
    """Says how long a client has to wait until another token of it is looked at.

    It slows each client by itself: whoever sends wrong tokens keeps out nobody else.

    Parameters
    ----------
    monotonic : returns monotonic seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # When each client's wrong tokens will be forgotten, monotonic seconds; each adds `_INTERVAL_S`.
        self._clear_at: OrderedDict[Hashable, float] = OrderedDict()

    def wait_s(self, client: Hashable) -> float:
        """Return the seconds until a token of this client is looked at; 0 if it is now."""
        return max(0.0, self._clear_at.get(client, 0.0) - self._monotonic() - (_BURST - 1) * _INTERVAL_S)

    def count_wrong(self, client: Hashable) -> None:
        """Count a wrong token."""
        now = self._monotonic()
        self._clear_at[client] = max(self._clear_at.get(client, 0.0), now) + _INTERVAL_S
        self._clear_at.move_to_end(client)
        if len(self._clear_at) > _MAX_CLIENTS:
            self._clear_at.popitem(last=False)
