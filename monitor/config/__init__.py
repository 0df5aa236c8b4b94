"""The settings of the monitor, how they are loaded, and secrets."""
