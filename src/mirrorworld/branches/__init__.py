"""Branches: other futures of a world, which people change, run, compare and make real.

Each is a fork of the world at a position, a log of its own, and a process for each of its runs.
The kernel forks (`World.branch`); here is what makes that last, and what people do with it.
Nothing here writes to a plant, except a plan that somebody approved, by the command road.
"""

from __future__ import annotations
