"""Recordings: files with one reading, or one value of a feature, per row."""
