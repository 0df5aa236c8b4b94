"""Tries a model in a process of its own, before this process loads it.

A model from elsewhere may take all memory, never end, or crash ONNX Runtime. There it does so without the
monitor: the process has bounds on memory and time, and the first to be killed where memory is scarce.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from signal import Signals

import msgspec

from monitor.core.errors import BundleError
from monitor.core.python_process import python_command

__all__ = ["TrialLimits", "TrialTask", "spare_process", "try_model"]


class TrialLimits(msgspec.Struct, frozen=True):
    """What a model may take until it has scored its first windows.

    Python and ONNX Runtime take 0.2 GiB of address space and 0.1 s; on a small single-board computer 4 s.
    """

    address_space: int = 1 << 29
    """Bytes. Half of what the systemd unit allows: a trial runs beside a monitor."""
    cpu_s: int = 10
    """Seconds of a processor."""
    deadline_s: float = 30.0
    """Seconds."""
    batch_s: float = 1.0
    """Seconds of a processor for the largest number of windows that are scored at once; 2 ms is usual."""


class TrialTask(msgspec.Struct, frozen=True):
    """What the process is told, in a line of JSON; the model's bytes follow."""

    steps: int
    width: int
    """Features of the model's input."""
    limits: TrialLimits


_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each thread reserves address space

_spares: list["subprocess.Popen[bytes]"] = []
# Digests of what was tried and loaded: a reload of the same model needs no other trial.
_passed: set[bytes] = set()
_MAX_PASSED = 100


def try_model(model: bytes, steps: int, width: int, limits: TrialLimits | None = None) -> None:
    """Check a model's graph, load it and score windows with it, in another process.

    Parameters
    ----------
    model : content of the ONNX file.
    steps, width : shape of a window.
    limits : None: the default ones.

    Raises
    ------
    BundleError : the model can't be loaded, or takes too much for that.
    """
    limits = limits or TrialLimits()
    task = msgspec.json.encode(TrialTask(steps, width, limits)) + b"\n" + model
    digest = hashlib.sha256(task).digest()
    if digest in _passed:
        return
    process = _spares.pop() if _spares else _start()
    try:
        answer, _ = process.communicate(task, limits.deadline_s)
    except subprocess.TimeoutExpired:
        raise BundleError(
            f"model.onnx: is not loaded within {limits.deadline_s:g} s, expected a model that ends"
        ) from None
    finally:
        _end(process)
    if process.returncode < 0 or not answer:
        raise BundleError(f"model.onnx: can't be loaded: {_describe_end(process.returncode, limits)}")
    if answer != b"ok":
        raise BundleError(answer.decode(errors="replace"))
    if len(_passed) >= _MAX_PASSED:
        _passed.clear()
    _passed.add(digest)


@contextmanager
def spare_process() -> Iterator[None]:
    """Start the process ahead, for the next trial, while this process imports what it needs itself."""
    process = _start()
    _spares.append(process)
    try:
        yield
    finally:
        if process in _spares:
            _spares.remove(process)
            _end(process)


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603, a module of ours
        python_command("monitor.bundle.trial_process"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",  # a model must find no files
        env={**os.environ, **_ENVIRONMENT},
        start_new_session=True,  # Ctrl-C is for the command, which ends the process
    )


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
    with process:
        process.wait()


def _describe_end(code: int, limits: TrialLimits) -> str:
    if code == -Signals.SIGXCPU:
        return f"it takes more than {limits.cpu_s} s, expected a model that ends"
    reason = f"by {Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return (
        f"the process that tried it ended {reason}; it may take {limits.address_space >> 20:,} MiB of memory"
    )
