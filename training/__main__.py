"""`python -m training` is `sensor-training`."""

from training.cli import main

main()
