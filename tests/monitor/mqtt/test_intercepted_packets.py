"""The intercepting socket delivers what paho would have read, however the bytes are split."""

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

from monitor.core.messages import DUP_FLAG, RETAIN_FLAG
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
    """Draw a PUBLISH packet of any kind."""
    qos = draw(st.sampled_from([0, 1, 1, 2]))
    topic = draw(
        st.sampled_from([b"a", b"plant/x/reading", b"base/info", b"\xff", "ä/ö".encode(), b"t" * 300])
    )
    packet_id = draw(st.integers(1, 65535)).to_bytes(2) if qos else b""
    properties = b""
    if protocol == V5:
        content = draw(st.sampled_from([b"", b"\x01\x01", b"\x26\0\1k" + b"\0\xc8" + b"v" * 200]))
        properties = _encode_length(len(content)) + content
    payload = draw(st.one_of(st.binary(max_size=200), st.just(b"x" * 20_000)))
    flags = draw(st.sampled_from([0, 8])) | qos << 1 | draw(st.sampled_from([0, 1]))
    return _encode_packet(0x30 | flags, len(topic).to_bytes(2) + topic + packet_id + properties + payload)


def streams(protocol: MQTTProtocolVersion) -> st.SearchStrategy[list[bytes]]:
    """Return a strategy for the packets that a broker may send."""
    suback = _encode_packet(0x90, b"\0\1" + (b"\0" if protocol == V5 else b"") + b"\0")
    return st.lists(st.one_of(publishes(protocol), st.sampled_from([b"\xd0\0", suback])), max_size=12)


class FakeSocket:
    """A socket that receives one chunk after the other."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = [chunk for chunk in chunks if chunk]
        self.sent = b""

    def recv(self, size: int) -> bytes:
        if not self._chunks:
            raise BlockingIOError
        data, self._chunks[0] = self._chunks[0][:size], self._chunks[0][size:]
        if not self._chunks[0]:
            del self._chunks[0]
        return data

    def recv_into(self, buffer: memoryview) -> int:
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
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
    """A client on a fake socket that records its messages: intercepted, and by paho's parser."""

    def __init__(self, protocol: MQTTProtocolVersion, chunks: Iterable[bytes], *, intercepts: bool) -> None:
        self.messages: list[tuple[str, bytes, int, int]] = []
        self.paho_messages: list[tuple[str, bytes, int, int]] = []
        self.suback_count = 0
        self.fake_socket = FakeSocket(chunks)
        self.error_codes: list[int] = []
        client = _FakeSocketClient(CallbackAPIVersion.VERSION2, protocol=protocol, manual_ack=True)
        client.fake_socket = self.fake_socket
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        if intercepts:
            client.intercept(lambda packets, _: self.messages.extend(packets), (PASSTHROUGH_PREFIX,))
        client.connect("nowhere")
        for _ in range(100_000):
            code = client.loop_read()
            self.error_codes += [code] * bool(code)
            connection: Any = client.socket()
            if code or (self.fake_socket.is_empty and not (intercepts and connection.pending())):
                break

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = UNDECODABLE_TOPIC
        stays_with_paho = message.qos == 2 or topic.encode().startswith(PASSTHROUGH_PREFIX)
        messages = self.paho_messages if stays_with_paho else self.messages
        flags = DUP_FLAG * message.dup | RETAIN_FLAG * message.retain
        messages.append((topic, message.payload, message.mid, flags))

    def _on_subscribe(self, *_: Any) -> None:
        self.suback_count += 1


class _FakeSocketClient(BulkClient):
    fake_socket: FakeSocket

    def _create_socket_connection(self) -> Any:
        return self.fake_socket


def _split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    positions = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[begin:end] for begin, end in zip([0, *positions], [*positions, len(data)], strict=True)]


@pytest.mark.parametrize("protocol", [V5, V311])
@given(data=st.data())
def test_same_as_paho(protocol: MQTTProtocolVersion, data: st.DataObject) -> None:
    """Intercepted or not, the same messages arrive in the same order, and all other packets reach paho."""
    stream = b"".join(data.draw(streams(protocol)))
    chunks = _split(stream, data.draw(st.lists(st.integers(0, 1 << 16), max_size=20)))
    plain, intercepting = (
        RecordingClient(protocol, chunks, intercepts=False),
        RecordingClient(protocol, chunks, intercepts=True),
    )
    assert intercepting.messages == plain.messages
    assert (intercepting.paho_messages, intercepting.suback_count) == (
        plain.paho_messages,
        plain.suback_count,
    )
    assert intercepting.fake_socket.sent == plain.fake_socket.sent
    assert intercepting.error_codes == plain.error_codes == []


@pytest.mark.parametrize("protocol", [V5, V311])
@given(tail=st.binary(max_size=60), cuts=st.lists(st.integers(0, 80), max_size=5))
def test_arbitrary_bytes(protocol: MQTTProtocolVersion, tail: bytes, cuts: list[int]) -> None:
    """Arbitrary bytes raise nothing, and the valid packet before them is returned."""
    valid = _encode_packet(0x30, b"\0\1a" + (b"\0" if protocol == V5 else b"") + b"payload")
    parser = PacketParser(has_properties=protocol == V5, passthrough_prefixes=())
    packets = [publish for chunk in _split(valid + tail, cuts) for publish in parser.feed(chunk)[0]]
    assert packets[0] == ("a", b"payload", 0, 0)


@pytest.mark.parametrize("protocol", [V5, V311])
@given(data=st.data())
def test_pubacks(protocol: MQTTProtocolVersion, data: st.DataObject) -> None:
    """Those PUBACKs are taken out of the stream for which `on_puback` returns True."""
    packet_ids = data.draw(st.lists(st.integers(1, 65535), max_size=20))
    tails = st.sampled_from([b"", b"\x10", b"\x97\0"] if protocol == V5 else [b""])
    reasons = [data.draw(tails) for _ in packet_ids]
    pubacks = [
        _encode_packet(0x40, packet_id.to_bytes(2) + reason)
        for packet_id, reason in zip(packet_ids, reasons, strict=True)
    ]
    others = data.draw(st.lists(publishes(protocol), max_size=3))
    stream = b"".join([*pubacks[:10], *others, *pubacks[10:]])
    calls: list[tuple[int, int]] = []

    def on_puback(packet_id: int, reason_code: int) -> bool:
        calls.append((packet_id, reason_code))
        return packet_id % 2 == 0

    parser = PacketParser(has_properties=protocol == V5, passthrough_prefixes=(), on_puback=on_puback)
    chunks = _split(stream, data.draw(st.lists(st.integers(0, 1 << 16), max_size=20)))
    rest = b"".join(parser.feed(chunk)[1] for chunk in chunks)
    assert calls == [(n, int.from_bytes(reason[:1])) for n, reason in zip(packet_ids, reasons, strict=True)]
    odd = [puback for puback, packet_id in zip(pubacks, packet_ids, strict=True) if packet_id % 2]
    assert [packet for packet in odd if packet not in rest] == []
    assert len(rest) == sum(map(len, odd)) + sum(len(p) for p in others if p[0] & 6 == 4)


def test_invalid_puback_reaches_paho() -> None:
    """A PUBACK without a packet identifier is left to paho, which reports it."""
    parser = PacketParser(has_properties=True, passthrough_prefixes=(), on_puback=lambda _, __: True)
    assert parser.feed(b"\x40\1\1\x40\0") == ([], b"\x40\1\1\x40\0")


def test_invalid_length_reaches_paho() -> None:
    """An invalid packet length is left to paho, which reports it as it does without interception."""
    stream = b"\xd0\0" + b"\x30\xff\xff\xff\xff\xff" + b"more"
    plain, intercepting = (RecordingClient(V5, [stream], intercepts=value) for value in (False, True))
    assert intercepting.error_codes == plain.error_codes != []


def test_large_packet() -> None:
    """A packet of 30 MB in small chunks is assembled once, not once per chunk."""
    payload = bytes(30_000_000)
    stream = _encode_packet(0x30, b"\0\1a" + payload)
    parser = PacketParser(has_properties=False, passthrough_prefixes=(), max_packet_size=1 << 25)
    packets = []
    for begin in range(0, len(stream), 1 << 16):
        packets += parser.feed(stream[begin : begin + (1 << 16)])[0]
    assert packets == [("a", payload, 0, 0)]


def test_any_packet_answers_a_ping() -> None:
    """Any packet after a PINGREQ counts as its answer: in a flood the PINGRESP is queued behind readings."""
    reading = _encode_packet(0x30, b"\0\1a\0x")
    client = _FakeSocketClient(CallbackAPIVersion.VERSION2, protocol=V5)
    client.fake_socket = FakeSocket([reading, reading])
    delivered: list[Any] = []
    client.intercept(lambda packets, _: delivered.extend(packets), ())
    client.connect("nowhere")
    connection: Any = client.socket()
    connection.send(b"\xc0\0")
    assert connection.recv(2) == b"\xd0\0"
    with pytest.raises(BlockingIOError):
        connection.recv(2)
    assert len(delivered) == 2


def test_callback_error_is_not_a_socket_error() -> None:
    """An exception of the callback is not taken for an error of the socket, which paho would ignore."""
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
    connect_size = len(client.fake_socket.sent)
    client.acknowledge([1, 258])
    client.acknowledge([])
    client.loop_write()
    assert client.fake_socket.sent[connect_size:] == b"\x40\2\0\1\x40\2\1\2"


def test_oldest_paho(tmp_path: Path) -> None:
    """All tests of this file pass with the oldest paho that pyproject.toml allows."""
    if "SENSOR_MONITOR_PAHO" in os.environ:
        return  # this is the inner run
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
    """The inner run really uses the other paho."""
    installed = version("paho-mqtt")
    assert installed == os.environ.get("SENSOR_MONITOR_PAHO", installed)
