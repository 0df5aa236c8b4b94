"""Trains the model and writes the bundle that the monitor loads."""
