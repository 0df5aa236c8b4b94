"""Measure how good a model is, alone and in comparison with other models."""
