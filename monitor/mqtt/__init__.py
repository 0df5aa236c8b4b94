"""MQTT: a client's session with the broker. The only package that imports paho."""

from monitor.mqtt.session import Session
from monitor.mqtt.session_options import SessionOptions

__all__ = ["Session", "SessionOptions"]
