"""Pictures of experiments as SVG: one file for each kind, on the axes of `axes.py`.

Each is one file without script and without anything fetched, with a title and a description for
those who do not see it, and readable on a light and a dark ground.
"""
