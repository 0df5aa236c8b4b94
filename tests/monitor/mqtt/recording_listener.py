"""Somebody who listens to a session, and a broker that says what mosquitto never does."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from monitor.config.settings import Mqtt
from monitor.core.messages import Asked, Delivery, Read
from monitor.mqtt import Session
from tests.conftest import wait_until

_OF_THE_SESSION = ("filters", "former", "births", "claim", "requests", "will", "durable")


@dataclass
class Ear:
    """Writes down what a session tells it."""

    messages: list[tuple[str, bytes, Any]] = field(default_factory=list)
    redelivered: list[bool] = field(default_factory=list)
    requests: list[tuple[str, bytes, str | None, bytes | None]] = field(default_factory=list)
    receipts: list[object] = field(default_factory=list)
    """Of the requests."""
    connections: int = 0
    problems: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    refusals: int = 0

    def connected(self) -> None:
        self.connections += 1

    def disconnected(self, reason: str) -> None:
        self.problems.append(reason)

    def taken_over(self) -> None:
        self.ended.set()

    def publish_refused(self) -> None:
        self.refusals += 1

    def requested(self, asked: Asked) -> None:
        self.requests.append((asked.topic, asked.payload, asked.answer_to, asked.correlation))
        self.receipts.append(asked.receipt)

    def received(self, messages: Sequence[Delivery], read: Read | None) -> None:  # noqa: ARG002, it never waits
        for topic, payload, receipt, redelivered in messages:
            self.redelivered.append(redelivered)
            self.messages.append((topic, payload, receipt))


@contextmanager
def session(port: int, ear: Ear, name: str = "under-test", **options: Any) -> Iterator[Session]:
    """Run a session; options of the settings and of the session alike."""
    own = {key: options.pop(key) for key in _OF_THE_SESSION if key in options}
    password = options.pop("secret", None)
    opened = Session(Mqtt(port=port, **options), name, password, ear, **own)
    opened.start()
    try:
        yield opened
    finally:
        opened.stop(1.0)


def ready(opened: Session) -> None:
    """Wait for a session."""
    wait_until(lambda: opened.ready, "the session is ready")


@contextmanager
def scripted_broker(*answers: Callable[[bytes], bytes]) -> Iterator[int]:
    """Answer each packet of one client as told, on a real socket: for what mosquitto never says."""

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            stream = connection.makefile("rb")
            for answer in answers:
                head = stream.read(2)  # no packet here is longer than the 127 bytes that one byte counts
                connection.sendall(answer(head + stream.read(head[1])))
            connection.recv(1024)

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()
