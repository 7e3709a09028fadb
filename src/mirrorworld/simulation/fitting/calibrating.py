"""What a line loses that none of its machines shows: slow starts, and line control that lets
machines creep while a neighbour is short of parts or room.

A machine's fitted pace is what it does when nothing holds it back. If a line of such machines,
with the stops of a period, makes more than was made in that very period, then the rest was lost by
speed (ISO 22400-2 calls the share that is left the performance rate). One share for the whole line
takes it back: which machine lost it cannot be told from speeds alone, since each follows its
neighbours.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mirrorworld.simulation.fitting.line import LineFit, throughput_per_s
from mirrorworld.simulation.flow import engines
from mirrorworld.simulation.flow.from_world import from_world
from mirrorworld.simulation.flow.model import FlowError
from mirrorworld.world.world import World

WARM_UP_S: Final = 1_800.0
LONGEST_S: Final = 24 * 3_600.0
LEAST: Final = 0.7
"""A share below this is no slow start: something else is missing in the model."""
NOTHING: Final = 0.005
"""A smaller loss is left alone."""
_ROUNDS: Final = 5


def calibrate(world: World, fitted: LineFit, *, replications: int = 24, seed: int = 0) -> None:
    """Sets `fitted.flow.pace` so that the line makes what was made in the period of the fit.

    Nothing is set where the line makes no more than was measured, where single cycles were measured
    on every machine, and where more than 1 - LEAST would have to be lost; the last is noted.
    """
    measured = throughput_per_s(world, fitted.machines)
    if not measured or all(one.cycles is not None for one in fitted.machines.values()):
        return
    flow, period = fitted.flow, fitted.flow.period
    assert period is not None
    length_s = (period.end_ns - period.start_ns) / 1e9 * period.clock_rate
    horizon_s = WARM_UP_S + min(max(length_s, 4 * WARM_UP_S), LONGEST_S)
    pace = 1.0
    for _ in range(_ROUNDS):
        flow.pace = pace
        try:
            model = from_world(world, None, flow).model
        except FlowError:
            break  # whoever runs the line is told what it lacks
        runs = engines.run(
            model, seed=seed, replications=replications, horizon_s=horizon_s, warm_up_s=WARM_UP_S
        )
        predicted = float(np.mean(runs.throughput_per_s))
        if not predicted > 0:
            break
        better = pace * measured / predicted
        if abs(better - pace) < NOTHING / 5:
            break
        pace = better
        if not LEAST <= pace <= 1.0:
            break
    flow.pace = pace if LEAST <= pace <= 1.0 - NOTHING else None
    if pace < LEAST:
        note = f"the line makes {1 / pace:.2f} times what was measured: something holds it back"
        fitted.notes += (("", f"{note} that is no stop and no slow start"),)
