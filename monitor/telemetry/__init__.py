"""Metrics and logs of the monitor itself."""
