"""How fast the monitor is, beside a bare subscriber on the same broker and the same machine.

`python -m tests.bench` measures everything and prints two tables; the test here measures a little of it.
"""
