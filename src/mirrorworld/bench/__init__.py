"""Measured figures, never asserted in tests: machines differ and are noisy.

Each module measures one thing with `run(**options) -> dict`; peers that it is compared with run
in the same call. CPU time is what counts; wall time is said where it is meant.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any, Final

BENCHES: Final = (
    "state",
    "record",
    "query",
    "opcua",
    "mqtt",
    "modbus",
    "mtconnect",
    "revoke",
    "rules",
    "edge",
    "scrub",
    "changes",
    "memory",
    "city",
    "sparkplug",
    "durable",
    "thingsboard",
    "kill",
    "soak",
    "branch",
    "flow",
    "sweep",
    "gradient",
    "exact",
    "factory",
    "room",
    "voice",
    "scene",
    "coedit",
)


def run(name: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Runs one bench; its figures, with what they were measured on under `machine`.

    Raises:
        ValueError: there is no such bench, or it has no such option.
    """
    if name not in BENCHES:
        raise ValueError(f"no bench '{name}'; there are {', '.join(BENCHES)} and all")
    module = importlib.import_module(f"mirrorworld.bench.{name}")
    try:
        figures: dict[str, Any] = module.run(**(options or {}))
    except TypeError as error:
        raise ValueError(f"bench {name}: {error}") from error
    return {"bench": name, **figures, "machine": machine()}


def machine() -> dict[str, Any]:
    """What a figure was measured on."""
    return {
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "system": sys.platform,
    }
