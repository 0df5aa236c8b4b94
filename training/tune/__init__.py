"""Search for better settings, and compare initialisers."""
