"""Listens to everything that a broker delivers, and publishes nothing."""

import threading
import time
from collections.abc import Callable

from monitor.cli.discover.survey import Survey
from monitor.cli.queued_listener import QueuedListener
from monitor.core.messages import RETAIN_FLAG
from monitor.mqtt import Session

__all__ = ["DiscoverListener"]

# The longest wait for messages before the clock and the stop event are checked again.
_POLL_INTERVAL_S = 0.2


class DiscoverListener(QueuedListener):
    """Passes what comes to a survey.

    Parameters
    ----------
    on_progress : called after each batch with a description of what came so far.
    """

    def __init__(self, survey: Survey, *, on_progress: Callable[[str], None] = lambda _: None) -> None:
        super().__init__()
        self._survey = survey
        self._on_progress = on_progress
        self.overflow_count = 0
        """Messages that were dropped because they came too fast."""

    def run(self, session: Session, stop: threading.Event, seconds: float) -> None:
        """Listen until `stop` is set or `seconds` have passed.

        Raises
        ------
        OperationError : the broker can't be reached or refuses the client or its subscription.
        """
        try:
            session.start()
            if not self.wait_for_connection(stop):
                return
            started_at = time.monotonic()
            while not stop.is_set() and (left := started_at + seconds - time.monotonic()) > 0:
                self._process_batch(session, min(_POLL_INTERVAL_S, left))
                self._on_progress(f"{self._survey}, {max(0.0, left):.0f} s left")
            self._survey.seconds = time.monotonic() - started_at
        finally:
            self._queue.close()
            session.stop(timeout=1.0)

    def _process_batch(self, session: Session, timeout: float) -> None:
        batch = self._queue.take(timeout)
        self.raise_problem()
        self.overflow_count += batch.overflow_count
        arrivals = batch.arrivals
        times = zip(arrivals.arrived_at.tolist(), arrivals.arrived_monotonic.tolist(), strict=True)
        for (topic, payload, _, flags), (arrived_at, at) in zip(batch.messages, times, strict=True):
            is_retained = bool(flags & RETAIN_FLAG)
            self._survey.add(topic, payload, retained=is_retained, arrived_at=arrived_at, at=at)
        session.acknowledge([token for _, _, token, _ in batch.messages if token is not None])
