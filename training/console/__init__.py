"""Progress of long tasks on a terminal."""
