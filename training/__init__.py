"""Makes the bundle that the monitor loads: recordings, faults, network, export."""
