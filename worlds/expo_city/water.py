"""The water network as it is: aged pipes, a worn pump, draws that nobody meters, leaks.

EPANET solves it; roughness, wear, connections, unmetered draws and leaks come from the seed and
stay in here. What instruments say of it is in `reading`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .mains import TANK_DEPTH_M, TANK_DIAMETER_M, Hydraulics, Network
from .site import N_QUARTERS, Site
from .visitors import Crowd, water_m3_h

Floats = NDArray[np.float64]

STEP_S: Final = 10.0
"""Plant seconds between two solutions."""
PRESSURE_NOISE_M: Final = 0.04
FLOW_NOISE: Final = 0.004
"""Of a flow meter, as a share of the flow; besides a little that is always there."""
FLOW_NOISE_L_S: Final = 0.02
TANK_AREA_M2: Final = math.pi * TANK_DIAMETER_M**2 / 4.0


@dataclass(frozen=True, slots=True)
class Leak:
    """A break in the middle of a pipe from a moment on."""

    pipe: int
    emitter: float
    """L/s that escapes at one metre of pressure."""
    begins_s: float
    """Plant seconds after midnight of the first day."""


def draw_leak(network: Network, seed: int, begins_s: float) -> Leak:
    """A leak of 1.5 to 6 L/s at the pressure of the network, in any pipe by its length."""
    rng = np.random.default_rng([seed, 77])
    length = np.array([p.length_m for p in network.pipes])
    pipe = int(rng.choice(len(length), p=length / length.sum()))
    return Leak(pipe, float(rng.uniform(1.5, 6.0)) / math.sqrt(45.0), begins_s)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the instruments say: pressures (m) by gauge, flows (L/s) by meter, and the works."""

    pressure_m: Floats
    flow_l_s: Floats
    pump_l_s: float
    pump_speed: float
    tank_level_m: float
    tank_l_s: float
    irrigation_l_s: Floats
    """By quarter."""
    building_m3_h: Floats
    """The buildings' own meters; their gateways report these."""


class Water:
    """The network of a site; `advance` takes it on.

    Attributes:
        pump_speed: 1: as rated. May be written.
        valve_open: by pipe with a valve. May be written.
    """

    def __init__(self, site: Site, network: Network, seed: int, day_s: float) -> None:
        rng = np.random.default_rng([seed, 61])
        n_pipes, n_junctions = len(network.pipes), len(network.junctions)
        self.site, self.network, self._seed = site, network, seed
        self._crowd = Crowd(site, seed, day_s)
        self._hydraulics = Hydraulics(
            network, np.clip(rng.normal(117.0, 11.0, n_pipes), 80.0, 145.0),
            float(rng.uniform(0.0, 0.05)),
        )  # fmt: skip
        # Some buildings hang on another main than the drawings say.
        ends: dict[int, list[int]] = {}
        for pipe in network.pipes:
            ends.setdefault(pipe.a, []).append(pipe.b)
            ends.setdefault(pipe.b, []).append(pipe.a)
        self._junction_of = np.array(
            [int(rng.choice(ends[j])) if rng.random() < 0.1 else j
             for j in network.building_junction]
        )  # fmt: skip
        self._unmetered = rng.dirichlet(np.full(n_junctions, 0.25)) * float(rng.uniform(0.4, 1.0))
        self._irrigated = np.zeros((N_QUARTERS, n_junctions))
        for quarter in range(N_QUARTERS):
            of = [i for i, j in enumerate(network.junctions) if j.zone // 2 == quarter]
            self._irrigated[quarter, of] = rng.dirichlet(np.full(len(of), 1.5))
        self._irrigation_h = rng.uniform(22.0, 28.0, N_QUARTERS)
        self._gauge_offset_m = rng.normal(0.0, 0.25, len(network.gauges))
        self._meter_gain = rng.normal(1.0, 0.008, len(network.meters))
        self._rng, self._at_s = rng, day_s
        self._street, self.tank_level_m = 0.3, 4.5
        self.pump_speed = 1.0
        self.valve_open = {i: True for i, p in enumerate(network.pipes) if p.has_valve}
        self.leaks: list[Leak] = []
        self._step(0.0)

    def close(self) -> None:
        """Lets go of EPANET."""
        self._hydraulics.close()

    def advance(self, day_s: float, step_s: float = STEP_S) -> None:
        """Takes it on to so many plant seconds after midnight of the first day."""
        while day_s - self._at_s >= step_s:
            self._step(step_s)

    def _step(self, dt_s: float) -> None:
        self._at_s += dt_s
        self._crowd.advance(self._at_s)
        self._buildings = water_m3_h(self.site, self._crowd.inside, self._at_s, self._seed)
        n = len(self.network.junctions)
        demand = np.bincount(self._junction_of, self._buildings / 3.6, n)
        # Streets are washed now and then; nobody meters that.
        drift = math.exp(-dt_s / 5400.0)
        self._street = self._street * drift + 0.3 * (1 - drift)
        self._street += 0.13 * math.sqrt(1 - drift * drift) * float(self._rng.standard_normal())
        demand += self._unmetered * max(0.1, 1.0 + self._street)
        self._irrigation = self._irrigating(self._at_s)
        demand += self._irrigation @ self._irrigated
        emitter = np.zeros(len(self.network.pipes))
        for leak in self.leaks:
            if self._at_s >= leak.begins_s:
                emitter[leak.pipe] += leak.emitter
        self.flows = self._hydraulics.solve(
            demand, self.tank_level_m, pump_speed=self.pump_speed, emitter=emitter,
            shut=[i for i, is_open in self.valve_open.items() if not is_open],
        )  # fmt: skip
        level = self.tank_level_m + self.flows.tank_l_s / 1e3 * dt_s / TANK_AREA_M2
        self.tank_level_m = min(max(level, 0.3), TANK_DEPTH_M - 0.1)

    def _irrigating(self, day_s: float) -> Floats:
        """L/s by quarter: two hours in the night, one after the other."""
        hour = day_s / 3600.0 % 24.0
        since = (hour - self._irrigation_h) % 24.0
        return np.where(since < 2.0, 1.1, 0.0)

    def control(self) -> None:
        """What the works' own automation does: the pump follows the level of the tank."""
        if self.tank_level_m > 7.2:
            self.pump_speed = max(0.7, self.pump_speed - 0.02)
        elif self.tank_level_m < 2.2:
            self.pump_speed = min(1.15, self.pump_speed + 0.02)

    def read(self) -> Reading:
        """What the instruments say now."""
        rng, flows, network = self._rng, self.flows, self.network
        pressure = flows.pressure_m[network.gauges] + self._gauge_offset_m
        pressure = pressure + PRESSURE_NOISE_M * rng.standard_normal(len(pressure))
        flow = flows.flow_l_s[network.meters] * self._meter_gain
        flow = flow * (1 + FLOW_NOISE * rng.standard_normal(len(flow)))
        flow = flow + FLOW_NOISE_L_S * rng.standard_normal(len(flow))
        noise = rng.standard_normal(4)
        return Reading(
            pressure,
            flow,
            flows.pump_l_s * (1 + FLOW_NOISE * noise[0]) + FLOW_NOISE_L_S * noise[1],
            self.pump_speed,
            self.tank_level_m + 0.004 * noise[2],
            flows.tank_l_s * (1 + FLOW_NOISE * noise[3]) + FLOW_NOISE_L_S * noise[1],
            self._irrigation * (1 + 0.01 * rng.standard_normal(N_QUARTERS)),
            np.maximum(self._buildings + 0.01 * rng.standard_normal(len(self._buildings)), 0.0),
        )
