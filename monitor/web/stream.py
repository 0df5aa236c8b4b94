"""Tells every open page what is new, once a second, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from monitor.core.verdicts import State
from monitor.web import page_data
from monitor.web.live import MAX_REVISION_LAG, LiveGroups

__all__ = ["MAX_CLIENTS", "Stream"]

MAX_CLIENTS = 32
"""Pages that may be open at a time."""
_PERIOD_S = 1.0  # seconds from one event to the next
# Histories that are sent in one piece: the worst are there at once, and other threads get their turn between.
_GROUPS_PER_EVENT = 50
# What a browser waits until it connects anew, in milliseconds.
_RETRY = b"retry: 1000\n\n"


class Stream:
    """Looks at what is new and lets everybody who listens have it.

    Nothing is queued: who is slow gets what is new since he was told last, and who doesn't take it at all is
    cut by the kernel, see `Server`.

    Parameters
    ----------
    live : what is known of the groups.
    get_status : returns what is known of the monitor.
    """

    def __init__(self, live: LiveGroups, get_status: Callable[[], dict[str, Any]]) -> None:
        self._live = live
        self._get_status = get_status
        self._status: dict[str, Any] = {}
        self._update_event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._cached_update: tuple[int, int, bytes] = -1, -1, b""
        self.client_count = 0
        """Pages that are open."""

    @property
    def is_full(self) -> bool:
        """Whether there is no room for one more page."""
        return self.client_count >= MAX_CLIENTS

    @contextmanager
    def track_client(self) -> Iterator[None]:
        """Count a page that is open."""
        self.client_count += 1
        try:
            yield
        finally:
            self.client_count -= 1

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            # Each holds Python's lock for a millisecond or more: in between, readings get their turn.
            self._status = self._get_status()
            await asyncio.sleep(0)
            self._live.apply_pending()
            self._notify_clients()
            await asyncio.sleep(_PERIOD_S)

    def stop(self) -> None:
        """End all events; any thread may call this."""
        self._stopped = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify_clients)

    def _notify_clients(self) -> None:
        self._update_event.set()
        self._update_event = asyncio.Event()

    async def events(self) -> AsyncIterator[bytes]:
        """Yield all that is known, and then what is new, until `stop` is called."""
        yield _RETRY
        sent_revision = -1  # the turn
        while not self._stopped:
            revision = self._live.revision
            if not revision or sent_revision == revision:
                await self._update_event.wait()
            elif sent_revision > revision - MAX_REVISION_LAG and sent_revision >= 0:
                yield self._changes_since(sent_revision)
                sent_revision = revision
            else:
                for piece in self._full_state():
                    yield piece
                    await asyncio.sleep(0)
                sent_revision = revision

    def _full_state(self) -> Iterator[bytes]:
        """Yield everything, alerts and the groups that aren't well first."""
        live = self._live
        yield _encode_event("all", {"status": self._status, "alerts": self._alerts()})
        names = sorted(
            live.statuses,
            key=lambda name: live.statuses[name].state is State.NORMAL and name not in live.alerts,
        )
        for begin in range(0, len(names), _GROUPS_PER_EVENT):
            # Meanwhile a group may have gone.
            piece = [name for name in names[begin : begin + _GROUPS_PER_EVENT] if name in live.statuses]
            yield _encode_event("groups", page_data.group_histories(live, piece))

    def _changes_since(self, revision: int) -> bytes:
        """Return what is new after a turn: the same for all who heard of it, so it is put into words once."""
        live = self._live
        if self._cached_update[:2] != (revision, live.revision):
            to_page_data = (
                page_data.group_updates if revision == live.revision - 1 else page_data.group_histories
            )  # who was slow missed points
            content = {
                "status": self._status,
                "groups": to_page_data(live, live.changed_since(revision)),
                "gone": [name for name, turn in live.removed_groups.items() if turn > revision],
            }
            if live.alerts_revision > revision:
                content["alerts"] = self._alerts()
            self._cached_update = revision, live.revision, _encode_event("news", content)
        return self._cached_update[2]

    def _alerts(self) -> dict[str, Any]:
        return page_data.alerts(self._live, self._status["features"])


def _encode_event(name: str, content: object) -> bytes:
    # JSON has no line breaks of its own, so the event is one line of data.
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))
