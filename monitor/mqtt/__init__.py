"""The only package that imports paho: one client's session with the broker."""

from monitor.mqtt.session import Session

__all__ = ["Session"]
