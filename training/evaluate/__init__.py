"""Evaluation of a model, and its comparison with other models."""
