"""Recordings and windows: reading, simulating, cutting, splitting, cleaning and scaling."""
