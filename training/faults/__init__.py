"""Kinds of faults, faults injected into recordings, and what looks like one."""
