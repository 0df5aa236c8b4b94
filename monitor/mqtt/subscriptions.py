"""A session's subscriptions and the broker's acknowledgements of them."""

import logging
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

__all__ = ["Subscriptions"]

_log = logging.getLogger(__name__)

_FIRST_FAILURE_CODE = 128  # reason codes from 128 on are failures
# Bytes of a SUBSCRIBE packet in addition to its filters, and of a filter in addition to its text (length and
# options).
_PACKET_OVERHEAD, _FILTER_OVERHEAD = 8, 3


class Subscriptions:
    """Subscribes to all filters after a connect, and tracks the broker's acknowledgements.

    Parameters
    ----------
    filters : topic filters of the sensor readings; the session is ready only when the broker has granted all
        of them.
    qos : maximum QoS of the sensor readings.
    takeover_topic : topic of the retained birth message by which an instance detects that a newer one has
        taken over; "" for none. The session is ready even if the broker refuses it.
    request_filters : topic filters of operators' requests. The session is ready even if the broker refuses
        them.
    previous_filters : filters of the previous session; those not used by this one are unsubscribed.
    """

    def __init__(
        self,
        filters: Sequence[str],
        qos: int,
        takeover_topic: str,
        request_filters: Sequence[str],
        previous_filters: Sequence[str],
    ) -> None:
        self._input_filters = tuple(filters)
        # A separate SUBSCRIBE packet for takeover, requests and input. Takeover comes first and with QoS 0,
        # so that its retained message arrives before the birth messages are published and does not wait
        # behind queued readings. A refusal can also be attributed to one purpose.
        packets: list[tuple[tuple[str, ...], Any]] = [
            ((takeover_topic,), SubscribeOptions(0)),
            # With retainAsPublished the retain flag is kept on live messages, so that a retained request is
            # recognised at once. Otherwise it would be unnoticed until the broker sends it again to the next
            # session.
            *(
                ((topic_filter,), SubscribeOptions(1, retainAsPublished=True))
                for topic_filter in request_filters
            ),
            # The broker sends retained readings only for a new subscription, not again after each reconnect.
            (
                self._input_filters,
                SubscribeOptions(qos, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB),
            ),
        ]
        self._packets = [(group, options) for group, options in packets if any(group)]
        self.all_filters = tuple(topic_filter for group, _ in self._packets for topic_filter in group)
        """Topic filters of takeover, requests and sensor readings."""
        self._obsolete_filters = [
            topic_filter for topic_filter in previous_filters if topic_filter not in self.all_filters
        ]
        self._pending_subacks: dict[int | None, tuple[str, ...]] = {}
        self._logged_warnings: set[str] = set()
        self.problem = ""
        """Human-readable list of the refused reading filters; "" if none."""

    @property
    def all_acknowledged(self) -> bool:
        """Whether the broker has acknowledged every SUBSCRIBE packet."""
        return not self._pending_subacks

    def subscribe(self, client: paho.Client, max_packet_size: int) -> None:
        """Unsubscribe from the previous session's filters and subscribe to these.

        Parameters
        ----------
        max_packet_size : largest packet that the broker accepts, in bytes; if the filters of one packet need
            more, each of them is sent in a packet of its own.
        """
        self.problem = ""
        for filters in _split_filters(self._obsolete_filters, max_packet_size):
            client.unsubscribe(list(filters))
        is_v5 = client.protocol == MQTTProtocolVersion.MQTTv5  # MQTT 3.1.1 supports only the QoS option
        self._pending_subacks = {
            _subscribe(client, filters, options if is_v5 else options.QoS): filters
            for group, options in self._packets
            for filters in _split_filters(group, max_packet_size)
        }

    def on_suback(self, mid: int, reason_codes: Sequence[ReasonCode]) -> None:
        """Process the SUBACK of the SUBSCRIBE packet with packet identifier `mid`."""
        filters = self._pending_subacks.pop(mid, ())
        refused = [
            f"{topic_filter}: {reason}"
            for topic_filter, reason in zip(filters, reason_codes, strict=False)
            if reason.value >= _FIRST_FAILURE_CODE
        ]
        if not refused:
            return
        problem = f"the broker refuses the subscription {'; '.join(refused)}"
        if filters and set(filters) <= set(self._input_filters):
            self.problem = problem
        elif problem not in self._logged_warnings:
            self._logged_warnings.add(problem)
            _log.warning("%s; readings are not affected", problem)


def _subscribe(client: paho.Client, filters: Sequence[str], options: Any) -> int | None:
    """Send a SUBSCRIBE packet; return its packet identifier, None if there is no connection."""
    _, mid = client.subscribe([(topic_filter, options) for topic_filter in filters])
    return mid


def _split_filters(filters: Sequence[str], max_packet_size: int) -> list[tuple[str, ...]]:
    """Return the filters of each packet: all in one, or one per packet if one would be too large."""
    size = _PACKET_OVERHEAD + sum(_FILTER_OVERHEAD + len(topic_filter.encode()) for topic_filter in filters)
    if size > max_packet_size:
        return [(topic_filter,) for topic_filter in filters]
    return [tuple(filters)] if filters else []
