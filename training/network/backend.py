"""Keras and TensorFlow, imported without what they say about the machine. Takes some seconds."""

from training.network.suppress_stderr import quiet

with quiet():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
