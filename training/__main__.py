"""`python -m training` is `sensor-training`."""

from training.cli.main import main

main()
