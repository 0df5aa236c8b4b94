"""Recordings and windows: input, simulation, windowing, splitting, cleaning and scaling."""
