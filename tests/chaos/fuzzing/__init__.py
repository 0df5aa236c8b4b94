"""Fuzzers: for each way into the monitor a target, called by atheris with inputs that reach new branches."""
