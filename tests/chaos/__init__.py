"""Fault injection: a real monitor and broker are disturbed, and every reading and alert is accounted for.

`python -m tests.chaos` runs all scenarios at full length and prints a table; the tests in this folder run
about a hundredth of each.
"""
