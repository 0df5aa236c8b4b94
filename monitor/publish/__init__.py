"""What is published for others: alert events, states, births, Home Assistant."""
