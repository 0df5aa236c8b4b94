"""What a terminal shows of long work."""
