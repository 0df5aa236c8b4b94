"""A listener that records a session's callbacks, and a broker that answers what mosquitto never does."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any

from monitor.config.mqtt_settings import MqttSettings
from monitor.core.messages import DUP_FLAG, RETAIN_FLAG, InboundMessage, InboundRequest, ReadOnce
from monitor.mqtt import Session, SessionOptions
from tests.conftest import wait_until

_SESSION_OPTIONS = {field.name for field in fields(SessionOptions)}


@dataclass
class RecordingListener:
    """Records the callbacks of a session."""

    messages: list[tuple[str, bytes, Any]] = field(default_factory=list)
    """Topic, payload, acknowledgement token."""
    redelivered: list[bool] = field(default_factory=list)
    """DUP flag of each message."""
    retained: list[bool] = field(default_factory=list)
    """RETAIN flag of each message."""
    requests: list[tuple[str, bytes, str | None, bytes | None]] = field(default_factory=list)
    """Topic, payload, response topic, correlation data."""
    request_ack_tokens: list[object] = field(default_factory=list)
    connect_count: int = 0
    problems: list[str] = field(default_factory=list)
    taken_over_event: threading.Event = field(default_factory=threading.Event)
    session_taken_count: int = 0
    session_lost_count: int = 0
    refused_count: int = 0

    def on_connected(self) -> None:
        self.connect_count += 1

    def on_disconnected(self, reason: str) -> None:
        self.problems.append(reason)

    def on_taken_over(self) -> None:
        self.taken_over_event.set()

    def on_session_taken(self) -> None:
        self.session_taken_count += 1

    def on_session_lost(self) -> None:
        self.session_lost_count += 1

    def on_publish_failed(self) -> None:
        self.refused_count += 1

    def on_request(self, request: InboundRequest) -> None:
        self.requests.append(
            (request.topic, request.payload, request.response_topic, request.correlation_data)
        )
        self.request_ack_tokens.append(request.ack_token)

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:  # noqa: ARG002
        for topic, payload, ack_token, flags in messages:
            self.redelivered.append(bool(flags & DUP_FLAG))
            self.retained.append(bool(flags & RETAIN_FLAG))
            self.messages.append((topic, payload, ack_token))


@contextmanager
def session(
    port: int, listener: RecordingListener, client_id: str = "under-test", **options: Any
) -> Iterator[Session]:
    """Run a session; options of the settings and of the session alike."""
    session_options = {key: options.pop(key) for key in _SESSION_OPTIONS & options.keys()}
    opened = Session(
        MqttSettings(port=port, **options), client_id, listener, SessionOptions(**session_options)
    )
    opened.start()
    try:
        yield opened
    finally:
        opened.stop(1.0)


def wait_until_ready(opened: Session) -> None:
    """Wait until a session is connected and subscribed."""
    wait_until(lambda: opened.ready, "the session is ready")


@contextmanager
def scripted_broker(*answers: Callable[[bytes], bytes]) -> Iterator[int]:
    """Run a broker for one client that answers its n-th packet by calling the n-th of `answers`."""

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
