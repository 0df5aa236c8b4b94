"""Tells every open page what is new, once a second, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from monitor.core.verdicts import State
from monitor.web import page_data
from monitor.web.live import REMEMBERED, Live

__all__ = ["MOST_CLIENTS", "Stream"]

MOST_CLIENTS = 32
"""Pages that may be open at a time."""
_PERIOD = 1.0  # seconds from one event to the next
# Histories that are sent in one piece: the worst are there at once, and other threads get their turn between.
_PIECE = 50
# What a browser waits until it connects anew, in milliseconds.
_RETRY = b"retry: 1000\n\n"


class Stream:
    """Looks at what is new and lets everybody who listens have it.

    Nothing is queued: who is slow gets what is new since he was told last, and who doesn't take it at all is
    cut by the kernel, see `Server`.

    Parameters
    ----------
    live : what is known of the groups.
    status : returns what is known of the monitor.
    """

    def __init__(self, live: Live, status: Callable[[], dict[str, Any]]) -> None:
        self._live = live
        self._look = status
        self._status: dict[str, Any] = {}
        self._next = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._told: tuple[int, int, bytes] = -1, -1, b""
        self.clients = 0
        """Pages that are open."""

    @property
    def full(self) -> bool:
        """Whether there is no room for one more page."""
        return self.clients >= MOST_CLIENTS

    @contextmanager
    def client(self) -> Iterator[None]:
        """Count a page that is open."""
        self.clients += 1
        try:
            yield
        finally:
            self.clients -= 1

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            # Each holds Python's lock for a millisecond or more: in between, readings get their turn.
            self._status = self._look()
            await asyncio.sleep(0)
            self._live.digest()
            self._wake()
            await asyncio.sleep(_PERIOD)

    def stop(self) -> None:
        """End all events; any thread may call this."""
        self._stopped = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._next.set()
        self._next = asyncio.Event()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield all that is known, and then what is new, until `stop` is called."""
        yield _RETRY
        told = -1  # the turn
        while not self._stopped:
            turn = self._live.turn
            if not turn or told == turn:
                await self._next.wait()
            elif told > turn - REMEMBERED and told >= 0:
                yield self._news(told)
                told = turn
            else:
                for piece in self._all():
                    yield piece
                    await asyncio.sleep(0)
                told = turn

    def _all(self) -> Iterator[bytes]:
        """Yield everything, alerts and the groups that aren't well first."""
        live = self._live
        yield _event("all", {"status": self._status, "alerts": self._alerts()})
        names = sorted(
            live.lines, key=lambda name: live.lines[name].state is State.NORMAL and name not in live.alerts
        )
        for begin in range(0, len(names), _PIECE):
            # Meanwhile a group may have gone.
            piece = [name for name in names[begin : begin + _PIECE] if name in live.lines]
            yield _event("groups", page_data.histories(live, piece))

    def _news(self, since: int) -> bytes:
        """Return what is new after a turn: the same for all who heard of it, so it is put into words once."""
        live = self._live
        if self._told[:2] != (since, live.turn):
            tell = (
                page_data.groups if since == live.turn - 1 else page_data.histories
            )  # who was slow missed points
            content = {
                "status": self._status,
                "groups": tell(live, live.touched(since)),
                "gone": [name for name, turn in live.gone.items() if turn > since],
            }
            if live.alerts_turn > since:
                content["alerts"] = self._alerts()
            self._told = since, live.turn, _event("news", content)
        return self._told[2]

    def _alerts(self) -> dict[str, Any]:
        return page_data.alerts(self._live, self._status["features"])


def _event(name: str, content: object) -> bytes:
    # JSON has no line breaks of its own, so the event is one line of data.
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))
