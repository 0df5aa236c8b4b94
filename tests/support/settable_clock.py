"""`python -m tests.support.settable_clock FILE run ...`: the monitor with a wall clock that a test sets."""

import mmap
import struct
import sys
import time
from pathlib import Path

__all__ = ["SettableClock"]

_OFFSET = struct.Struct("<d")


class SettableClock:
    """The wall clock of a monitor process. It is this machine's until it is set.

    Parameters
    ----------
    file : to create; the process reads from it how far its clock is off.
    """

    def __init__(self, file: Path) -> None:
        file.write_bytes(_OFFSET.pack(0.0))
        with file.open("r+b") as opened:
            self._shared_bytes = mmap.mmap(opened.fileno(), _OFFSET.size)
        self.command = (sys.executable, "-m", "tests.support.settable_clock", str(file))
        """Command that starts the monitor with this clock; takes the monitor's arguments."""

    def set(self, offset: float) -> None:
        """Set the clock to `offset` seconds ahead of this machine's, in all processes that have it."""
        self._shared_bytes[:] = _OFFSET.pack(offset)

    def time(self) -> float:
        """Return the time by this clock, seconds since the Unix epoch."""
        return time.time() + float(_OFFSET.unpack(self._shared_bytes[:])[0])


def _run_monitor(file: Path) -> int:
    with file.open("rb") as opened:
        shared_bytes = mmap.mmap(opened.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)
    machine_time, unpack = time.time, _OFFSET.unpack_from
    time.time = lambda: machine_time() + float(unpack(shared_bytes)[0])
    # Imported with the clock in place: `time.time` is the default of many parameters.
    from monitor.cli.main import main  # noqa: PLC0415

    return main(sys.argv[1:])


if __name__ == "__main__":
    clock_file = Path(sys.argv.pop(1))
    sys.exit(_run_monitor(clock_file))
