"""A broker that keeps its promises across a clean stop, and can be killed."""

from pathlib import Path

from tests.conftest import TIMEOUT_S, Mosquitto

__all__ = ["Broker"]


class Broker(Mosquitto):
    """Mosquitto as the README asks for it: persistent, and without limits that drop what it confirmed.

    Parameters
    ----------
    folder : for its configuration and its store.
    config_lines : further lines of its configuration.
    """

    def __init__(self, folder: Path, *config_lines: str) -> None:
        super().__init__(
            folder,
            "allow_anonymous true",
            "max_queued_messages 0",
            "max_inflight_messages 0",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "sys_interval 1",
            *config_lines,
        )

    def kill(self) -> None:
        """End it without a chance to save anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(TIMEOUT_S)
