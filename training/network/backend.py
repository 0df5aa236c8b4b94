"""Imports Keras and TensorFlow without their startup messages. The import takes a few seconds."""

from training.network.capture_stderr import capture_stderr
from training.network.tensorflow_check import require_tensorflow

require_tensorflow()
with capture_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
