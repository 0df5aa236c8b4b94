"""Readings -> verdicts. Pure: no I/O, no clock, no log, no settings."""
