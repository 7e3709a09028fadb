"""A recording for a new world to begin with: an hour of a pump room, worked out, not measured.

Two pumps fill a tank by turns; the demand of a morning empties it. The tank's level follows its
mass balance, a pump's pressure the height that it lifts to and the friction of its pipe, its power
the hydraulic power over its efficiency.
"""

from __future__ import annotations

import datetime
import math
import random
from typing import Final

STEP_S: Final = 10
STEPS: Final = 360
TANK_AREA_M2: Final = 3.0
LEVEL_LOW_M: Final = 2.2
LEVEL_HIGH_M: Final = 3.6
FLOW_M3_H: Final = 42.0
HEAD_STATIC_M: Final = 18.0
FRICTION: Final = 0.0045
"""Head lost in the pipe, in metres for a squared m3/h."""
EFFICIENCY: Final = (0.68, 0.61)
"""The second pump is more worn than the first."""
G: Final = 9.81


def recordings(start: datetime.datetime, seed: int = 7) -> dict[str, str]:
    """The hour that begins at `start` as CSV by machine, with a row every ten seconds."""
    chance = random.Random(seed)
    level_m, duty, is_on = 2.8, 0, False
    tank = ["time,level [m]"]
    pumps = [["time,running,flow [m3/h],pressure [bar],power [kW]"] for _ in EFFICIENCY]
    for step in range(STEPS):
        time = (start + datetime.timedelta(seconds=step * STEP_S)).isoformat()
        if is_on and level_m >= LEVEL_HIGH_M:
            is_on, duty = False, (duty + 1) % len(pumps)
        elif not is_on and level_m <= LEVEL_LOW_M:
            is_on = True
        demand_m3_h = 24 + 9 * math.sin(step / 55) + chance.gauss(0, 1.5)
        inflow_m3_h = 0.0
        for n, rows in enumerate(pumps):
            runs = is_on and n == duty
            flow = max(0.0, FLOW_M3_H + chance.gauss(0, 0.4)) if runs else 0.0
            head_m = level_m + (HEAD_STATIC_M + FRICTION * flow**2 if runs else 0.0)
            power_kw = flow / 3600 * G * head_m / EFFICIENCY[n]
            inflow_m3_h += flow
            bar = head_m * G / 100
            rows.append(f"{time},{str(runs).lower()},{flow:.2f},{bar:.3f},{power_kw:.3f}")
        tank.append(f"{time},{level_m:.3f}")
        level_m += (inflow_m3_h - demand_m3_h) / 3600 * STEP_S / TANK_AREA_M2
    found = {"tank": tank, **{f"pump{n + 1}": rows for n, rows in enumerate(pumps)}}
    return {name: "\n".join(rows) + "\n" for name, rows in found.items()}
