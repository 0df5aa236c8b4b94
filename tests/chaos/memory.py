"""Memory of a process, read from /proc."""

from pathlib import Path

__all__ = ["peak_mb", "resident_mb"]


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MiB."""
    return _read_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the most resident memory that a process ever had, in MiB."""
    return _read_mb(pid, "VmHWM")


def _read_mb(pid: int, name: str) -> float:
    """Return a field of a process's status in MiB; 0 of one that has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0
