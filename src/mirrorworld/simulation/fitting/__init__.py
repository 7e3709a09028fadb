"""Distributions of a line's times from what was measured: fitted, judged, validated, watched.

`signals.py` makes columns from a record, `machine.py` and `line.py` say what was done in them,
`choosing.py` finds a distribution for samples, `calibrating.py` what the whole line loses by speed,
`validation.py` compares a model with what it was not fitted on, `drift.py` says when it ages, and
`checking.py` does both for a period.
"""
