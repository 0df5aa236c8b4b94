"""Prepared windows -> bundle."""
