"""The source and the sink as the daemon starts, stops and reconfigures them."""

from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.service.ports import HandleRequest, Sink, Source

__all__ = ["Connections"]


class Connections:
    """Joins source and sink.

    Parameters
    ----------
    source : where messages and requests come from.
    sink : where messages go to.
    """

    def __init__(self, *, source: Source, sink: Sink) -> None:
        self._source = source
        self._sink = sink

    @property
    def problem(self) -> str:
        """Why no message can come or go, for people; "" if they can."""
        return self._source.problem or self._sink.problem

    def wake(self) -> None:
        """Let the pipeline's present or next `take` return at once; any thread may call this."""
        self._source.wake()

    def start(self, handle_request: HandleRequest) -> None:
        """Connect in the background."""
        self._sink.start()
        self._source.start(handle_request)

    def stop(self, timeout: float) -> None:
        """Disconnect the sink, then the source; each may wait `timeout` seconds for confirmations."""
        self._sink.stop(timeout)
        self._source.stop(timeout)

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        """Continue with other settings and another bundle."""
        self._source.reconfigure(settings, manifest)
        self._sink.reconfigure(settings)
