"""Recordings: files with one reading per row."""
