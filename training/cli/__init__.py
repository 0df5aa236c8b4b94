"""The commands of `sensor-training`: what each takes, `configure(command)`, and does, `run(arguments)`."""
