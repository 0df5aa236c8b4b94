"""`sensor-monitor backtest`: what the daemon would have said of a recording."""
