"""Limits what one topic may bring, so that a flood on one topic doesn't delay the readings of the others.

A broker delivers in order, so readings wait behind a flood until the monitor has taken it: only what costs
next to nothing lets them pass. MQTT doesn't tell the publisher, so the limit is for a topic. What the broker
had kept while the monitor was away is no flood.
"""

import time
from collections.abc import Callable
from typing import Final

from monitor.core.messages import EXCESS_FLAG
from monitor.ingest.limits import MAX_TOPIC_LENGTH
from monitor.mqtt.packet_parser import LARGE_PACKET, PublishPacket

__all__ = ["TopicLimit"]

# What a message costs beside its bytes, in bytes. A reading of 100 bytes takes 8 to 14 µs by itself and 5 µs
# in an array, so this and the bytes are in proportion to the time: about 50 ns a byte, and five times as much
# where each sixth reading begins an incident.
_MESSAGE_COST: Final = 128
# A topic may bring this at any time: 10,000 readings in arrays, 4,600 in messages of their own. A station
# that sends every 5 s has stored 14 and 6 hours then. A plant of 200 such stations may do so at once.
# And that in each second, 1,100 readings: a vibration sensor. A flood that stays within it takes 1 % of the
# time, 7 % where each sixth reading begins an incident.
_TOPIC_LIMITS: Final = (1 << 20, 1 << 18)
# And a topic on which messages of several groups come: 26,000 readings with the shared part, so 500 groups
# may send 10 a second each in a stop of 5 s; then 2,200 a second. With four times that an incident in each
# eight readings delayed the alerts of the others by 15 s.
_GATEWAY_LIMITS: Final = (4 << 20, 1 << 19)
# All topics together may bring this beyond, so that a station that was away for long delivers everything:
# 3 MiB are 43 hours of it in arrays, 19 in messages of their own. The pipeline needs 0.2 to 1 s for them.
_SHARED_BURST: Final = 2 << 20
# And this in each second.
_SHARED_RATE: Final = 1 << 17
# What the broker may have kept: the shipped one 100,000 messages and 64 MiB of payload, and 4,096 and 16 MiB
# under way, whose topics and headers are 200 bytes at most. A flood that takes their place delays alerts by
# 6 s and more, once.
_BACKLOG: Final = 128 << 20
# Seconds after which the pipeline may count as having caught up: by then it has taken the first of it.
_CATCH_UP_S: Final = 1.0
# Large messages are all counted, of others one in so many, for that many: to count all takes a tenth of the
# time of a reading.
_SAMPLING: Final = 8
# Topics whose use is known: with more, the one that was counted longest ago begins afresh. With these a topic
# of a flood would have to be followed by 130,000 messages on others.
_MAX_TOPICS: Final = 1 << 14
# Characters. Longer topics are limited together: 16,384 of 1,000 would take 16 MB.
_MAX_KEY_LENGTH: Final = 256
_LONG_TOPICS: Final = ""
# Bytes that a topic counts for which is too long to be read: the largest that MQTT knows, of which the parser
# has left the beginning.
_LONG_TOPIC_COST: Final = 1 << 16


class _Bucket:
    """What was used of a limit, in bytes; it becomes less with time."""

    __slots__ = ("_rate", "_used", "_used_at", "burst")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self.burst = burst
        self._rate = rate
        self._used = 0.0
        self._used_at = now

    def room(self, now: float) -> float:
        """Return how much may be used now."""
        self._used = max(0.0, self._used - (now - self._used_at) * self._rate)
        self._used_at = now
        return self.burst - self._used

    def use(self, cost: float) -> None:
        """Use so much, at most all that there is."""
        self._used = min(self.burst, self._used + cost)


class _Backlog:
    """What is left of what the broker may have kept, in bytes; nothing once the pipeline has caught up."""

    __slots__ = ("_may_end_at", "left")

    def __init__(self, size: int, now: float) -> None:
        self.left = size
        self._may_end_at = now + _CATCH_UP_S

    def covers(self, cost: int, now: float, is_behind: Callable[[], bool]) -> bool:
        """Return whether something that came now is a part of it."""
        if now >= self._may_end_at and not is_behind():
            self.left = 0
        self.left -= cost
        return self.left >= 0


class TopicLimit:
    """Marks the messages of topics that bring more than their share while the pipeline is behind.

    A pipeline that keeps up takes everything, however much a topic brings; so does one that catches up with
    what the broker had kept, and one that has a single topic. Used by one thread at a time, but for
    `expect_backlog`.

    Parameters
    ----------
    is_behind : returns whether more waits than the pipeline takes at once.
    is_gateway : returns whether messages of several groups may come on a topic.
    monotonic : returns monotonic seconds.
    """

    def __init__(
        self,
        is_behind: Callable[[], bool],
        is_gateway: Callable[[str], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_behind = is_behind
        self._is_gateway = is_gateway
        self._monotonic = monotonic
        now = monotonic()
        self._backlog = _Backlog(0, now)
        self._first_topics: set[str] = set()  # until there are two
        # While all topics together stay within the limit of one, none is beyond it.
        self._all_topics = _Bucket(*_TOPIC_LIMITS, now)
        self._shared = _Bucket(_SHARED_BURST, _SHARED_RATE, now)
        self._topics: dict[str, _Bucket] = {}  # the one counted longest ago first
        self._watched: dict[str, _Bucket] = {}  # those that reached their limit: each message is counted
        self._sample_start = 0  # index of the first packet to count in the next call

    def expect_backlog(self) -> None:
        """Take what the broker had kept without limit; called after each time without deliveries."""
        self._backlog = _Backlog(_BACKLOG, self._monotonic())

    def apply(self, packets: list[PublishPacket], size: int, *, may_be_large: bool) -> list[PublishPacket]:
        """Return the packets, of which those beyond the limit have no payload and `EXCESS_FLAG`.

        Parameters
        ----------
        packets : in the order of arrival.
        size : bytes of them.
        may_be_large : whether some packet may have `LARGE_PACKET` bytes or more.
        """
        now, cost = self._monotonic(), size + _MESSAGE_COST * len(packets)
        within_limit = cost <= self._all_topics.room(now)
        self._all_topics.use(cost)
        backlog = self._backlog
        if backlog.left > 0 and backlog.covers(cost, now, self._is_behind):
            return packets
        if len(self._first_topics) <= 1:
            self._first_topics.update([topic for topic, _, _, _ in packets])
            if len(self._first_topics) <= 1:  # nobody waits for a single topic
                return packets
        if not self._watched and (within_limit or not self._is_behind()):
            return packets
        limited = [self._limit(packet, now) for packet in packets] if self._watched else packets
        self._count(packets, now, may_be_large=may_be_large)
        for topic, bucket in list(self._watched.items()):
            if bucket.room(now) >= bucket.burst / 2:
                del self._watched[topic]
        return limited

    def admits(self, topic: str, size: int) -> bool:
        """Return whether a message of `size` bytes, whose topic has just arrived, is to be read."""
        bucket = self._watched.get(_to_key(topic))
        if bucket is None or self._backlog.left > 0:
            return True
        now, cost = self._monotonic(), size + _MESSAGE_COST
        return not self._is_behind() or cost <= bucket.room(now) + self._shared.room(now)

    def _limit(self, packet: PublishPacket, now: float) -> PublishPacket:
        topic, payload, packet_id, flags = packet
        bucket = self._watched.get(_to_key(topic))
        if bucket is None or flags & EXCESS_FLAG:
            return packet
        cost = _cost(topic, payload)
        excess = max(0.0, cost - bucket.room(now))
        if excess > self._shared.room(now) and self._is_behind():
            return topic, b"", packet_id, flags | EXCESS_FLAG
        bucket.use(cost)
        self._shared.use(excess)
        return packet

    def _count(self, packets: list[PublishPacket], now: float, *, may_be_large: bool) -> None:
        """Count what topics bring that are not watched yet, and watch those that reach their limit."""
        for topic, payload, _, _ in packets if may_be_large else ():
            if _is_large(topic, payload):
                self._count_message(topic, _cost(topic, payload), now)
        for topic, payload, _, _ in packets[self._sample_start :: _SAMPLING]:
            if not _is_large(topic, payload):
                self._count_message(topic, _cost(topic, payload) * _SAMPLING, now)
        # Each remainder in turn, in another order: a plant may send 200 readings at a time in the same order.
        self._sample_start = (5 * self._sample_start + 3) % _SAMPLING

    def _count_message(self, topic: str, cost: int, now: float) -> None:
        key = _to_key(topic)
        if key in self._watched:
            return
        bucket = self._topics.pop(key, None)
        if bucket is None:
            limits = _GATEWAY_LIMITS if self._is_gateway(topic) else _TOPIC_LIMITS
            bucket = _Bucket(*limits, now)
        if len(self._topics) >= _MAX_TOPICS:
            del self._topics[next(iter(self._topics))]
        self._topics[key] = bucket
        if cost >= bucket.room(now):
            self._watched[key] = bucket
        bucket.use(cost)


def _to_key(topic: str) -> str:
    return topic if len(topic) <= _MAX_KEY_LENGTH else _LONG_TOPICS


def _is_large(topic: str, payload: bytes) -> bool:
    return len(payload) >= LARGE_PACKET or len(topic) > MAX_TOPIC_LENGTH


def _cost(topic: str, payload: bytes) -> int:
    topic_cost = len(topic) if len(topic) <= MAX_TOPIC_LENGTH else _LONG_TOPIC_COST
    return topic_cost + len(payload) + _MESSAGE_COST
