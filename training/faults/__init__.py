"""Kinds of faults, their injection into recordings, and the search for suspicious readings."""
