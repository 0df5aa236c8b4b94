"""Records with their units, errors, topics and times: imports nothing else of the monitor."""
