"""`sensor-monitor backtest`: the verdicts and alerts that the daemon would have produced for a recording."""
