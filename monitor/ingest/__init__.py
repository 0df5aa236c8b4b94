"""Messages -> readings. Pure: no I/O, no clock, no log, no settings."""
