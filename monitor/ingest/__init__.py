"""Messages -> readings. Pure: does no I/O and no logging, reads neither clock nor settings."""
