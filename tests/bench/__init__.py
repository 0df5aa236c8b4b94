"""Benchmarks of the monitor, compared with a bare paho subscriber on the same broker and machine.

`python -m tests.bench` runs all of them and prints two tables; the test in this folder runs a few at a small
scale.
"""
