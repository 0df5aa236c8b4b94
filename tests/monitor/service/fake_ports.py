"""Test doubles for the ports of a gateway."""

from collections.abc import Iterable, Sequence

from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.core.messages import MessageBatch, OutboundMessage
from monitor.mqtt import Session
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.service.ports import HandleRequest
from tests.monitor.service.pipeline_fixture import message_batch

__all__ = ["FakeGroups", "FakeSource", "RecordingQueue", "SessionSink"]


class FakeSource:
    """A source with a queue, and without a connection."""

    problem = ""

    def __init__(self, *, needs_acks: bool, receive_queue: ReceiveQueue) -> None:
        self.needs_acks = needs_acks
        self.acknowledged: list[object] = []
        self._queue = receive_queue
        self.take, self.wait, self.wake = receive_queue.take, receive_queue.wait, receive_queue.wake
        self.close = receive_queue.close

    def __len__(self) -> int:
        return len(self._queue)

    def acknowledge(self, tokens: Sequence[object]) -> None:
        self.acknowledged += tokens

    def start(self, _: HandleRequest) -> None:
        raise NotImplementedError

    def stop(self, timeout: float) -> None:
        raise NotImplementedError

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        raise NotImplementedError


class SessionSink:
    """A sink that publishes through a session of the test."""

    problem = ""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.take_confirmed = session.take_confirmed

    @property
    def ready(self) -> bool:
        return self._session.ready

    def publish(self, message: OutboundMessage) -> int:
        return self._session.publish(
            f"sensor-monitor/{message.topic}", message.payload, retain=message.retain
        )

    def start(self) -> None:
        raise NotImplementedError

    def stop(self, timeout: float) -> None:
        raise NotImplementedError

    def reconfigure(self, settings: Settings) -> None:
        raise NotImplementedError


class RecordingQueue(ReceiveQueue):
    """A queue that stays empty, and that records how long its caller wanted to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.timeouts: list[float] = []

    def take(self, timeout: float) -> MessageBatch:
        self.timeouts.append(timeout)
        return message_batch([])


class FakeGroups:
    """Groups whose state is their name."""

    def __init__(self) -> None:
        self.ended: dict[str, bytes] = {}
        """Group -> its closed incident that is not saved yet."""
        self.deleted_groups: dict[str, None] = {}
        """Groups that the store has to delete."""

    def dump(self, group: str) -> bytes:
        return group.encode()

    def ended_incidents(self, groups: Iterable[str]) -> list[tuple[str, bytes]]:
        return [(group, self.ended[group]) for group in groups if group in self.ended]

    def mark_saved(self, groups: Iterable[str]) -> None:
        for group in groups:
            self.ended.pop(group, None)

    def mark_deleted(self, groups: Iterable[str]) -> None:
        for group in groups:
            self.deleted_groups.pop(group, None)
