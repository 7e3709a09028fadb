"""Sparkplug B through mosquitto at QoS 0: what a broker and this twin can carry, without PUBACK.

The pipeline of the `mqtt` bench; the record is on disk and committed, but nobody waits for it.
"""

from __future__ import annotations

from typing import Any

from mirrorworld.bench import mqtt


def run(
    publishers: int = 2, points_per_message: int = 300, messages: int = 12_000, repeats: int = 1
) -> dict[str, Any]:
    """Figures: `points_per_s`, `points_per_cpu_s`, `lost`.

    Args:
        messages: how many each publisher publishes.
        repeats: how often it is measured; the best is reported.

    Raises:
        RuntimeError: there is no mosquitto here.
    """
    return mqtt.sparkplug(publishers, points_per_message, messages, repeats, qos=0)
