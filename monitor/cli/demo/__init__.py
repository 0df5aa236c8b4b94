"""`sensor-monitor demo`: broker, replayed plant and daemon in one process, and a score card at the end."""
