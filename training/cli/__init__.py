"""The commands of `sensor-training`.

The module of each command has `configure(command)`, which adds its arguments, and `run(arguments)`.
"""
