"""Listens to the plant's topics and counts what a monitor would make of the messages."""

import threading
import time
from collections.abc import Callable

from monitor.cli.input_report import InputReport
from monitor.cli.queued_listener import QueuedListener
from monitor.config.settings import Settings
from monitor.core.messages import MessageBatch
from monitor.core.readings import concatenate
from monitor.mqtt import Session
from monitor.service.rejections import out_of_order, rejected_values, stale_readings
from monitor.service.settings_to_alignment import adapt_bundle, build_alignment
from monitor.service.settings_to_decoder import build_decoder
from monitor.service.settings_to_features import load_bundle
from monitor.service.settings_to_stages import build_scoring

__all__ = ["InputCheck"]

# The longest wait for messages before the clock and the stop event are checked again.
_POLL_INTERVAL_S = 0.2


class InputCheck(QueuedListener):
    """Runs the monitor's stages on what comes, and keeps nothing.

    Parameters
    ----------
    on_progress : called after each batch with a description of what came so far.

    Raises
    ------
    InvalidInputError : settings and bundle don't fit, or the bundle can't be used.
    """

    def __init__(self, settings: Settings, *, on_progress: Callable[[str], None] = lambda _: None) -> None:
        super().__init__()
        settings, loaded = adapt_bundle(settings, load_bundle(settings))
        features = loaded.manifest.feature_names
        self._features = features
        self._decode = build_decoder(settings, features)
        self._alignment = build_alignment(settings, features, loaded.manifest.sample_period)
        self._scoring = build_scoring(loaded, settings.windows, settings.alerts, checks=settings.checks)
        self._on_progress = on_progress
        self.report = InputReport(features)
        """What the messages became."""

    def run(self, session: Session, stop: threading.Event, seconds: float) -> bool:
        """Listen until `stop` is set or `seconds` have passed; return whether they have.

        Raises
        ------
        OperationError : the broker can't be reached or refuses the client.
        """
        try:
            session.start()
            if not self.wait_for_connection(stop):
                return False
            started_at = time.monotonic()
            while not stop.is_set() and (left := started_at + seconds - time.monotonic()) > 0:
                self._process_batch(session, min(_POLL_INTERVAL_S, left))
            self._process_batch(session, 0.0)
            self.report.seconds = time.monotonic() - started_at
            return self.report.seconds >= seconds
        finally:
            self._queue.close()
            session.stop(timeout=1.0)

    def _process_batch(self, session: Session, timeout: float) -> None:
        batch = self._queue.take(timeout)
        self.raise_problem()
        self._count(batch)
        session.acknowledge([token for _, _, token, _ in batch.messages if token is not None])
        self._on_progress(str(self.report))

    def _count(self, batch: MessageBatch) -> None:
        report = self.report
        decoded = self._decode.decode(batch.messages, batch.arrivals)
        report.message_count += len(batch.messages)
        report.overflow_count += batch.overflow_count
        report.add_rejected([*decoded.rejected, *decoded.rejected_values], counted=False)
        readings = decoded.readings
        if self._alignment is not None and decoded.values is not None:
            aligned = self._alignment.push(decoded.values, batch.complete_until)
            report.add_values(decoded.values, aligned.outcomes)
            report.add_rejected(rejected_values(decoded.values, aligned), counted=True)
            report.add_stale(len(aligned.stale.ts), stale_readings(aligned.stale, self._features))
            readings = concatenate(readings, aligned.readings)
        scored = self._scoring.judge(readings)
        report.add_readings(readings, scored.windows.outcomes, received=len(decoded.readings.ts))
        report.add_rejected(out_of_order(readings, scored), counted=True)
