"""The whole plant in one process: embedded broker, replayed recording, the daemon itself, a score card."""
