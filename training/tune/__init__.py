"""Hyperparameter search, and comparison of weight initialisers."""
