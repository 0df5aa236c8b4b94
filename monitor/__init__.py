"""The daemon: reads sensors over MQTT and says which ones can still be believed."""

__version__ = "0.1.0"
