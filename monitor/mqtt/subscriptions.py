"""What a session subscribes to, and what the broker answered."""

import logging
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

__all__ = ["Subscriptions"]

_log = logging.getLogger(__name__)

_LOWEST_FAILURE = 128  # this reason code and all above say no


class Subscriptions:
    """Asks the broker for all filters after a connect, and knows when it answered.

    Parameters
    ----------
    filters : the input, without which there is nothing to do.
    qos : the input's.
    takeover_topic, request_filter : one filter each, which one can do without; "" for none.
    previous_filters : filters of an earlier session, to be ended.
    """

    def __init__(
        self,
        filters: Sequence[str],
        qos: int,
        takeover_topic: str,
        request_filter: str,
        previous_filters: Sequence[str],
    ) -> None:
        self._input_filters = tuple(filters)
        # A packet each, so that its message comes before we publish ours and one refusal is one filter's. The
        # claim is first, and without a guarantee: so no backlog of readings is ahead of it.
        packets: list[tuple[tuple[str, ...], Any]] = [
            ((takeover_topic,), SubscribeOptions(0)),
            # Otherwise a retained request looks like any other while we are there, and comes again later.
            ((request_filter,), SubscribeOptions(1, retainAsPublished=True)),
            (self._input_filters, SubscribeOptions(qos)),
        ]
        self._packets = [(packet, options) for packet, options in packets if any(packet)]
        self.all_filters = tuple(text for packet, _ in self._packets for text in packet)
        """Every filter."""
        self._obsolete_filters = [text for text in previous_filters if text not in self.all_filters]
        self._pending_subacks: dict[int | None, tuple[str, ...]] = {}
        self._logged_warnings: set[str] = set()
        self.problem = ""
        """What of the input the broker refuses, for people; "" for nothing."""

    @property
    def is_answered(self) -> bool:
        """Whether the broker answered each subscription."""
        return not self._pending_subacks

    def subscribe(self, client: paho.Client) -> None:
        """End the former ones and make ours."""
        self.problem = ""
        if self._obsolete_filters:
            client.unsubscribe(self._obsolete_filters)
        speaks_5 = client.protocol == MQTTProtocolVersion.MQTTv5  # before it there is nothing but the QoS
        self._pending_subacks = {
            client.subscribe([(text, options if speaks_5 else options.QoS) for text in packet])[1]: packet
            for packet, options in self._packets
        }

    def on_suback(self, mid: int, reason_codes: Sequence[ReasonCode]) -> None:
        """Take the broker's answer to packet `mid`."""
        packet = self._pending_subacks.pop(mid, ())
        refused = [
            f"{text}: {reason}"
            for text, reason in zip(packet, reason_codes, strict=False)
            if reason.value >= _LOWEST_FAILURE
        ]
        if not refused:
            return
        text = f"the broker refuses the subscription {'; '.join(refused)}"
        if packet == self._input_filters:
            self.problem = text
        elif text not in self._logged_warnings:
            self._logged_warnings.add(text)
            _log.warning("%s; all else works", text)
