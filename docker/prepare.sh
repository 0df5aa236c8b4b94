#!/bin/sh
# Makes the data of the stack in the current folder (/data): a bundle, unless there is one, and a recording of 24 h
# with faults, whose time continues the plant's from now on.
set -eu
if [ ! -e bundle/SHA256SUMS ]; then
  sensor-training simulate --out healthy.csv --hours 6
  sensor-training inject healthy.csv --out training.csv
  sensor-training fit --recording training.csv --bundle bundle --epochs 8 --batch-size 256 --learning-rate 0.002
fi
# Training has seen the plant's first 6 hours; the recording to replay comes after them.
sensor-training simulate --out later.csv --from-hour 6 --hours 24 --start "$(date -u -d '6 hours ago' +%Y-%m-%dT%H:%M:%SZ)"
sensor-training inject later.csv --out plant.csv --rate 0.05 --seed 1
