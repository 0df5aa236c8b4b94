"""Train on prepared windows and write the bundle."""
