"""Contracts of the ports, fakes beside the real things, and tools for plants under test."""
