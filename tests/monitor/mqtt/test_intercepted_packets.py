"""What is peeled off a connection is what paho would have read, however the bytes are split."""

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from monitor.mqtt.bulk_client import BulkClient
from monitor.mqtt.packet_parser import PacketParser
from tests.conftest import skip_or_fail

V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
PASSTHROUGH_PREFIX = b"base/"
UNDECODABLE_TOPIC = "\ufffd"


def _encode_length(number: int) -> bytes:
    out = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def _encode_packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + _encode_length(len(body)) + body


@st.composite
def publishes(draw: st.DrawFn, protocol: MQTTProtocolVersion) -> bytes:
    """Return a PUBLISH packet of any kind."""
    qos = draw(st.sampled_from([0, 1, 1, 2]))
    topic = draw(
        st.sampled_from([b"a", b"plant/x/reading", b"base/info", b"\xff", "ä/ö".encode(), b"t" * 300])
    )
    number = draw(st.integers(1, 65535)).to_bytes(2) if qos else b""
    properties = b""
    if protocol == V5:
        text = draw(st.sampled_from([b"", b"\x01\x01", b"\x26\0\1k" + b"\0\xc8" + b"v" * 200]))
        properties = _encode_length(len(text)) + text
    payload = draw(st.one_of(st.binary(max_size=200), st.just(b"x" * 20_000)))
    flags = draw(st.sampled_from([0, 8])) | qos << 1 | draw(st.sampled_from([0, 1]))
    return _encode_packet(0x30 | flags, len(topic).to_bytes(2) + topic + number + properties + payload)


def streams(protocol: MQTTProtocolVersion) -> st.SearchStrategy[list[bytes]]:
    """Return packets that a broker may send."""
    suback = _encode_packet(0x90, b"\0\1" + (b"\0" if protocol == V5 else b"") + b"\0")
    return st.lists(st.one_of(publishes(protocol), st.sampled_from([b"\xd0\0", suback])), max_size=12)


class FakeSocket:
    """A socket that gives one piece after the other."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = [piece for piece in chunks if piece]
        self.sent = b""

    def recv(self, size: int) -> bytes:
        if not self._chunks:
            raise BlockingIOError
        piece, self._chunks[0] = self._chunks[0][:size], self._chunks[0][size:]
        if not self._chunks[0]:
            del self._chunks[0]
        return piece

    def recv_into(self, room: memoryview) -> int:
        data = self.recv(len(room))
        room[: len(data)] = data
        return len(data)

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def setblocking(self, flag: bool) -> None: ...  # noqa: FBT001

    def fileno(self) -> int:
        return -1

    def close(self) -> None: ...

    @property
    def is_empty(self) -> bool:
        return not self._chunks


class RecordingClient:
    """A paho client on a wire, and what it heard by way of its parser and past it."""

    def __init__(self, protocol: MQTTProtocolVersion, chunks: Iterable[bytes], *, intercepts: bool) -> None:
        self.messages: list[tuple[str, bytes, int, bool]] = []
        self.paho_messages: list[tuple[str, bytes, int, bool]] = []
        self.suback_count = 0
        self.fake_socket = FakeSocket(chunks)
        self.error_codes: list[int] = []
        client = _FakeSocketClient(CallbackAPIVersion.VERSION2, protocol=protocol, manual_ack=True)
        client.fake_socket = self.fake_socket
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        if intercepts:
            client.intercept(lambda found, _: self.messages.extend(found), (PASSTHROUGH_PREFIX,))
        client.connect("nowhere")
        for _ in range(100_000):
            code = client.loop_read()
            self.error_codes += [code] * bool(code)
            peeler: Any = client.socket()
            if code or (self.fake_socket.is_empty and not (intercepts and peeler.pending())):
                break

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = UNDECODABLE_TOPIC
        into = (
            self.paho_messages
            if message.qos == 2 or topic.encode().startswith(PASSTHROUGH_PREFIX)
            else self.messages
        )
        into.append((topic, message.payload, message.mid, message.dup))

    def _on_subscribe(self, *_: Any) -> None:
        self.suback_count += 1


class _FakeSocketClient(BulkClient):
    fake_socket: FakeSocket

    def _create_socket_connection(self) -> Any:
        return self.fake_socket


def _split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize("protocol", [V5, V311])
@given(data=st.data())
def test_same_as_paho(protocol: MQTTProtocolVersion, data: st.DataObject) -> None:
    """Peeled or not, the same messages come in the same order, and all else reaches paho."""
    stream = b"".join(data.draw(streams(protocol)))
    pieces = _split(stream, data.draw(st.lists(st.integers(0, 1 << 16), max_size=20)))
    plain, peeled = (
        RecordingClient(protocol, pieces, intercepts=False),
        RecordingClient(protocol, pieces, intercepts=True),
    )
    assert peeled.messages == plain.messages
    assert (peeled.paho_messages, peeled.suback_count) == (plain.paho_messages, plain.suback_count)
    assert peeled.fake_socket.sent == plain.fake_socket.sent
    assert peeled.error_codes == plain.error_codes == []


@pytest.mark.parametrize("protocol", [V5, V311])
@given(tail=st.binary(max_size=60), cuts=st.lists(st.integers(0, 80), max_size=5))
def test_arbitrary_bytes(protocol: MQTTProtocolVersion, tail: bytes, cuts: list[int]) -> None:
    """After any bytes at all nothing is raised, and what made sense before them has been delivered."""
    good = _encode_packet(0x30, b"\0\1a" + (b"\0" if protocol == V5 else b"") + b"payload")
    parser = PacketParser(has_properties=protocol == V5, passthrough_prefixes=())
    found = [publish for piece in _split(good + tail, cuts) for publish in parser.feed(piece)[0]]
    assert found[0] == ("a", b"payload", 0, False)


@pytest.mark.parametrize("protocol", [V5, V311])
@given(data=st.data())
def test_pubacks(protocol: MQTTProtocolVersion, data: st.DataObject) -> None:
    """Of the packets that say that one of ours arrived those are taken out that somebody knows of."""
    numbers = data.draw(st.lists(st.integers(1, 65535), max_size=20))
    tails = st.sampled_from([b"", b"\x10", b"\x97\0"] if protocol == V5 else [b""])
    reasons = [data.draw(tails) for _ in numbers]
    pubacks = [
        _encode_packet(0x40, n.to_bytes(2) + reason) for n, reason in zip(numbers, reasons, strict=True)
    ]
    others = data.draw(st.lists(publishes(protocol), max_size=3))
    stream = b"".join([*pubacks[:10], *others, *pubacks[10:]])
    heard: list[tuple[int, int]] = []

    def confirmed(number: int, reason: int) -> bool:
        heard.append((number, reason))
        return number % 2 == 0

    parser = PacketParser(has_properties=protocol == V5, passthrough_prefixes=(), on_puback=confirmed)
    pieces = _split(stream, data.draw(st.lists(st.integers(0, 1 << 16), max_size=20)))
    left = b"".join(parser.feed(piece)[1] for piece in pieces)
    assert heard == [(n, int.from_bytes(reason[:1])) for n, reason in zip(numbers, reasons, strict=True)]
    odd = [puback for puback, number in zip(pubacks, numbers, strict=True) if number % 2]
    assert [packet for packet in odd if packet not in left] == []
    assert len(left) == sum(map(len, odd)) + sum(len(p) for p in others if p[0] & 6 == 4)


def test_invalid_puback_reaches_paho() -> None:
    """A confirmation of nothing is paho's to complain of."""
    parser = PacketParser(has_properties=True, passthrough_prefixes=(), on_puback=lambda _, __: True)
    assert parser.feed(b"\x40\1\1\x40\0") == ([], b"\x40\1\1\x40\0")


def test_invalid_length_reaches_paho() -> None:
    """A length that can't be is paho's to complain of, as it does without us."""
    stream = b"\xd0\0" + b"\x30\xff\xff\xff\xff\xff" + b"more"
    plain, peeled = (RecordingClient(V5, [stream], intercepts=peels) for peels in (False, True))
    assert peeled.error_codes == plain.error_codes != []


def test_large_packet() -> None:
    """A packet of 30 MB in small pieces is put together once, not once a piece."""
    payload = bytes(30_000_000)
    stream = _encode_packet(0x30, b"\0\1a" + payload)
    parser = PacketParser(has_properties=False, passthrough_prefixes=())
    found = []
    for begin in range(0, len(stream), 1 << 16):
        found += parser.feed(stream[begin : begin + (1 << 16)])[0]
    assert found == [("a", payload, 0, False)]


def test_any_packet_answers_a_ping() -> None:
    """Whatever comes after a PINGREQ answers it: in a flood the broker's own stands behind readings."""
    reading = _encode_packet(0x30, b"\0\1a\0x")
    client = _FakeSocketClient(CallbackAPIVersion.VERSION2, protocol=V5)
    client.fake_socket = FakeSocket([reading, reading])
    got: list[Any] = []
    client.intercept(lambda found, _: got.extend(found), ())
    client.connect("nowhere")
    connection: Any = client.socket()
    connection.send(b"\xc0\0")
    assert connection.recv(2) == b"\xd0\0"
    with pytest.raises(BlockingIOError):
        connection.recv(2)
    assert len(got) == 2


def test_callback_error_is_not_a_socket_error() -> None:
    """What fails in whoever takes the messages is no error of the socket that paho would pass over."""
    client = _FakeSocketClient(CallbackAPIVersion.VERSION2, protocol=V311)
    client.fake_socket = FakeSocket([_encode_packet(0x30, b"\0\1ax")])

    def fail(_: object, __: object) -> None:
        raise AttributeError("a mistake of ours")

    client.intercept(fail, ())
    client.connect("nowhere")
    with pytest.raises(RuntimeError, match="could not be taken"):
        client.loop_read()


def test_acknowledgements_in_one_write() -> None:
    """A batch of acknowledgements is one write of whole packets."""
    client = _FakeSocketClient(CallbackAPIVersion.VERSION2, protocol=V311)
    client.fake_socket = FakeSocket([])
    client.connect("nowhere")
    before = len(client.fake_socket.sent)
    client.acknowledge([1, 258])
    client.acknowledge([])
    client.loop_write()
    assert client.fake_socket.sent[before:] == b"\x40\2\0\1\x40\2\1\2"


def test_oldest_paho(tmp_path: Path) -> None:
    """The same holds for the oldest paho that pyproject.toml allows."""
    if "SENSOR_MONITOR_PAHO" in os.environ:
        return  # this is the run within
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--target", tmp_path, "paho-mqtt==2.1.0"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        skip_or_fail("packages", f"can't install packages: {done.stderr[-300:]}")
    again = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "SENSOR_MONITOR_PAHO": "2.1.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout[-2000:]


def test_paho_is_the_one_asked_for() -> None:
    """The run within really has the other paho."""
    installed = version("paho-mqtt")
    assert installed == os.environ.get("SENSOR_MONITOR_PAHO", installed)
