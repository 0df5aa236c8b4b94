"""Hide the messages that TensorFlow and Keras write to stderr."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

__all__ = ["suppress_stderr"]

_STDERR_FD = 2
_LIBRARY_MODULES = r"(keras|tensorflow|onnx)\."


@contextlib.contextmanager
def suppress_stderr() -> Iterator[None]:
    """Capture stderr, and write it only if the block raises an exception.

    The file descriptor is redirected, because TensorFlow writes its messages from C++ and no setting stops
    all of them. Deprecation warnings of these libraries are ignored too: users cannot do anything about them.
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
