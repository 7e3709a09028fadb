"""Functional mock-up units (FMI 2.0 and 3.0, co-simulation) as models of a world.

A unit is native code. It is described without being loaded (`description.py`), runs only when its
owner has allowed exactly these bytes (`allowed.py`), and only in a process of its own
(`process.py`, `worker.py`) that may crash, hang or lie without harm to the rest. Several are
coupled by a master (`coupling.py`, `master.py`) that checks units and conservation.
"""
