"""The demo world: a bottling line with utilities, its plant a process of its own.

`plant.py` starts the plant, `world.py` says what the mirror makes of it, `geometry.py` draws it.
"""
