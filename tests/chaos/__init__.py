"""Faults done to a real monitor and a real broker, and what came of every reading and every alert.

`python -m tests.chaos` does them at full length and prints a table; the tests here do a hundredth of it.
"""
