"""Distributions of a line's times from what was measured: fitted, judged, validated, watched.

`record.py` makes columns of samples from a record, `choosing.py` a distribution from samples,
`validation.py` compares a model with what it was not fitted on, `drift.py` says when it ages.
"""
