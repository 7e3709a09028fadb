"""A plant of `bench edge`: puts columns over Zenoh at a steady pace, in a process of its own."""

from __future__ import annotations

import json
import struct
import sys
import time

import numpy as np
import zenoh


def main(locator: str, points: int, rate_hz: float) -> None:
    """Puts until its standard input ends."""
    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", json.dumps([locator]))
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("connect/timeout_ms", "60000")
    rng = np.random.default_rng(1)
    told = json.dumps({"names": [f"p{i}" for i in range(points)]}).encode()
    names = struct.pack("<4sIQ", b"MWN1", 0, 1) + told
    with zenoh.open(config) as session:
        block = zenoh.CongestionControl.BLOCK
        session.declare_queryable("hall", lambda query: query.reply("hall", names))
        value = rng.normal(20, 1, points)
        at = time.monotonic()
        while True:
            value += rng.normal(0, 0.01, points)
            now_ns = time.time_ns()
            head = struct.pack("<4sIQqII", b"MWV1", points, 1, now_ns, 0, 0)
            payload = head + value.astype(np.float32).tobytes()
            session.put("hall", payload, congestion_control=block)
            at += 1 / rate_hz
            time.sleep(max(0.0, at - time.monotonic()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
