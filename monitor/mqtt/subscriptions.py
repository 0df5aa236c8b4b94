"""A session's subscriptions and the broker's answers to them."""

import logging
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

__all__ = ["Subscriptions"]

_log = logging.getLogger(__name__)

_LOWEST_FAILURE = 128  # reason codes from here on are failures
# Bytes of a SUBSCRIBE packet beside its filters, and of each filter beside its text: length and options.
_PACKET_OVERHEAD, _FILTER_OVERHEAD = 8, 3


class Subscriptions:
    """Subscribes to all filters after a connect, and tracks the broker's answers.

    Parameters
    ----------
    filters : topic filters of the input; the session is not ready without them.
    qos : of the input.
    takeover_topic : an optional filter; "" for none.
    request_filters : optional filters.
    previous_filters : filters of an earlier session, to be unsubscribed unless they are used again.
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
        # One SUBSCRIBE packet each, so that the retained message on the takeover topic arrives before the
        # births are published, and a refusal concerns one filter. The takeover topic is first, with QoS 0:
        # that way it does not queue behind a backlog of readings.
        packets: list[tuple[tuple[str, ...], Any]] = [
            ((takeover_topic,), SubscribeOptions(0)),
            # Without retainAsPublished a retained request cannot be recognised when it is published while
            # this session is subscribed, and the broker would send it again to the next session.
            *(((text,), SubscribeOptions(1, retainAsPublished=True)) for text in request_filters),
            # Retained readings once only, and not again after each reconnect.
            (
                self._input_filters,
                SubscribeOptions(qos, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB),
            ),
        ]
        self._packets = [(packet, options) for packet, options in packets if any(packet)]
        self.all_filters = tuple(text for packet, _ in self._packets for text in packet)
        """All filters, of the input and the optional ones."""
        self._obsolete_filters = [text for text in previous_filters if text not in self.all_filters]
        self._pending_subacks: dict[int | None, tuple[str, ...]] = {}
        self._logged_warnings: set[str] = set()
        self.problem = ""
        """Which filters of the input the broker refuses, for people; "" if none."""

    @property
    def is_answered(self) -> bool:
        """Whether the broker has answered every subscription."""
        return not self._pending_subacks

    def subscribe(self, client: paho.Client, max_packet_size: int) -> None:
        """Unsubscribe from the previous session's filters and subscribe to these.

        Parameters
        ----------
        max_packet_size : bytes that the broker takes; filters that need more are sent one in a packet.
        """
        self.problem = ""
        for filters in _split_filters(self._obsolete_filters, max_packet_size):
            client.unsubscribe(list(filters))
        is_v5 = client.protocol == MQTTProtocolVersion.MQTTv5  # MQTT 3.1.1 has no option but the QoS
        self._pending_subacks = {
            client.subscribe([(text, options if is_v5 else options.QoS) for text in filters])[1]: filters
            for packet, options in self._packets
            for filters in _split_filters(packet, max_packet_size)
        }

    def on_suback(self, mid: int, reason_codes: Sequence[ReasonCode]) -> None:
        """Process the SUBACK of packet `mid`."""
        packet = self._pending_subacks.pop(mid, ())
        refused = [
            f"{text}: {reason}"
            for text, reason in zip(packet, reason_codes, strict=False)
            if reason.value >= _LOWEST_FAILURE
        ]
        if not refused:
            return
        text = f"the broker refuses the subscription {'; '.join(refused)}"
        if packet and set(packet) <= set(self._input_filters):
            self.problem = text
        elif text not in self._logged_warnings:
            self._logged_warnings.add(text)
            _log.warning("%s; all else works", text)


def _split_filters(filters: Sequence[str], max_packet_size: int) -> list[tuple[str, ...]]:
    """Return the filters of one packet, or those of several if the broker does not take one of that size."""
    size = _PACKET_OVERHEAD + sum(_FILTER_OVERHEAD + len(text.encode()) for text in filters)
    if size > max_packet_size:
        return [(text,) for text in filters]
    return [tuple(filters)] if filters else []
