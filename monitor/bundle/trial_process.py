"""The process in which a model is tried: `try_model` starts it, sends a task and reads one line."""

import os
import resource
import sys
import time
from contextlib import suppress

import msgspec
import numpy as np

from monitor.bundle.graph import check_graph
from monitor.bundle.model import MAX_WINDOWS_PER_CALL, Classifier
from monitor.bundle.trial import TrialLimits, TrialTask
from monitor.core.errors import BundleError

__all__ = ["main"]

_MOST_KILLABLE = "1000"
_NICE = 10


def main() -> None:
    """Try the model that comes on stdin; write "ok", or what is wrong with it, to stdout."""
    import onnxruntime  # noqa: F401, PLC0415 - ahead of the task, which comes later

    task_json, _, model = sys.stdin.buffer.read().partition(b"\n")
    if not task_json:
        return  # nobody needs the process
    task = msgspec.json.decode(task_json, type=TrialTask)
    _limit_resources(task.limits)
    try:
        _try(model, task)
        answer = "ok"
    except BundleError as error:
        answer = str(error)
    except Exception as error:  # noqa: BLE001, ONNX Runtime's exceptions have no common base class
        answer = f"model.onnx: can't score windows: {error}"
    sys.stdout.buffer.write(answer.encode())
    sys.stdout.flush()
    os._exit(0)  # without destructors, which might hang


def _try(model: bytes, task: TrialTask) -> None:
    check_graph(model)
    classifier = Classifier(model, task.steps, task.width)
    for count in (1, MAX_WINDOWS_PER_CALL):
        started_at = time.process_time()
        windows = np.zeros((count, task.steps, task.width), np.float32)
        scores = classifier.score(windows)
        elapsed_s = time.process_time() - started_at
        if len(scores) != count:
            raise BundleError(f"model.onnx: gives {len(scores)} scores for {count} windows")
        if elapsed_s > task.limits.batch_s:
            raise BundleError(
                f"model.onnx: takes {elapsed_s:.1f} s for {count} windows, "
                f"expected at most {task.limits.batch_s:g} s"
            )


def _limit_resources(limits: TrialLimits) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, limits.address_space),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with suppress(OSError, ValueError):  # forbidden; the deadline holds all the same
            resource.setrlimit(kind, (bound, hard))
    with suppress(OSError):  # the systemd unit forbids it
        os.nice(_NICE)  # on a machine with one processor, a monitor that reloads goes on judging
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write(_MOST_KILLABLE)


if __name__ == "__main__":
    main()
