"""A plant that puts columns over Zenoh, and changes single points when it is told to.

    python zenoh_plant.py '{"port": 7447, "points": 5000}'

Says `ready` when all points have a value; then each line `[point, value]` of its standard input is
put as one value, stamped now. Ends with its input. Shares no code with the mirror.
"""

from __future__ import annotations

import json
import struct
import sys
import time

import zenoh

POINTS_A_TABLE = 10_000
FLOAT64, INDEXED = 1, 2


def main() -> None:
    """Puts all points once, then what it is told."""
    asked = json.loads(sys.argv[1])
    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", json.dumps([f"tcp/127.0.0.1:{asked['port']}"]))
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("connect/timeout_ms", "60000")
    session = zenoh.open(config)
    block = zenoh.CongestionControl.BLOCK
    keep = []
    for table, start in enumerate(range(0, asked["points"], POINTS_A_TABLE)):
        n = min(POINTS_A_TABLE, asked["points"] - start)
        key = f"plant/hall{table}"
        names = [f"m{i // 100:03}/p{i % 100:02}" for i in range(n)]
        told = struct.pack("<4sIQ", b"MWN1", 0, 1) + json.dumps({"names": names}).encode()
        keep.append(session.declare_queryable(key, lambda q, k=key, t=told: q.reply(k, t)))
        session.put(key, told, congestion_control=block)
        head = struct.pack("<4sIQqII", b"MWV1", n, 1, time.time_ns(), FLOAT64, 0)
        values = struct.pack(f"<{n}d", *[0.0] * n)
        session.put(key, head + values, congestion_control=block)
    print("ready", flush=True)
    for line in sys.stdin:
        point, value = json.loads(line)
        table, index = divmod(point, POINTS_A_TABLE)
        head = struct.pack("<4sIQqII", b"MWV1", 1, 1, time.time_ns(), FLOAT64 | INDEXED, 0)
        session.put(
            f"plant/hall{table}",
            head + struct.pack("<dI", value, index),
            congestion_control=block,
        )
    session.close()


if __name__ == "__main__":
    main()
