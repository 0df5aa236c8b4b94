"""The whole service with a source and a sink without a broker."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitor.bundle.manifest import Manifest
from monitor.config.http_settings import HttpSettings
from monitor.config.settings import Settings, StoreSettings
from monitor.core.messages import InboundMessage, MessageBatch, OutboundMessage
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.operators.audit import Sender
from monitor.service.builder import Base, build_daemon
from monitor.service.ports import HandleDropped, HandleRequest, Sink, Source
from tests.conftest import TIMEOUT_S, wait_until
from tests.support.toy_bundle import FAULTY, HEALTHY, NAMES


class QueueSource:
    """A source that a test puts messages and requests into."""

    needs_acks = True

    def __init__(self) -> None:
        self.problem = "not started yet"
        self.acknowledged: list[object] = []
        self.calls: list[str] = []
        self._queue = ReceiveQueue()
        self._handle_request: HandleRequest = lambda _: None

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, *messages: InboundMessage) -> None:
        self._queue.put(messages)

    def send_request(self, name: str, **content: Any) -> "FakeRequest":
        request = FakeRequest(name, json.dumps(content).encode())
        self._handle_request(request)
        return request

    def start(self, handle_request: HandleRequest, _: HandleDropped) -> None:
        self.calls.append("start")
        self._handle_request = handle_request
        self.problem = ""

    def take(self, timeout: float) -> MessageBatch:
        return self._queue.take(timeout)

    def wait(self, timeout: float) -> MessageBatch:
        return self._queue.wait(timeout)

    def wake(self) -> None:
        self._queue.wake()

    def acknowledge(self, tokens: Sequence[object]) -> None:
        self.acknowledged += tokens

    def close(self) -> None:
        self.calls.append("close")
        self._queue.close()

    def stop(self, timeout: float) -> None:
        assert timeout > 0
        self.calls.append("stop")
        self.problem = "stopped"

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        assert settings.bundle
        self.calls.append(f"reconfigure {manifest.steps}")


class ListSink:
    """A sink that keeps published messages, and confirms them at once."""

    problem = ""
    ready = True

    def __init__(self) -> None:
        self.messages: list[OutboundMessage] = []
        self._confirmed: list[object] = []
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def publish(self, message: OutboundMessage) -> object:
        self.messages.append(message)
        self._confirmed.append(token := object())
        return token

    def take_confirmed(self) -> list[tuple[object, float]]:
        confirmed, self._confirmed = self._confirmed, []
        return [(token, time.monotonic()) for token in confirmed]

    def stop(self, timeout: float) -> None:
        assert timeout > 0
        self.calls.append("stop")

    def reconfigure(self, settings: Settings) -> None:
        assert settings.bundle
        self.calls.append("reconfigure")

    def payloads(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(message.payload) for message in self.messages if message.topic == topic]


@dataclass
class FakeRequest:
    """A request that keeps its answer."""

    name: str
    payload: bytes
    retained: bool = False
    sender: Sender = field(default_factory=Sender)
    problem: str = ""
    answered: threading.Event = field(default_factory=threading.Event)
    response: dict[str, Any] = field(default_factory=dict)

    def respond(self, response: bytes) -> None:
        self.response = json.loads(response)
        self.answered.set()

    def wait(self) -> dict[str, Any]:
        assert self.answered.wait(TIMEOUT_S), self.name
        return self.response


def _message(number: int, values: list[float]) -> InboundMessage:
    """Return a reading of group line1/a, with its number as the token that acknowledges it."""
    payload = json.dumps({"ts": 1000 + 5 * number, **dict(zip(NAMES, values, strict=True))}).encode()
    return "plant/line1/a/reading", payload, number, False


def test_service_without_a_broker(toy_bundle: Path, tmp_path: Path) -> None:
    """The whole service runs on another source and sink: readings, alert, requests, reload, stop."""
    source, sink = QueueSource(), ListSink()

    def connect(base: Base) -> tuple[Source, Sink]:
        assert base.manifest.feature_names == NAMES
        return source, sink

    settings = Settings(
        bundle=toy_bundle, http=HttpSettings(port=0), store=StoreSettings(path=tmp_path / "state.db")
    )
    daemon = build_daemon(settings, connect=connect)
    assert (daemon.ready, source.calls) == (False, [])
    daemon.start()
    try:
        assert daemon.ready
        source.put(*(_message(number, HEALTHY) for number in range(3)))
        source.put(*(_message(number, FAULTY) for number in range(3, 5)))
        wait_until(lambda: sink.payloads("alerts/line1/a"), "an alert comes")
        (alert,) = sink.payloads("alerts/line1/a")
        assert (alert["status"], alert["group"]) == ("firing", "line1/a")
        wait_until(lambda: source.acknowledged == [0, 1, 2, 3, 4], "each message is acknowledged")
        firing = "sensor_monitor_alerts_firing"
        wait_until(lambda: daemon.registry.get_sample_value(firing) == 1, "it is counted")
        assert source.send_request("acknowledge", group="line1/a", transaction=7).wait() == {
            "status": "ok",
            "count": 1,
            "incidents": [alert["id"]],
            "transaction": 7,
        }
        wait_until(lambda: sink.payloads("state/line1/a")[-1]["acknowledged"], "the state says so")
        assert source.send_request("nonsense").wait()["status"] == "error"
        assert source.send_request("reload").wait() == {"status": "ok"}
        assert (source.calls[-1], sink.calls[-1]) == ("reconfigure 3", "reconfigure")
        daemon.request_stop()
        assert daemon.run() == 0
    finally:
        daemon.stop()
    assert (source.calls[-2:], sink.calls[-1]) == (["close", "stop"], "stop")
    assert not daemon.ready


def _first_alert(settings: Settings, messages: list[InboundMessage]) -> dict[str, Any]:
    """Run a service on messages until it alerts; return the alert."""
    source, sink = QueueSource(), ListSink()
    daemon = build_daemon(settings, connect=lambda _: (source, sink))
    daemon.start()
    source.put(*messages)
    wait_until(lambda: sink.payloads("alerts/line1/a"), "it alerts")
    daemon.stop()
    (alert,) = sink.payloads("alerts/line1/a")
    return alert


def test_incident_survives_a_restart_without_a_broker(toy_bundle: Path, tmp_path: Path) -> None:
    """The next service on the same store ends an incident that began in the previous service."""
    ids = []
    store = StoreSettings(path=tmp_path / "state.db")
    settings = Settings(bundle=toy_bundle, http=HttpSettings(port=0), store=store)
    for first, values, status in ((0, FAULTY, "firing"), (6, HEALTHY, "resolved")):
        alert = _first_alert(settings, [_message(number, values) for number in range(first, first + 6)])
        assert alert["status"] == status
        ids.append(alert["id"])
    assert ids[0] == ids[1]
