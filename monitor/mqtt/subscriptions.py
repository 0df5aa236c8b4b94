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
    claim, requests : one filter each, which one can do without; "" for none.
    former : filters of an earlier session, to be ended.
    """

    def __init__(
        self, filters: Sequence[str], qos: int, claim: str, requests: str, former: Sequence[str]
    ) -> None:
        self._input = tuple(filters)
        # A packet each, so that its message comes before we publish ours and one refusal is one filter's. The
        # claim is first, and without a guarantee: so no backlog of readings is ahead of it.
        packets: list[tuple[tuple[str, ...], Any]] = [
            ((claim,), SubscribeOptions(0)),
            # Otherwise a retained request looks like any other while we are there, and comes again later.
            ((requests,), SubscribeOptions(1, retainAsPublished=True)),
            (self._input, SubscribeOptions(qos)),
        ]
        self._packets = [(packet, options) for packet, options in packets if any(packet)]
        self.all = tuple(text for packet, _ in self._packets for text in packet)
        """Every filter."""
        self._former = [text for text in former if text not in self.all]
        self._unanswered: dict[int | None, tuple[str, ...]] = {}
        self._warned: set[str] = set()
        self.problem = ""
        """What of the input the broker refuses, for people; "" for nothing."""

    @property
    def answered(self) -> bool:
        """Whether the broker answered each subscription."""
        return not self._unanswered

    def ask(self, client: paho.Client) -> None:
        """End the former ones and make ours."""
        self.problem = ""
        if self._former:
            client.unsubscribe(self._former)
        speaks_5 = client.protocol == MQTTProtocolVersion.MQTTv5  # before it there is nothing but the QoS
        self._unanswered = {
            client.subscribe([(text, options if speaks_5 else options.QoS) for text in packet])[1]: packet
            for packet, options in self._packets
        }

    def take(self, number: int, reasons: Sequence[ReasonCode]) -> None:
        """Take the broker's answer to packet `number`."""
        packet = self._unanswered.pop(number, ())
        refused = [
            f"{text}: {reason}"
            for text, reason in zip(packet, reasons, strict=False)
            if reason.value >= _LOWEST_FAILURE
        ]
        if not refused:
            return
        text = f"the broker refuses the subscription {'; '.join(refused)}"
        if packet == self._input:
            self.problem = text
        elif text not in self._warned:
            self._warned.add(text)
            _log.warning("%s; all else works", text)
