"""Keras and TensorFlow, imported without what they say about the machine. Takes some seconds."""

from training.network.suppress_stderr import suppress_stderr

with suppress_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
