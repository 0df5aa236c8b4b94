"""Progress display of long tasks on the terminal."""
