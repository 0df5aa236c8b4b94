"""The monitoring daemon: reads sensor values over MQTT and reports which sensors are faulty."""

import os

__version__ = "0.1.0"

# ONNX Runtime 1.32 on Linux writes a machine id to ~/.cache/Microsoft, for telemetry to its vendor, unless
# this variable is set before it is imported. Calling its `disable_telemetry_events` after the import is too
# late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
