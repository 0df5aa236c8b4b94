"""The daemon's link to the broker: what it says of itself there, hears, and is asked."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from monitor import __version__
from monitor.bundle.manifest import Manifest
from monitor.config.secrets import password
from monitor.config.settings import Settings
from monitor.core.messages import JSON, TEXT, About, Asked, Delivery, Read
from monitor.core.topics import Template
from monitor.mqtt import Session
from monitor.mqtt.client_id import client_id
from monitor.mqtt.receive_queue import Inbox
from monitor.operators import requests
from monitor.operators.commands import Respond
from monitor.publish.home_assistant import BORN
from monitor.publish.payloads import info_payload
from monitor.telemetry.logs import RequestLog
from monitor.telemetry.metrics import Metrics

__all__ = ["Link"]

_log = logging.getLogger(__name__)

# Of a request's name, what its answer's topic has of it: a longer one is no request of ours, in characters.
_LONGEST_NAME = 100


class _Outgoing:
    """Listens to the connection by which alerts and states go out.

    It is one of its own: under a flood of readings the broker's confirmations would otherwise stand behind
    all of them, and alerts with them.
    """

    def __init__(self, link: "Link") -> None:
        self._link = link

    def connected(self) -> None:
        self._link.nudge()  # the outbox may hold what couldn't be sent

    def disconnected(self, reason: str) -> None:
        if self._link.session.ready:  # else the other connection says the same
            _log.warning("alerts and states wait: %s; trying again until it works", reason)

    def taken_over(self) -> None:
        self._link.taken_over()

    def publish_refused(self) -> None:
        self._link.publish_refused()

    def received(self, messages: Sequence[Delivery], read: Read | None) -> None:
        """Nothing is subscribed to."""

    def requested(self, asked: Asked) -> None:
        """Hear of Home Assistant, if that is wanted."""
        self._link.outgoing.acknowledge([asked.receipt])
        if asked.payload == BORN:
            self._link.reborn.set()
            self._link.nudge()


class Link:
    """Listens to the session for the daemon.

    Parameters
    ----------
    settings, manifest : in use.
    former : topic filters of an earlier process, which the broker may have stored.
    inbox : where readings go.
    metrics : looks on.
    reload : does what the request of that name asks for; returns why not, or "".
    ask : takes all other requests, to be answered once they are done; returns False where too many wait.
    end : ends the daemon with an exit code.

    Raises
    ------
    ConfigurationError : a password file, certificate or key can't be used.
    """

    def __init__(
        self,
        settings: Settings,
        manifest: Manifest,
        former: Sequence[str],
        inbox: Inbox,
        metrics: Metrics,
        reload: Callable[[], str],
        ask: Callable[[requests.Request, Respond], bool],
        end: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._metrics = metrics
        self._reload = reload
        self._ask = ask
        self._end = end
        self._base = settings.mqtt.base_topic
        self._filters = [Template(text).filter for text in settings.input.topics]
        self._started_at = time.time()
        self._instance = secrets.token_hex(8)
        self._was_connected = False
        self._refused = RequestLog()
        self._reloading = threading.Lock()
        self.forgotten = threading.Event()
        """Set when the broker may have lost what it retained."""
        self.reborn = threading.Event()
        """Set when Home Assistant begins."""
        name, secret = client_id(settings), password(settings.mqtt)
        self.outgoing = Session(
            settings.mqtt, f"{name}-out", secret, _Outgoing(self), requests=_births_of_others(settings)
        )
        """The connection by which alerts and states go out."""
        self.session = Session(
            settings.mqtt,
            name,
            secret,
            self,
            filters=self._filters,
            former=former,
            births=self._births(manifest),
            claim=f"{self._base}/info",
            requests=f"{self._base}/request/#",
            will=(f"{self._base}/status", b"offline"),
            durable=True,
        )
        """The connection by which readings come, and whose end the broker tells everybody."""

    @property
    def problem(self) -> str:
        """Why nothing comes or goes, for people; "" if all does."""
        return self.session.problem or self.outgoing.problem

    def start(self) -> None:
        """Connect in the background."""
        self.outgoing.start()
        self.session.start()

    def stop(self, timeout: float) -> None:
        """Say `offline`, wait for the broker to have it at most `timeout` seconds, and leave."""
        self.outgoing.stop(timeout)
        self.session.stop(timeout)

    def nudge(self) -> None:
        """Let the pipeline look what it can send."""
        self._inbox.nudge()

    def change_to(self, settings: Settings, manifest: Manifest) -> None:
        """Go on with other settings and another bundle."""
        before, self._settings = self._settings.mqtt, settings
        self.session.announce(self._births(manifest))
        if (before.host, before.port) != (settings.mqtt.host, settings.mqtt.port):
            self.session.move(settings.mqtt)
            self.outgoing.move(settings.mqtt)

    def connected(self) -> None:
        """Hear from the session that it is ready."""
        self._metrics.mqtt_connected.set(1)
        if self._was_connected:
            self._metrics.mqtt_reconnects.inc()
        # A broker that was killed comes back with what it saved last, and says nothing of what it forgot.
        self.forgotten.set()
        self.nudge()
        self._was_connected = True
        mqtt = self._settings.mqtt
        _log.info("connected to %s:%s, subscribed to %s", mqtt.host, mqtt.port, ", ".join(self._filters))

    def disconnected(self, reason: str) -> None:
        """Hear from the session why it isn't ready."""
        self._metrics.mqtt_connected.set(0)
        _log.warning("%s; trying again until it works", reason)

    def taken_over(self) -> None:
        """Hear from the session that it was taken over: two of one id would throw each other out for ever."""
        self._metrics.mqtt_connected.set(0)
        _log.error(
            "mqtt.client_id: another client connected as %r and took the session over; "
            "expected an id of its own for each client",
            client_id(self._settings),
        )
        self._end(2)

    def publish_refused(self) -> None:
        """Hear from either session that nobody gets a message."""
        self._metrics.messages_refused.inc()

    def received(self, messages: Sequence[Delivery], read: Read | None) -> None:
        """Take messages from the session, and leave the pipeline alone while it works."""
        self._inbox.put(messages)
        if read:
            self._inbox.breathe(read)

    def requested(self, asked: Asked) -> None:
        """Take a request from the session: it is worked on elsewhere, for this is the network's thread."""
        # The filter `request/#` matches its parent too, which names no request.
        name = f"{asked.topic}/".removeprefix(f"{self._base}/request/").removesuffix("/")
        answer_to = asked.answer_to or f"{self._base}/response/{name[:_LONGEST_NAME]}".removesuffix("/")
        if asked.retained and not asked.payload:
            _log.info("%s: nothing is retained there any more", asked.topic)
            self.session.acknowledge([asked.receipt])
            return

        def respond(answer: bytes) -> None:
            self.session.publish(answer_to, answer, about=replace(JSON, correlation=asked.correlation))
            self.session.acknowledge([asked.receipt])

        try:
            self._begin(requests.read(name, asked.payload, retained=asked.retained), respond)
        except requests.Refusal as refusal:
            self._refused.refused(name[:_LONGEST_NAME], str(refusal))
            respond(requests.answer(refusal.transaction, str(refusal)))

    def _begin(self, request: requests.Request, respond: Respond) -> None:
        """See that a request is worked on and answered.

        Raises
        ------
        Refusal : too many wait already.
        """
        if not isinstance(request, requests.Reload):
            begun = self._ask(request, respond)
            self.nudge()
            if not begun:
                raise requests.Refusal("too many requests wait; expected fewer at a time", request)
        elif self._reloading.acquire(blocking=False):
            threading.Thread(target=self._reload_for, args=(request, respond), name="request").start()
        else:
            raise requests.Refusal("a reload is being worked on; expected one at a time", request)

    def _reload_for(self, request: requests.Request, respond: Respond) -> None:
        answer = requests.answer(request.transaction, self._reload())
        self._reloading.release()
        respond(answer)

    def _births(self, manifest: Manifest) -> list[tuple[str, bytes, About]]:
        info = info_payload(
            __version__, manifest, self._settings.input.topics, self._started_at, client_id(self._settings),
            self._instance,
        )  # fmt: skip
        return [(f"{self._base}/status", b"online", TEXT), (f"{self._base}/info", info, JSON)]


def _births_of_others(settings: Settings) -> str:
    """Return the filter of what Home Assistant says of itself; "" where nobody wants to know."""
    wanted = settings.homeassistant
    return f"{wanted.discovery_prefix}/status/#" if wanted.discovery else ""
