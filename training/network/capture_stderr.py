"""Capture the messages that TensorFlow, Keras and ONNX write to stderr."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

__all__ = ["capture_stderr"]

_STDERR_FD = 2
_LIBRARY_MODULES = r"(keras|tensorflow|onnx)\."


@contextlib.contextmanager
def capture_stderr() -> Iterator[None]:
    """Capture stderr, and print the captured text only if the block raises an `Exception` (not on Ctrl-C).

    The file descriptor is redirected, because TensorFlow writes its messages from C++ and no setting stops
    all of them. Deprecation warnings of TensorFlow, Keras and ONNX are ignored too, because users cannot do
    anything about them.
    """
    sys.stderr.flush()
    original_fd = os.dup(_STDERR_FD)
    with tempfile.TemporaryFile() as captured, warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=_LIBRARY_MODULES)
        os.dup2(captured.fileno(), _STDERR_FD)
        try:
            yield
        except Exception:
            sys.stderr.flush()
            captured.seek(0)
            os.write(original_fd, captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original_fd, _STDERR_FD)
            os.close(original_fd)
