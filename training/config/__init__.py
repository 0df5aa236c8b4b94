"""The settings of training, and how they are loaded."""
