"""A subscriber of the demo that prints the alert events."""

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from monitor.cli.broker_client import ClientListener
from monitor.config.settings import Settings
from monitor.core.messages import InboundMessage, ReadOnce
from monitor.core.printable import printable
from monitor.core.times import format_iso
from monitor.mqtt import Session, SessionOptions

__all__ = ["AlertPrinter"]

_CONNECT_TIMEOUT_S = 5.0


class AlertPrinter(ClientListener):
    """Subscribes to the alert topics, as any other program would, and prints each event.

    Parameters
    ----------
    console : where to print.
    settings : the daemon's settings, for broker and base topic.
    """

    def __init__(self, console: Console, settings: Settings) -> None:
        super().__init__()
        self._console = console
        self.events: list[dict[str, Any]] = []
        """The decoded payloads, in the order of arrival."""
        self._alert_prefix = f"{settings.mqtt.base_topic}/alerts/"
        options = SessionOptions(filters=(f"{self._alert_prefix}#",))
        self._session = Session(settings.mqtt, "sensor-demo-spectator", self, options)

    def start(self) -> None:
        """Connect, and return when the broker has confirmed the subscription."""
        self._session.start()
        self.answered.wait(_CONNECT_TIMEOUT_S)

    def stop(self) -> None:
        """Disconnect."""
        self._session.stop(timeout=1.0)

    def on_disconnected(self, reason: str) -> None:
        """Print why there is no connection; the session reconnects."""
        self._console.print(f"spectator: {_plain(reason)}")

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:  # noqa: ARG002, `read_once` is never used
        """Print alert events."""
        for topic, payload, ack_token, _ in messages:
            self._session.acknowledge([ack_token])
            if topic.startswith(self._alert_prefix):  # amqtt sometimes delivers messages of other subscribers
                self._print_event(json.loads(payload))

    def _print_event(self, event: dict[str, Any]) -> None:
        self.events.append(event)
        colour, sign = ("red", "!") if event["status"] == "firing" else ("green", "-")
        time_text = format_iso(event["window"]["ts"][-1])[11:19]
        latest = " ".join(f"{value:.2f}" for value in event["window"]["values"][-1])
        self._console.print(
            f"{time_text}  [{colour}]{sign} {event['status']:<8}[/] {_plain(event['group']):<16} "
            f"score {event['score']:.3f}  {_plain(event['reason'] or latest)}"
        )


def _plain(text: str) -> str:
    """Return a text that neither terminal nor console takes for a command."""
    return escape(printable(text))
