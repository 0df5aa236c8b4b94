"""The settings, how they are read, and secrets."""
