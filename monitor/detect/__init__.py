"""Readings -> verdicts. The package does no I/O and no logging, and reads neither clock nor settings."""
