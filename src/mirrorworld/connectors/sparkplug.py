"""Sparkplug B: edge nodes and devices, their metrics, births and deaths.

The same client as `mqtt.py`, looking at Sparkplug's topics alone. How the namespace is read is
in `sparkplug_namespace.py`, and its payload in `sparkplug_payload.py`.
"""

from __future__ import annotations

from typing import ClassVar

from mirrorworld.connectors.mqtt import Mqtt


class Sparkplug(Mqtt):
    """Mirrors a broker's Sparkplug B namespace."""

    schemes: ClassVar[tuple[str, ...]] = ("sparkplug", "sparkplugs")
    default_topics: ClassVar[str] = "spBv1.0/#"
