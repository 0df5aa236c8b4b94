"""Keras and TensorFlow, imported without their messages about the machine. The import takes some seconds."""

from training.network.suppress_stderr import suppress_stderr

with suppress_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
