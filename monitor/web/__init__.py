"""HTTP: /metrics, /livez, /readyz and the live page."""
