"""Sparkplug B: edge nodes and devices, their metrics, births and deaths.

The same client as `mqtt.py`, looking at Sparkplug's topics alone. How the namespace is read is
in `sparkplug_namespace.py`, and its payload in `sparkplug_payload.py`.
"""

from __future__ import annotations

from typing import ClassVar

from mirrorworld.connectors.mqtt import Mqtt
from mirrorworld.world.ports import ConnectorAbout, OptionAbout


class Sparkplug(Mqtt):
    """Mirrors a broker's Sparkplug B namespace."""

    schemes: ClassVar[tuple[str, ...]] = ("sparkplug", "sparkplugs")
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "Sparkplug B",
        "sparkplug://broker.plant:1883",
        "Edge nodes and devices by their births. With TLS: sparkplugs://",
        (
            OptionAbout("topics", "Topics", hint="As spBv1.0/Group/#; empty: all groups."),
            OptionAbout("rebirth", "Ask for births that were missed", "boolean", True),
            OptionAbout(
                "folders",
                "Folders are things",
                "boolean",
                False,
                hint="F1/R3/Temperature: point Temperature of a thing R3 in F1.",
            ),
        ),
    )
    default_topics: ClassVar[str] = "spBv1.0/#"
