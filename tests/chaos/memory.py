"""Memory of a process, read from /proc."""

from pathlib import Path

__all__ = ["resident_mb"]


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0
