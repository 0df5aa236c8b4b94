"""A mosquitto that persists its sessions across a clean stop and can be killed."""

from pathlib import Path

from tests.conftest import TIMEOUT_S, Mosquitto

__all__ = ["Broker"]


class Broker(Mosquitto):
    """Mosquitto with persistence, and without limits that would drop acknowledged messages.

    Parameters
    ----------
    folder : where its configuration file and its persistence file are written.
    config_lines : further lines of its configuration file.
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
        """Send SIGKILL, so that the broker can't save anything."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(TIMEOUT_S)
