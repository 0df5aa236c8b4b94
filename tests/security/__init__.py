"""Attacks on a monitor at work."""
