"""The commands of `sensor-training`: each module has `configure(command)` and `run(arguments)`."""
