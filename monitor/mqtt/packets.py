"""A connection's bytes -> PUBLISH packets, confirmations of ours, and the bytes of all others. No I/O."""

from collections.abc import Callable
from itertools import count

__all__ = ["Publish", "Splitter"]

Publish = tuple[str, bytes, int, bool]
"""Topic, payload, packet identifier (0 with QoS 0), whether the broker may have sent it before."""

_SMALLEST = 2  # bytes of the smallest packet
_MORE = 0x80
_LONGEST_LENGTH = 4  # bytes of the field "remaining length"
# The first byte's bits: four of type, one "sent before", two of QoS, one "retained".
_TYPE_AND_QOS_2, _PUBLISH, _QOS_1, _AGAIN = 0xF4, 0x30, 0x02, 0x08
_PUBACK = 0x40
_IDENTIFIER = 2  # bytes
_UNREADABLE = "\ufffd"
"""In the place of a topic that is no UTF-8; it fits no template."""


class Splitter:
    """Takes PUBLISH packets of QoS 0 and 1 out of a stream.

    Whatever is out of the ordinary stays in the stream, whole and unchanged, for a parser that says what is
    wrong with it.

    Parameters
    ----------
    properties : whether packets have MQTT 5's properties.
    left : topics that begin with one of these stay in the stream.
    confirmed : is told identifier and reason of each PUBACK; returns whether that one is taken out as well.
    """

    def __init__(
        self,
        *,
        properties: bool,
        left: tuple[bytes, ...],
        confirmed: Callable[[int, int], bool] = lambda _, __: False,
    ) -> None:
        self._properties = properties
        self._left = left
        self._confirmed = confirmed
        self._held = bytearray()  # of a packet that isn't whole yet
        self._needed = 0
        self.lost = False
        """Whether the stream made no sense any more: from there on all of it is returned as it is."""

    def feed(self, data: bytes) -> tuple[list[Publish], bytes]:
        """Return the packets that are whole by now, and the bytes of the whole packets that are no such."""
        if self._held:
            self._held += data
            if len(self._held) < self._needed:
                return [], b""
            data = bytes(self._held)
            self._held.clear()
        publishes: list[Publish] = []
        rest: list[bytes] = []
        position, end, after = 0, len(data), 0
        while end - position >= _SMALLEST and not self.lost:
            length, body = data[position + 1], position + 2
            if length >= _MORE:
                length, body = self._long_length(data, position)
            after = body + length
            if after > end:
                break
            publish = self._publish(data, position, body, after)
            if publish is not None:
                publishes.append(publish)
            elif not self._is_confirmation(data[position:after], body - position):
                rest.append(data[position:after])
            position = after
        self._keep(data[position:], after - position, rest)
        return publishes, b"".join(rest)

    def _keep(self, remainder: bytes, needed: int, rest: list[bytes]) -> None:
        """Hold what isn't whole until there are so many bytes, or hand it on where nothing makes sense."""
        if self.lost:
            rest.append(remainder)
        else:
            self._held += remainder
            self._needed = needed

    def _long_length(self, data: bytes, position: int) -> tuple[int, int]:
        """Return a packet's length and where its body begins: beyond all data where that isn't known yet."""
        length = 0
        for index in range(position + 1, position + 1 + _LONGEST_LENGTH):
            if index == len(data):
                return 0, index + 1
            length |= (data[index] & ~_MORE) << 7 * (index - position - 1)
            if data[index] < _MORE:
                return length, index + 1
        self.lost = True
        return 0, len(data) + 1

    def _is_confirmation(self, packet: bytes, body: int) -> bool:
        """Say whether a packet is a PUBACK that is taken out."""
        identifier = packet[body : body + _IDENTIFIER]
        if packet[0] != _PUBACK or len(identifier) < _IDENTIFIER:
            return False
        reason = packet[body + _IDENTIFIER : body + _IDENTIFIER + 1]  # MQTT 5 leaves it out where all is well
        return self._confirmed(int.from_bytes(identifier), int.from_bytes(reason))

    def _publish(self, data: bytes, position: int, body: int, after: int) -> Publish | None:
        """Return a packet's content; None where it stays in the stream."""
        first, number = data[position], 0
        if first & _TYPE_AND_QOS_2 != _PUBLISH:
            return None
        try:
            start = body + 2
            stop = start + (data[body] << 8 | data[body + 1])
            topic = data[start:stop]
            if first & _QOS_1:
                number = data[stop] << 8 | data[stop + 1]
                stop += 2
            if self._properties:
                # Of most there are none, and the call takes half as long as all the rest.
                stop = _skip_properties(data, stop) if data[stop] else stop + 1
        except IndexError:
            return None
        if stop > after or topic.startswith(self._left) or not topic:
            return None
        try:
            name = topic.decode()
        except UnicodeDecodeError:
            name = _UNREADABLE
        return name, data[stop:after], number, first & _AGAIN != 0


def _skip_properties(data: bytes, position: int) -> int:
    length = 0
    for index in count():
        byte = data[position + index]
        length |= (byte & ~_MORE) << 7 * index
        if byte < _MORE:
            break
    return position + index + 1 + length
