"""The only package that imports paho: one client's session with the broker."""

from monitor.mqtt.session import Session
from monitor.mqtt.session_options import SessionOptions

__all__ = ["Session", "SessionOptions"]
