"""Publishes instead of paho, and resends unconfirmed messages after a reconnect.

Paho takes 70 µs to publish a message and as long to process its PUBACK, which is too slow for 10,000 readings
a second with an alert for each. This queue takes 20 µs and 3 µs. The guarantees are the same: messages are
sent in order, each waits for its PUBACK, and after a reconnect unconfirmed messages are sent again before new
ones.

What a broker cannot take would stand at the head of the queue for ever. So a message beyond the limits that
the broker states is set aside, and so is one after whose sending the connection breaks again and again. To
find out which of many unconfirmed messages that is, they are sent one at a time after such a connection.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from monitor.core.messages import MessageProperties
from monitor.mqtt.broker_limits import BrokerLimits
from monitor.mqtt.disconnect_causes import Blame
from monitor.mqtt.packet_parser import encode_length
from monitor.mqtt.properties import encode_properties
from monitor.mqtt.refused_kinds import MAX_ATTEMPTS, RefusedKinds

__all__ = ["MAX_TOPIC_SIZE", "PublishQueue", "packet_size"]

MAX_TOPIC_SIZE = 65_535
"""Bytes of the longest topic that MQTT allows."""
_LOWEST_FAILURE = 0x80
"""Reason codes of a PUBACK from here on are failures: the broker did not forward the message."""
_PUBLISH, _DUP_FLAG, _QOS_1_FLAG = 0x30, 0x08, 0x02
# Message ids begin above all packet identifiers, which paho returns as the ids of the messages it publishes.
_FIRST_MESSAGE_ID = 1 << 16
# With QoS 0 nothing is confirmed: so many packets may wait to be written.
_MAX_UNWRITTEN_PACKETS = 100

SendPacket = Callable[[bytes], None]
"""Writes or queues a packet."""
NextPacketId = Callable[[], int]
"""Returns the next packet identifier."""


@dataclass(slots=True)
class _Message:
    topic: bytes
    payload: bytes
    retain: bool
    properties: MessageProperties | None
    attempts: int = MAX_ATTEMPTS
    """Connections that it may bring down."""
    packet_id: int = 0
    """Packet identifier; 0 before the message is first sent."""
    size: int = 0
    """Bytes of its packet when it was last sent."""
    broken_connections: int = 0
    """Connections that broke while it was the only unconfirmed message."""

    @property
    def kind(self) -> bytes:
        """What else may be refused if this is: messages of its topic.

        Who sends a request chooses the size of its answer: one that is too large says nothing of others.
        """
        return self.topic if self.attempts >= MAX_ATTEMPTS else b"%b\0%d" % (self.topic, self.size)


class PublishQueue:
    """Messages that the broker has not confirmed, in the order of publishing.

    Parameters
    ----------
    max_messages : capacity.
    on_delivered : called with the id of each message that is confirmed; with QoS 0, once it is sent.
    on_refused : called with id, topic and reason code of each message that is refused.
    on_set_aside : called with id, topic and reason of each message that can't be sent.
    """

    def __init__(
        self,
        max_messages: int,
        on_delivered: Callable[[int], None],
        on_refused: Callable[[int, str, int], None],
        on_set_aside: Callable[[int, str, str], None],
    ) -> None:
        self._max_messages = max_messages
        self._limits = BrokerLimits()
        self._qos = 1
        self._retain = True
        self._on_delivered = on_delivered
        self._on_refused = on_refused
        self._on_set_aside = on_set_aside
        self._lock = threading.Lock()
        self._finish_condition = threading.Condition(self._lock)  # a message was confirmed, or disconnected
        self._message_ids = count(_FIRST_MESSAGE_ID)
        self._messages: OrderedDict[int, _Message] = OrderedDict()  # by message id
        self._unsent_ids: deque[int] = deque()
        self._in_flight: dict[int, int] = {}  # packet identifier -> message id
        self._send: SendPacket | None = None
        self._next_packet_id: NextPacketId = lambda: 0
        self._has_properties = False
        self._backlog: Callable[[], int] = lambda: 0
        self._refused_kinds = RefusedKinds()
        self._suspects: set[int] = set()  # ids of messages that are sent one at a time
        # Messages that left the queue without a PUBACK: id, topic, why it was set aside ("" if it was sent).
        self._finished: deque[tuple[int, bytes, str]] = deque()

    def publish(
        self,
        topic: str,
        payload: bytes,
        properties: MessageProperties | None,
        *,
        retain: bool,
        attempts: int = MAX_ATTEMPTS,
    ) -> int | None:
        """Send a message now or as soon as possible; return its id, None if the queue is full.

        Parameters
        ----------
        attempts : connections that it may bring down before it is set aside.

        Raises
        ------
        ValueError : the topic is too long, or contains a wildcard or a null character.
        """
        message = _Message(topic.encode(), payload, retain, properties, attempts)
        if len(message.topic) > MAX_TOPIC_SIZE or set(b"+#\0") & set(message.topic):
            raise ValueError(f"nothing can be published to {topic[:100]!r}")
        with self._lock:
            if len(self._messages) >= self._max_messages:
                return None
            message_id = next(self._message_ids)
            self._messages[message_id] = message
            self._unsent_ids.append(message_id)
            self._send_pending()
        self._report_finished()
        return message_id

    def next_message_id(self) -> int:
        """Return the id of a message that is not queued."""
        return next(self._message_ids)

    def contains(self, topic: str, payload: bytes) -> bool:
        """Return whether such a message is unconfirmed."""
        key = topic.encode()
        with self._lock:
            return any(
                message.topic == key and message.payload == payload for message in self._messages.values()
            )

    def continue_sending(self) -> None:
        """Send what waits for unwritten packets of QoS 0 to be written."""
        if self._qos == 0 and self._unsent_ids:
            with self._lock:
                self._send_pending()
            self._report_finished()

    def on_connected(
        self,
        send: SendPacket,
        next_packet_id: NextPacketId,
        limits: BrokerLimits,
        *,
        has_properties: bool,
        qos: int = 1,
        retain: bool = True,
        backlog: Callable[[], int] = lambda: 0,
    ) -> None:
        """Use a new connection; send again what no earlier connection confirmed.

        Parameters
        ----------
        send, next_packet_id : the connection.
        limits : of the broker.
        has_properties : whether packets have the properties of MQTT 5.
        qos : 1, or 0 if the broker takes nothing else: then a message counts as delivered once it is sent.
        retain : whether messages may have the retain flag; otherwise they are sent without it.
        backlog : returns how many packets wait to be written.
        """
        with self._lock:
            self._send, self._next_packet_id = send, next_packet_id
            self._limits, self._has_properties, self._backlog = limits, has_properties, backlog
            self._qos, self._retain = qos, retain
            self._in_flight.clear()
            self._unsent_ids = deque(self._messages)
            self._send_pending()
        self._report_finished()

    def on_disconnected(self) -> None:
        """Send nothing until the next connection; `publish` still queues."""
        with self._lock:
            self._send = None
            self._finish_condition.notify_all()

    def on_connection_ended(self, blame: Blame) -> bool:
        """Find out which message the broker did not take; return whether one was set aside.

        Called after `on_disconnected`.

        Parameters
        ----------
        blame : how far an unconfirmed message is to blame.
        """
        with self._lock:
            message_ids = list(self._in_flight.values())
            self._in_flight.clear()
            self._unsent_ids = deque(self._messages)
            if blame is Blame.NONE:
                return False
            self._suspects.update(message_ids)
            is_set_aside = len(message_ids) == 1 and self._blame(message_ids[0], blame)
            self._finish_condition.notify_all()
        self._report_finished()
        return is_set_aside

    def finish(self, timeout: float) -> None:
        """Wait at most `timeout` seconds until all messages are confirmed; send nothing afterwards."""
        with self._lock:
            self._finish_condition.wait_for(lambda: not self._messages or self._send is None, timeout)
            self._send = None

    def on_puback(self, packet_id: int, reason_code: int) -> bool:
        """Process a PUBACK; return whether its packet is one of this queue's.

        A refused message is not sent again: the broker would refuse it again.
        """
        with self._lock:
            message_id = self._in_flight.pop(packet_id, None)
            if message_id is None:
                return False
            message = self._messages.pop(message_id)
            self._suspects.discard(message_id)
            self._refused_kinds.record_confirmed(message.kind, message.size)
            self._send_pending()
            self._finish_condition.notify_all()
        if reason_code >= _LOWEST_FAILURE:
            self._on_refused(message_id, message.topic.decode(), reason_code)
        else:
            self._on_delivered(message_id)
        self._report_finished()
        return True

    def _send_pending(self) -> None:
        while self._send is not None and self._unsent_ids and len(self._in_flight) < self._max_in_flight():
            message_id = self._unsent_ids[0]
            message = self._messages[message_id]
            properties = encode_properties(message.properties) if self._has_properties else b""
            message.size = packet_size(len(message.topic), len(properties), len(message.payload), self._qos)
            max_attempts = self._refused_kinds.max_attempts(message.kind, message.size)
            if message.size > self._limits.max_packet_size:
                limit = self._limits.max_packet_size
                self._set_aside(
                    message_id, f"its packet has {message.size} bytes, and the broker takes {limit}"
                )
                continue
            if not max_attempts:
                self._set_aside(message_id, "the connection broke after each message of its kind")
                continue
            if max_attempts < MAX_ATTEMPTS and self._qos:
                self._suspects.add(message_id)
                if self._in_flight:
                    return
            self._unsent_ids.popleft()
            self._send_message(self._send, message_id, message, properties)

    def _max_in_flight(self) -> int:
        if self._qos == 0:
            return int(self._backlog() < _MAX_UNWRITTEN_PACKETS)
        return 1 if self._suspects else self._limits.max_in_flight

    def _send_message(self, send: SendPacket, message_id: int, message: _Message, properties: bytes) -> None:
        dup = self._qos > 0 and message.packet_id != 0
        packet_id = b""
        if self._qos:
            while not message.packet_id or message.packet_id in self._in_flight:
                message.packet_id = self._next_packet_id()
            self._in_flight[message.packet_id] = message_id
            packet_id = message.packet_id.to_bytes(2)
        else:
            del self._messages[message_id]
            self._finished.append((message_id, message.topic, ""))
        flags = (_DUP_FLAG if dup else 0) | (_QOS_1_FLAG if self._qos else 0)
        remaining_length = 2 + len(message.topic) + len(packet_id) + len(properties) + len(message.payload)
        parts = (
            bytes((_PUBLISH | flags | (message.retain and self._retain), *encode_length(remaining_length))),
            len(message.topic).to_bytes(2),
            message.topic,
            packet_id,
            properties,
            message.payload,
        )
        send(b"".join(parts))

    def _blame(self, message_id: int, blame: Blame) -> bool:
        message = self._messages[message_id]
        message.broken_connections += 1
        max_attempts = min(message.attempts, self._refused_kinds.max_attempts(message.kind, message.size))
        if blame is not Blame.CERTAIN and message.broken_connections < max_attempts:
            return False
        self._refused_kinds.add(message.kind, message.size)
        times = "time" if message.broken_connections == 1 else "times"
        self._set_aside(
            message_id,
            f"the broker ended the connection {message.broken_connections} {times} after it was sent "
            f"({message.size} bytes)",
        )
        return True

    def _set_aside(self, message_id: int, why: str) -> None:
        message = self._messages.pop(message_id)
        self._suspects.discard(message_id)
        self._unsent_ids.remove(message_id)  # the first one, or nearly
        self._finished.append((message_id, message.topic, why))

    def _report_finished(self) -> None:
        """Report messages that left the queue without a PUBACK. Not under the lock: callbacks take others."""
        while self._finished:
            try:
                message_id, topic, why = self._finished.popleft()
            except IndexError:  # another thread took it
                return
            if why:
                self._on_set_aside(message_id, topic.decode(), why)
            else:
                self._on_delivered(message_id)


def packet_size(topic_size: int, properties_size: int, payload_size: int, qos: int) -> int:
    """Return the size of a PUBLISH packet; all sizes in bytes, the properties' with their length."""
    remaining_length = 2 + topic_size + (2 if qos else 0) + properties_size + payload_size
    # First byte, then the length in seven bits per byte.
    return 1 + max(1, (remaining_length.bit_length() + 6) // 7) + remaining_length
