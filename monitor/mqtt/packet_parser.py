"""A connection's bytes -> PUBLISH packets, confirmations of ours, and the bytes of all others. No I/O."""

from collections.abc import Callable

__all__ = ["PacketParser", "PublishPacket"]

PublishPacket = tuple[str, bytes, int, bool]
"""Topic, payload, packet identifier (0 with QoS 0), whether the broker may have sent it before."""

_MIN_PACKET_SIZE = 2  # bytes of the smallest packet
_CONTINUATION_BIT = 0x80
_MAX_LENGTH_SIZE = 4  # bytes of the field "remaining length"
# The first byte's bits: four of type, one "sent before", two of QoS, one "retained".
_TYPE_AND_QOS_2_MASK, _PUBLISH, _QOS_1_FLAG, _DUP_FLAG = 0xF4, 0x30, 0x02, 0x08
_PUBACK = 0x40
_TOPIC_LENGTH_SIZE, _PACKET_ID_SIZE = 2, 2  # bytes
# So many topics, none longer than so many bytes, are kept as text: any other costs 0.25 µs more each time.
# They stay: of more groups than these, by turns, each would be thrown out again, at another 0.15.
_MAX_CACHED_TOPICS, _MAX_CACHED_TOPIC_SIZE = 4096, 200
_UNDECODABLE_TOPIC = "\ufffd"
"""In the place of a topic that is no UTF-8; it fits no template."""


class PacketParser:
    """Takes PUBLISH packets of QoS 0 and 1 out of a stream.

    Whatever is out of the ordinary stays in the stream, whole and unchanged, for a parser that says what is
    wrong with it.

    Parameters
    ----------
    has_properties : whether packets have MQTT 5's properties.
    passthrough_prefixes : topics that begin with one of these stay in the stream.
    on_puback : is told identifier and reason of each PUBACK; returns whether that one is taken out as well.
    """

    def __init__(
        self,
        *,
        has_properties: bool,
        passthrough_prefixes: tuple[bytes, ...],
        on_puback: Callable[[int, int], bool] = lambda _, __: False,
    ) -> None:
        self._has_properties = has_properties
        self._passthrough_prefixes = passthrough_prefixes
        self._on_puback = on_puback
        self._partial_packet = bytearray()  # of a packet that isn't whole yet
        self._required_size = 0
        self._topic_cache: dict[bytes, str] = {}
        self.out_of_sync = False
        """Whether the stream made no sense any more: from there on all of it is returned as it is."""

    def feed(self, data: bytes) -> tuple[list[PublishPacket], bytes]:
        """Return the packets that are whole by now, and the bytes of the whole packets that are no such."""
        if self._partial_packet:
            self._partial_packet += data
            if len(self._partial_packet) < self._required_size:
                return [], b""
            data = bytes(self._partial_packet)
            self._partial_packet.clear()
        return self._parse(data)

    def _parse(self, data: bytes) -> tuple[list[PublishPacket], bytes]:
        publishes: list[PublishPacket] = []
        rest: list[bytes] = []
        topic_cache, has_properties = self._topic_cache, self._has_properties
        position, packet_end, end = 0, 0, 0 if self.out_of_sync else len(data)
        # All that an ordinary reading needs stands here: with a call for each of its parts, a packet of 130
        # bytes takes 1.1 µs and not 0.6.
        while end - position >= _MIN_PACKET_SIZE:
            first, length, body_start = data[position], data[position + 1], position + 2
            if length >= _CONTINUATION_BIT:
                if body_start < end and data[body_start] < _CONTINUATION_BIT:
                    length += (data[body_start] << 7) - _CONTINUATION_BIT
                    body_start += 1
                else:
                    length, body_start = self._decode_length(data, position)
            packet_end = body_start + length
            if packet_end > end:
                break
            topic_name = ""
            if first & _TYPE_AND_QOS_2_MASK == _PUBLISH and length >= _TOPIC_LENGTH_SIZE:
                topic_start = body_start + _TOPIC_LENGTH_SIZE
                topic_end = topic_start + (data[body_start] << 8 | data[body_start + 1])
                payload_start = topic_end + _PACKET_ID_SIZE if first & _QOS_1_FLAG else topic_end
                if has_properties:  # of most there are none
                    no_properties = payload_start < packet_end and not data[payload_start]
                    payload_start = (
                        payload_start + 1
                        if no_properties
                        else _skip_properties(data, payload_start, packet_end)
                    )
                if payload_start <= packet_end:
                    topic = data[topic_start:topic_end]
                    topic_name = topic_cache.get(topic) or self._decode_topic(topic)
            if topic_name:
                packet_id = data[topic_end] << 8 | data[topic_end + 1] if first & _QOS_1_FLAG else 0
                publishes.append(
                    (topic_name, data[payload_start:packet_end], packet_id, first & _DUP_FLAG != 0)
                )
            elif not self._handle_puback(data[position:packet_end], body_start - position):
                rest.append(data[position:packet_end])
            position = packet_end
        self._store_remainder(data[position:], packet_end - position, rest)
        return publishes, b"".join(rest)

    def _store_remainder(self, remainder: bytes, required_size: int, rest: list[bytes]) -> None:
        """Hold what isn't whole until there are so many bytes, or hand it on where nothing makes sense."""
        if self.out_of_sync:
            rest.append(remainder)
        else:
            self._partial_packet += remainder
            self._required_size = required_size

    def _decode_length(self, data: bytes, position: int) -> tuple[int, int]:
        """Return a packet's length and where its body begins: beyond all data where that isn't known yet."""
        length = 0
        for index in range(position + 1, position + 1 + _MAX_LENGTH_SIZE):
            if index == len(data):
                return 0, index + 1
            length |= (data[index] & ~_CONTINUATION_BIT) << 7 * (index - position - 1)
            if data[index] < _CONTINUATION_BIT:
                return length, index + 1
        self.out_of_sync = True
        return 0, len(data) + 1

    def _handle_puback(self, packet: bytes, body_start: int) -> bool:
        """Say whether a packet is a PUBACK that is taken out."""
        identifier = packet[body_start : body_start + _PACKET_ID_SIZE]
        if packet[0] != _PUBACK or len(identifier) < _PACKET_ID_SIZE:
            return False
        reason = packet[
            body_start + _PACKET_ID_SIZE : body_start + _PACKET_ID_SIZE + 1
        ]  # MQTT 5 leaves it out where all is well
        return self._on_puback(int.from_bytes(identifier), int.from_bytes(reason))

    def _decode_topic(self, topic: bytes) -> str:
        """Return a topic as text; "" where its packet stays in the stream."""
        if topic.startswith(self._passthrough_prefixes) or not topic:
            return ""
        try:
            decoded_topic = topic.decode()
        except UnicodeDecodeError:
            decoded_topic = _UNDECODABLE_TOPIC
        if len(self._topic_cache) < _MAX_CACHED_TOPICS and len(topic) <= _MAX_CACHED_TOPIC_SIZE:
            self._topic_cache[topic] = decoded_topic
        return decoded_topic


def _skip_properties(data: bytes, position: int, packet_end: int) -> int:
    """Return where properties end; beyond `packet_end`, the end of their packet, where they are none."""
    length = 0
    for index in range(packet_end - position):
        byte = data[position + index]
        length |= (byte & ~_CONTINUATION_BIT) << 7 * index
        if byte < _CONTINUATION_BIT:
            return position + index + 1 + length
    return packet_end + 1
