"""The thread that runs the pipeline."""

import threading
import time

from monitor.service.gateway import Gateway
from monitor.service.pipeline import Pipeline

__all__ = ["HANG_TIMEOUT_S", "PipelineThread"]

# A pipeline without an iteration for this many seconds hangs: an iteration takes half a second when idle,
# and a full batch a tenth.
HANG_TIMEOUT_S = 10.0
# How long `stop` waits for the pipeline to end, in seconds: it drains and waits for confirmations at most 3.
_STOP_TIMEOUT_S = 4.0


class PipelineThread:
    """Runs a pipeline and closes the store after it.

    Parameters
    ----------
    pipeline : runs until the stop.
    gateway : its surroundings, with the store.
    """

    def __init__(self, *, pipeline: Pipeline, gateway: Gateway) -> None:
        self._pipeline = pipeline
        self._gateway = gateway
        self._stopping = threading.Event()
        # A daemon thread: a pipeline that hangs must not keep the process alive after the stop.
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def problem(self) -> str:
        """Why the pipeline makes no progress, for people; "" if it does."""
        if not self.is_alive:
            return "the pipeline thread is dead"
        idle_s = time.monotonic() - self._pipeline.last_iteration_at
        return f"the pipeline hangs for {idle_s:.0f} s" if idle_s > HANG_TIMEOUT_S else ""

    @property
    def store_problem(self) -> str:
        """Why nothing can be stored, for people; "" while it can."""
        return self._gateway.problem

    def start(self) -> None:
        """Run the pipeline."""
        self._thread.start()

    def stop(self) -> None:
        """Let the pipeline judge the messages that wait, and wait for its end at most 4 s."""
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
