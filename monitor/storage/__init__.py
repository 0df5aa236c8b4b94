"""Persistence: the SQLite store and the outbox in it."""
