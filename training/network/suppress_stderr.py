"""Keep what TensorFlow and Keras say about themselves off the terminal."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

__all__ = ["quiet"]

_STDERR = 2
_THEIRS = r"(keras|tensorflow|onnx)\."


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold stderr back, and show it only if the block fails.

    It works on the file descriptor: TensorFlow's messages come from below Python, and no setting stops them
    all. These libraries also use what NumPy has deprecated, which whoever trains can't mend.
    """
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        for category in (DeprecationWarning, FutureWarning):
            warnings.filterwarnings("ignore", category=category, module=_THEIRS)
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        except Exception:
            sys.stderr.flush()
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, _STDERR)
            os.close(kept)
