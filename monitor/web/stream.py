"""Sends changes to every open page once a second, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec

from monitor.core.verdicts import State
from monitor.web import page_data
from monitor.web.connections import max_connections
from monitor.web.live import MAX_REVISION_LAG, LiveGroups
from monitor.web.page_slots import PageSlot, PageSlots

__all__ = ["MAX_CLIENTS", "Stream"]

MAX_CLIENTS = 32
"""Pages that may be open at a time, if there may be twice as many connections."""
_PERIOD_S = 1.0  # seconds between two events
# Groups per event of the full state: the page shows the first ones at once, and other threads run in between.
_GROUPS_PER_EVENT = 50
# Tells the browser to reconnect after 1000 ms.
_RETRY = b"retry: 1000\n\n"


class Stream:
    """Collects changes once a second and sends them to every client.

    Nothing is queued: a slow client gets all changes since its last event in one event, and the kernel closes
    the connection of a client that reads nothing, see `Server`.

    Parameters
    ----------
    live : the data of the groups.
    get_status : returns the monitor's status.
    """

    def __init__(self, live: LiveGroups, get_status: Callable[[], dict[str, Any]]) -> None:
        self._live = live
        self._get_status = get_status
        self._status: dict[str, Any] = {}
        self._update_event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._cached_update: tuple[int, int, bytes] = -1, -1, b""
        # Half of the connections at most, so that pages can't keep out a health check.
        self.slots = PageSlots(min(MAX_CLIENTS, max_connections() // 2))
        """The places of open pages."""

    async def run(self) -> None:
        """Collect and announce changes once a second, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            # Each step holds Python's lock for a millisecond or more; the pipeline may run between them.
            self._status = self._get_status()
            await asyncio.sleep(0)
            self._live.apply_pending()
            self._notify_clients()
            await asyncio.sleep(_PERIOD_S)

    def stop(self) -> None:
        """End the event streams of all clients; thread-safe."""
        self._stopped = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify_clients)

    def _notify_clients(self) -> None:
        self._update_event.set()
        self._update_event = asyncio.Event()

    async def events(
        self, slot: PageSlot | None = None, is_allowed: Callable[[], bool] = lambda: True
    ) -> AsyncIterator[bytes]:
        """Yield the full state and then the changes, until `stop` is called.

        Parameters
        ----------
        slot : the place of the page; the events end once it is lost.
        is_allowed : whether the page may have more events; asked for each.
        """
        yield _RETRY
        sent_revision = -1  # revision that the client has
        while not self._stopped and is_allowed() and not (slot and slot.is_lost):
            revision = self._live.revision
            if not revision or sent_revision == revision:
                await self._update_event.wait()
            elif sent_revision > revision - MAX_REVISION_LAG and sent_revision >= 0:
                yield self._changes_since(sent_revision)
                sent_revision = revision
            else:
                for event in self._full_state():
                    yield event
                    await asyncio.sleep(0)
                sent_revision = revision

    def _full_state(self) -> Iterator[bytes]:
        """Yield the full state: status and alerts, then the groups, those that are not healthy first."""
        live = self._live
        yield _encode_event("all", {"status": self._status, "alerts": self._alerts()})
        names = sorted(
            live.statuses,
            key=lambda name: (
                live.statuses[name].state is State.NORMAL
                and not live.statuses[name].stale
                and name not in live.alerts
            ),
        )
        for begin in range(0, len(names), _GROUPS_PER_EVENT):
            # Between two events a group may have been removed.
            chunk = [name for name in names[begin : begin + _GROUPS_PER_EVENT] if name in live.statuses]
            yield _encode_event("groups", page_data.group_histories(live, chunk))

    def _changes_since(self, revision: int) -> bytes:
        """Return the changes since a revision, encoded once for all clients that have this revision."""
        live = self._live
        if self._cached_update[:2] != (revision, live.revision):
            # A client that skipped revisions missed points, so it gets whole trends.
            is_previous = revision == live.revision - 1
            to_page_data = page_data.group_updates if is_previous else page_data.group_histories
            content = {
                "status": self._status,
                "groups": to_page_data(live, live.changed_since(revision)),
                "gone": [name for name, removed_in in live.removed_groups.items() if removed_in > revision],
            }
            if live.alerts_revision > revision:
                content["alerts"] = self._alerts()
            self._cached_update = revision, live.revision, _encode_event("news", content)
        return self._cached_update[2]

    def _alerts(self) -> dict[str, Any]:
        return page_data.alerts(self._live, self._status["features"])


def _encode_event(name: str, content: object) -> bytes:
    # Encoded JSON contains no line breaks, so an event has one line of data.
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(content))
