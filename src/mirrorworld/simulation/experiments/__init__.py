"""Experiments: what comes of many designs, which factors matter, and which design is best.

Knows a design only as named numbers and words, and its evaluation only as something that can be
called; which engine answers is not its business.
"""
