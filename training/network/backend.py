"""Keras and TensorFlow, imported without their messages about the machine. The import takes some seconds."""

from training.network.suppress_stderr import suppress_stderr
from training.network.tensorflow_check import require_tensorflow

require_tensorflow()
with suppress_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
