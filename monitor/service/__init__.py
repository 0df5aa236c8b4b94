"""The daemon: building its parts, their life, and the loop that judges."""
