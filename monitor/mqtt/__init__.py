"""MQTT: a client's session with the broker. The only package that imports paho."""

from monitor.mqtt.session import Session

__all__ = ["Session"]
