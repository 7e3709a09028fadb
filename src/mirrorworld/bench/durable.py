"""Sparkplug B through mosquitto at QoS 1: each message acknowledged after the fsync that holds it.

The same as the first half of the `mqtt` bench, alone.
"""

from __future__ import annotations

from typing import Any

from mirrorworld.bench import mqtt


def run(
    publishers: int = 2, points_per_message: int = 300, messages: int = 8_000, repeats: int = 1
) -> dict[str, Any]:
    """Figures: `points_per_s`, `points_per_cpu_s`, `lost`.

    Args:
        messages: how many each publisher publishes.
        repeats: how often it is measured; the best is reported.

    Raises:
        RuntimeError: there is no mosquitto here.
    """
    return mqtt.sparkplug(publishers, points_per_message, messages, repeats, qos=1)
