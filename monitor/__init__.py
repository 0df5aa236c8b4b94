"""The daemon: reads sensors over MQTT and says which ones can still be believed."""

import os

__version__ = "0.1.0"

# ONNX Runtime 1.32 on Linux keeps an id of the machine in ~/.cache/Microsoft, for telemetry to its vendor,
# unless this stands in the environment before the import; its `disable_telemetry_events` comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
