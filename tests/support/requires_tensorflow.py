"""Skips the test module that imports this, where TensorFlow isn't installed, with its reason.

For modules that import Keras themselves. Where single tests train, `pytest.mark.tensorflow` is enough.
"""

from importlib.util import find_spec

from tests.conftest import WITHOUT_TENSORFLOW, skip_or_fail

__tracebackhide__ = True  # so that pytest's summary names the module that was skipped, not this one

if find_spec("tensorflow") is None:
    skip_or_fail("tensorflow", WITHOUT_TENSORFLOW)
