"""The worlds that come with Mirrorworld; installed as the package `mirrorworld_worlds`.

One folder per world: what it mirrors, its plant as a process of its own, its
test. `python -m mirrorworld_worlds.<world>.plant` starts a plant alone.
"""
