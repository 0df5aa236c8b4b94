"""The thread that runs the pipeline."""

import threading
import time

from monitor.service.gateway import Gateway
from monitor.service.pipeline import Pipeline

__all__ = ["HANG_TIMEOUT_S", "PipelineThread"]

# Seconds without a new iteration after which the pipeline is considered hung: an idle iteration takes 0.5 s,
# and a full batch 0.1 s.
HANG_TIMEOUT_S = 10.0
# Seconds that `stop` waits for the pipeline to end, which takes at most 3 s: 1 s for queued messages and 2 s
# for confirmations.
_STOP_TIMEOUT_S = 4.0


class PipelineThread:
    """Runs a pipeline on a thread, and closes the store afterwards.

    Parameters
    ----------
    pipeline : the pipeline to run.
    gateway : the ports of the pipeline, including the store.
    """

    def __init__(self, *, pipeline: Pipeline, gateway: Gateway) -> None:
        self._pipeline = pipeline
        self._gateway = gateway
        self._stopping = threading.Event()
        # A daemon thread: a pipeline that hangs must not keep the process alive after `stop`.
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def problem(self) -> str:
        """Why the pipeline makes no progress, as text for users; "" if it does."""
        if not self.is_alive:
            return "the pipeline thread is dead"
        idle_s = time.monotonic() - self._pipeline.last_iteration_at
        return f"the pipeline hangs for {idle_s:.0f} s" if idle_s > HANG_TIMEOUT_S else ""

    @property
    def store_problem(self) -> str:
        """Why the store can't be written, as text for users; "" if it can."""
        return self._gateway.problem

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the pipeline process the queued messages, and wait at most 4 s for its end."""
        self._stopping.set()
        self._gateway.close_intake()
        if self.is_alive:
            self._thread.join(_STOP_TIMEOUT_S)

    def close(self) -> None:
        """Close the store, unless the pipeline still uses it."""
        if not self.is_alive:
            self._gateway.close()

    def _run(self) -> None:
        self._pipeline.run(self._stopping)
        self._gateway.flush()
