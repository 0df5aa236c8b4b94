"""Which pages get events where more are open than can be served."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["PageSlot", "PageSlots"]

# Seconds after which a page gives way to any other: whoever keeps as many open as there may be keeps nobody
# out, and more pages than that take turns.
_GUARANTEED_S = 60.0


@dataclass(eq=False, slots=True)
class PageSlot:
    """The place of one open page."""

    client: str
    """Whose page it is, see `client_key`."""
    opened_at: float
    """Monotonic seconds."""
    is_lost: bool = False
    """Whether it had to give way; its response must end."""


class PageSlots:
    """Shares the places between clients.

    Parameters
    ----------
    max_pages : number of places.
    monotonic : returns monotonic seconds.
    """

    def __init__(self, max_pages: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.max_pages = max_pages
        """Pages that may be open at a time."""
        self._monotonic = monotonic
        self._slots: list[PageSlot] = []  # the oldest first

    def __len__(self) -> int:
        """Return the number of open pages."""
        return len(self._slots)

    def acquire(self, client: str) -> PageSlot | None:
        """Return a place for a page, taken from another one if needed; None if no page has to give way."""
        if len(self._slots) >= self.max_pages:
            loser = self._find_loser(client)
            if loser is None:
                return None
            loser.is_lost = True
            self.release(loser)
        slot = PageSlot(client, self._monotonic())
        self._slots.append(slot)
        return slot

    def release(self, slot: PageSlot) -> None:
        """Give a place back; nothing happens if it was lost."""
        if slot in self._slots:
            self._slots.remove(slot)

    def _find_loser(self, client: str) -> PageSlot | None:
        """Return the page that has to give way to a new one of this client, None if none has to.

        It is the oldest page of the client with the most pages, if that client has more than the other would
        have then, or if the page has been open for a minute.
        """
        counts = Counter(slot.client for slot in self._slots)
        loser = max(
            self._slots, key=lambda slot: counts[slot.client]
        )  # the first, so the oldest, of the most
        is_unfair = counts[loser.client] > counts[client] + 1
        is_old = self._monotonic() - loser.opened_at >= _GUARANTEED_S
        return loser if is_unfair or is_old else None
