"""Keep what TensorFlow and Keras say about themselves off the terminal."""

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
    """Hold stderr back, and show it only if the block fails.

    It works on the file descriptor: TensorFlow's messages come from below Python, and no setting stops them
    all. These libraries also use what NumPy has deprecated, which whoever trains can't mend.
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
