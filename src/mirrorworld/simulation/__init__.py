"""Simulation: models that keep their own clock and say what would be.

Knows the kernel and its own third-party libraries; refuses to know sockets, records and plants.
"""
