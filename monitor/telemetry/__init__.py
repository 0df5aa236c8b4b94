"""What is told of the monitor itself: metrics and logs."""
