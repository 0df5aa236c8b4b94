"""What the monitor publishes: alert events, states, births, Home Assistant's discovery messages."""
