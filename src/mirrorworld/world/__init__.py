"""The kernel: a world is an ordered log of changes, and its state the sum of them.

Knows no socket, no file, no wall clock, no randomness and no 3D; times and seeds are
arguments. Needs numpy; the loops in `compiled.py` use numba where it is installed.
"""
