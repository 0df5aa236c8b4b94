"""Training on prepared windows, and writing of the bundle."""
