"""What outlives the process: the SQLite store and the outbox in it."""
