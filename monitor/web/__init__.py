"""What the monitor shows over HTTP: /metrics, /livez, /readyz and a page for people."""
