"""Description of the machine and the versions that the figures were measured with."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["describe_machine"]

_LIBRARIES = ("paho-mqtt", "onnxruntime", "numpy", "msgspec", "keras", "tensorflow")


def describe_machine() -> dict[str, str | int]:
    """Return commit, processor, cores and versions."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "commit": _command_output("git", "describe", "--always", "--dirty") or "unknown",
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "mosquitto": _command_output("mosquitto_sub", "--version").split(" ")[2],
        **{name: _library_version(name) for name in _LIBRARIES},
    }


def _library_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"  # TensorFlow isn't to be had for every Python


def _command_output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
