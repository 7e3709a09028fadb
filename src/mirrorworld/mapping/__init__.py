"""Mappings: many twins named, typed, described, joined and placed at once, by patterns.

Knows patterns, what a mapping sets, and what that would change in a structure. Refuses to know
where a structure comes from, who asks, and how edits become durable.
"""
