"""Run `sensor-training` as `python -m training`."""

from training.cli.main import main

main()
