"""Recordings, windows, and what is made of them before training."""
