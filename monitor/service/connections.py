"""Starts, stops and reconfigures the source and the sink together."""

from monitor.bundle.manifest import Manifest
from monitor.config.settings import Settings
from monitor.service.ports import HandleDropped, HandleRequest, Sink, Source

__all__ = ["Connections"]


class Connections:
    """The source and the sink as one object.

    Parameters
    ----------
    source : receives messages and requests.
    sink : publishes messages.
    """

    def __init__(self, *, source: Source, sink: Sink) -> None:
        self._source = source
        self._sink = sink

    @property
    def problem(self) -> str:
        """Why no messages can be received or published, as text for users; "" if they can."""
        return self._source.problem or self._sink.problem

    def wake(self) -> None:
        """Make the pipeline's current or next `take` return at once; any thread may call this."""
        self._source.wake()

    def start(self, handle_request: HandleRequest, handle_dropped: HandleDropped) -> None:
        """Connect in the background."""
        self._sink.start()
        self._source.start(handle_request, handle_dropped)

    def stop(self, timeout: float) -> None:
        """Disconnect the sink, then the source; each may wait `timeout` seconds for confirmations."""
        self._sink.stop(timeout)
        self._source.stop(timeout)

    def reconfigure(self, settings: Settings, manifest: Manifest) -> None:
        """Use other settings and another bundle from now on."""
        self._source.reconfigure(settings, manifest)
        self._sink.reconfigure(settings)
