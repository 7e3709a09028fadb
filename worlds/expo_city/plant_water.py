"""The waterworks as a process: `python -m mirrorworld_worlds.expo_city.plant_water`.

It solves the network by EPANET and serves gauges, meters, valves, pump and tank over OPC UA. Its
inner truth stays in here, a leak's place above all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from .mains import Network, plan
from .opcua_tables import TableServer, Thing, Variable
from .options import clock_of, parser, run, site_of
from .site import QUARTERS
from .water import Water, draw_leak

NAMESPACE: Final = "urn:example:expo:water"
BAR_M: Final = 0.0980665
"""Bar of a metre of water."""


def things(network: Network, water: Water | None = None) -> list[Thing]:
    """What the server shows; without a plant nothing of it can be written."""

    def valve(pipe: int) -> Callable[[float], None] | None:
        if water is None:
            return None
        is_open = water.valve_open
        return lambda percent: is_open.__setitem__(pipe, percent >= 50.0)

    def speed(percent: float) -> None:
        assert water is not None
        water.pump_speed = percent / 100.0

    found = [
        Thing(
            "Works", "Pump",
            (
                Variable("Speed", "%", 60.0, 115.0, 0.0, speed if water else None),
                Variable("Flow", "L/s", 0.0, 200.0, 0.05),
                Variable("Power", "kW", 0.0, 200.0, 0.1),
            ),
        ),
        Thing(
            "Works", "Tank",
            (
                Variable("Level", "m", 0.0, 8.0, 0.003),
                Variable("Inflow", "L/s", -200.0, 200.0, 0.05),
                Variable("Volume", "m3", 0.0, 2000.0, 0.5),
            ),
        ),
    ]  # fmt: skip
    for english, _ in QUARTERS:
        irrigation = (Variable("Flow", "L/s", 0.0, 20.0, 0.02),)
        found.append(Thing("Irrigation", f"Irrigation-{english}", irrigation))
    for i in network.gauges.tolist():
        junction = network.junctions[i]
        gauge = (Variable("Pressure", "bar", 0.0, 10.0, 0.002),)
        found.append(Thing(zone_folder(junction.zone), junction.id, gauge))
    for i in network.meters.tolist():
        pipe = network.pipes[i]
        variables = [Variable("Flow", "L/s", -100.0, 100.0, 0.03)]
        if pipe.has_valve:
            variables.append(Variable("Valve", "%", 0.0, 100.0, 0.0, valve(i)))
        found.append(Thing(zone_folder(pipe.zone), pipe.id, tuple(variables)))
    return found


def zone_folder(zone: int) -> str:
    """The folder of a neighbourhood: `Zone-Mill-outer`."""
    return f"Zone-{QUARTERS[zone // 2][0]}-{('inner', 'outer')[zone % 2]}"


class WaterPart:
    """Network and server."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._clock = clock_of(options)
        self._site = site_of(options.buildings, options.points)
        self._network = plan(self._site)
        self._water = Water(self._site, self._network, options.seed, self._clock.day_s(0.0))
        if options.leak_after > 0.0:
            begins_s = self._clock.day_s(options.leak_after)
            self._water.leaks.append(draw_leak(self._network, options.leak_seed, begins_s))
        self._server = TableServer(
            "water", NAMESPACE, options.host, options.opcua_port, things(self._network, self._water)
        )

    async def start(self) -> dict[str, object]:
        await self._server.start()
        return {"opcua": self._server.url, "points": self._server.n_points}

    async def tick(self, elapsed_s: float) -> None:
        self._water.advance(self._clock.day_s(elapsed_s))
        self._water.control()
        await self._server.report(self._values(), self._clock.stamp_ns(elapsed_s))

    def _values(self) -> np.ndarray:
        read, water = self._water.read(), self._water
        power = 9.81 * read.pump_l_s * 45.0 / 0.72 / 1000.0 * read.pump_speed**2
        volume = read.tank_level_m * 153.94
        out = [100.0 * read.pump_speed, read.pump_l_s, power, read.tank_level_m, read.tank_l_s]
        out += [volume, *read.irrigation_l_s, *(read.pressure_m * BAR_M)]
        for row, pipe in enumerate(self._network.meters.tolist()):
            out.append(float(read.flow_l_s[row]))
            if self._network.pipes[pipe].has_valve:
                out.append(100.0 if water.valve_open[pipe] else 0.0)
        return np.array(out)

    async def stop(self) -> None:
        await self._server.stop()
        self._water.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the waterworks until they are told to stop; returns the exit status."""
    options_of = parser(__doc__)
    options_of.add_argument("--opcua-port", type=int, required=True)
    options_of.add_argument("--leak-after", type=float, default=0.0, help="plant seconds; 0: none")
    options_of.add_argument("--leak-seed", type=int, default=0, help="draws its place and size")
    options = options_of.parse_args(arguments)
    return run(lambda: WaterPart(options), options, "water")


if __name__ == "__main__":
    sys.exit(main())
