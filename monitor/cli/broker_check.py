"""Checks whether the broker takes the monitor's connection, and whether what comes is usable."""

import math
import time
from collections.abc import Callable, Sequence

from monitor.bundle.manifest import Manifest
from monitor.cli.broker_client import ClientListener, build_session
from monitor.config.settings import Settings
from monitor.core.addresses import format_address
from monitor.core.errors import OperationError
from monitor.core.messages import InboundMessage, ReadOnce
from monitor.core.readings import Outcome, RejectedReading
from monitor.core.rules import WindowRules
from monitor.core.times import describe_lead
from monitor.detect.unusable import UnusableReadings
from monitor.detect.windows import WindowStage
from monitor.mqtt import Session
from monitor.mqtt.client_id import client_id
from monitor.mqtt.receive_queue import ReceiveQueue
from monitor.service.settings_to_decoder import build_decoder
from monitor.service.settings_to_features import load_bundle

__all__ = ["build_check_session", "check_connection"]

_TIMEOUT_S = 10.0  # for the broker's answer
# The longest wait for a usable reading. Each station of a slower plant sends less often, but there are more.
_MAX_LISTEN_S = 10.0
_MARGIN_S = 1.0


def build_check_session(settings: Settings, listener: ClientListener) -> Session:
    """Return a session with the monitor's rights and another client id, so a running one stays connected.

    Raises
    ------
    ConfigurationError : a secret, certificate or key can't be used.
    """
    return build_session(settings, f"{client_id(settings)}-check", listener, filters=settings.input.filters)


def check_connection(settings: Settings, report: Callable[[str], None]) -> None:
    """Connect and subscribe as the daemon would, and wait for a usable reading.

    Parameters
    ----------
    report : receives a line for each result.

    Raises
    ------
    OperationError : the broker doesn't answer or refuses the client, or readings come and none is usable.
    InvalidInputError : the bundle or a secret can't be used.
    """
    broker = format_address(settings.mqtt.host, settings.mqtt.port)
    manifest = load_bundle(settings).manifest
    listener = _InputListener(settings, manifest)
    session = build_check_session(settings, listener)
    session.start()
    try:
        if not listener.answered.wait(_TIMEOUT_S):
            raise OperationError(f"mqtt: {broker} doesn't answer within {_TIMEOUT_S:.0f} s")
        if listener.problem:
            raise OperationError(f"mqtt: {listener.problem}")
        report(f"broker {broker}: ok")
        seconds = min(_MAX_LISTEN_S, manifest.sample_period + _MARGIN_S)
        report(f"input {', '.join(settings.input.all_topics)}: {listener.wait_for_reading(session, seconds)}")
    finally:
        listener.close()
        session.stop(timeout=1.0)


class _InputListener(ClientListener):
    """Reads what comes, as the daemon would."""

    def __init__(self, settings: Settings, manifest: Manifest) -> None:
        super().__init__()
        self._decode = build_decoder(settings, manifest.feature_names)
        # With windows of one reading, each reading that the daemon would take completes one.
        rules = WindowRules(math.inf, settings.windows.max_skew)
        self._window_stage = WindowStage(1, len(manifest.features), rules)
        self._queue = ReceiveQueue()
        self._unusable = UnusableReadings()

    def on_messages(self, messages: Sequence[InboundMessage], read_once: ReadOnce | None) -> None:  # noqa: ARG002, never used
        """Queue messages for `wait_for_reading`."""
        self._queue.put(messages)

    def close(self) -> None:
        """Accept no more messages."""
        self._queue.close()

    def wait_for_reading(self, session: Session, seconds: float) -> str:
        """Wait until a usable reading comes, at most `seconds`; return what came.

        Raises
        ------
        OperationError : readings came, and none is usable.
        """
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            batch = self._queue.take(remaining)
            decoded = self._decode.decode(batch.messages, batch.arrivals)
            readings, rejected = decoded.readings, decoded.rejected
            outcomes = self._window_stage.push(readings).outcomes
            session.acknowledge([token for _, _, token, _ in batch.messages if token is not None])
            if decoded.values is not None and decoded.values.groups:
                return f"ok: a usable value of group {decoded.values.groups[0]!r} came"
            if Outcome.JUDGED in outcomes:
                group = readings.groups[outcomes.index(Outcome.JUDGED)]
                return f"ok: a usable reading of group {group!r} came"
            for row in [row for row, outcome in enumerate(outcomes) if outcome is Outcome.FUTURE]:
                lead = describe_lead(readings.ts[row] - readings.arrived_at[row])
                reason = f"its ts is ahead of this machine's clock by {lead}"
                rejected.append(RejectedReading(Outcome.FUTURE, readings.groups[row], reason))
            kept = [reading for reading in rejected if reading.outcome is not Outcome.RETAINED]
            self._unusable.add(kept, time.monotonic())
        if problem := self._unusable.describe(f"within {seconds:g} s"):
            raise OperationError(f"input: {problem}")
        return f"no reading came within {seconds:g} s, so whether it would be usable isn't known"
