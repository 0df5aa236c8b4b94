"""Imports Keras and TensorFlow without their startup messages. The import takes a few seconds."""

from training.network.capture_stderr import capture_stderr

with capture_stderr():
    import keras
    import tensorflow as tf

__all__ = ["keras", "tf"]
