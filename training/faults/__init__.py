"""Fault kinds, injection of faults into recordings, and detection of suspicious readings."""
