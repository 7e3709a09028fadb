"""Formats: world <-> file of a standard, each with a report of what could not be carried."""
