"""Recordings: files with one reading a row."""
