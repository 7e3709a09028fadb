"""The water network as designed: junctions under the rings and avenues, pipes, works, tank, valves.

`Network` is the plan, the same for the plant and for whoever thinks about it; `Hydraulics` solves
it with EPANET 2.2 (through wntr) for given roughness, demands and losses. The plant solves it with
what is hidden, a mirror's model with what the drawings say. Needs the extra `city`.

Metres, litres per second, degrees clockwise from north.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .site import N_QUARTERS, QUARTERS, RINGS, SECTOR_DEG, Site, place, quarter_of

Floats = NDArray[np.float64]

ROUGHNESS: Final = 130.0
"""Hazen-Williams, of new ductile iron with cement lining, as designed."""
PUMP_CURVE: Final = (50.0, 58.0)
"""(flow L/s, head m) at the pump's best point; EPANET makes a curve of it."""
TANK_BOTTOM_M: Final = 40.0
TANK_DEPTH_M: Final = 8.0
TANK_DIAMETER_M: Final = 14.0
INNER_RINGS: Final = 3
"""Rings of the inner neighbourhood of each quarter; the rest is the outer."""

# Codes of EPANET's programming interface (epanet2_enums.h, 2.2).
_EN_EMITTER: Final = 3
_EN_BASEDEMAND: Final = 1
_EN_TANKLEVEL: Final = 8
_EN_PRESSURE: Final = 11
_EN_DEMAND: Final = 9
_EN_FLOW: Final = 8
_EN_STATUS: Final = 11
_EN_INITSTATUS: Final = 4
_EN_INITSETTING: Final = 5
_EN_ROUGHNESS: Final = 2


@dataclass(frozen=True, slots=True)
class Junction:
    """A crossing of mains."""

    id: str
    ring: int
    bearing_deg: float
    x_m: float
    z_m: float
    zone: int
    has_gauge: bool


@dataclass(frozen=True, slots=True)
class Pipe:
    """A main between two junctions, by their numbers."""

    id: str
    a: int
    b: int
    length_m: float
    diameter_mm: float
    zone: int
    has_meter: bool
    has_valve: bool


@dataclass(frozen=True)
class Network:
    """The plan. Each pipe has a place in its middle where it might leak."""

    junctions: tuple[Junction, ...]
    pipes: tuple[Pipe, ...]
    building_junction: tuple[int, ...]
    """Junction of each building of the site."""

    @cached_property
    def zones(self) -> tuple[tuple[str, str], ...]:
        """Names of the neighbourhoods, in English and German."""
        return tuple(
            (f"{english}, {where}", f"{german}, {wo}")
            for english, german in QUARTERS
            for where, wo in (("inner", "innen"), ("outer", "außen"))
        )

    @cached_property
    def gauges(self) -> NDArray[np.intp]:
        """Junctions with a pressure gauge."""
        return np.array([i for i, j in enumerate(self.junctions) if j.has_gauge])

    @cached_property
    def meters(self) -> NDArray[np.intp]:
        """Pipes with a flow meter."""
        return np.array([i for i, p in enumerate(self.pipes) if p.has_meter])

    def middle(self, pipe: int) -> tuple[float, float]:
        """(x, z) of the middle of a pipe."""
        a, b = self.junctions[self.pipes[pipe].a], self.junctions[self.pipes[pipe].b]
        return (a.x_m + b.x_m) / 2, (a.z_m + b.z_m) / 2


def plan(site: Site) -> Network:
    """The network under a site."""
    n_rings = site.n_bands + 1
    junctions: list[Junction] = []
    number: dict[tuple[int, int], int] = {}
    for ring in range(n_rings):
        for i in range(2 * N_QUARTERS):
            bearing = i * SECTOR_DEG / 2
            x, z = place(RINGS[ring], bearing)
            number[ring, i] = len(junctions)
            zone = _zone(ring, bearing + 0.01, n_rings)
            has_gauge = (ring + i) % 3 == 0
            junctions.append(
                Junction(
                    f"J{ring}{i:02d}", ring, bearing, round(x, 1), round(z, 1), zone, has_gauge
                )
            )
    pipes: list[Pipe] = []
    for ring in range(n_rings):
        for i in range(2 * N_QUARTERS):
            a, b = number[ring, i], number[ring, (i + 1) % (2 * N_QUARTERS)]
            length = RINGS[ring] * math.radians(SECTOR_DEG / 2)
            zone = _zone(ring, (i + 0.5) * SECTOR_DEG / 2, n_rings)
            diameter = 150.0 if ring in (1, n_rings - 1) else 100.0
            pipes.append(
                Pipe(f"R{ring}{i:02d}", a, b, round(length, 1), diameter, zone, False, False)
            )
    for ring in range(n_rings - 1):
        for i in range(2 * N_QUARTERS):
            is_avenue = i % 2 == 0
            if not is_avenue and ring % 2:
                continue  # between the avenues every other ring is linked
            a, b = number[ring, i], number[ring + 1, i]
            length = RINGS[ring + 1] - RINGS[ring]
            zone = _zone(ring, i * SECTOR_DEG / 2 + 0.01, n_rings)
            trunk = i in (0, N_QUARTERS)
            diameter = 200.0 if trunk else 125.0 if is_avenue else 80.0
            has_meter = is_avenue and ring in (0, n_rings // 2, n_rings - 2)
            has_valve = is_avenue and ring == n_rings // 2
            pipes.append(
                Pipe(f"A{ring}{i:02d}", a, b, length, diameter, zone, has_meter, has_valve)
            )
    at = np.array([(j.x_m, j.z_m) for j in junctions])
    nearest = tuple(
        int(np.hypot(at[:, 0] - b.x_m, at[:, 1] - b.z_m).argmin()) for b in site.buildings
    )
    return Network(tuple(junctions), tuple(pipes), nearest)


def _zone(ring: int, bearing_deg: float, n_rings: int) -> int:
    return 2 * quarter_of(bearing_deg) + (ring >= min(INNER_RINGS, n_rings - 1))


@dataclass(frozen=True, slots=True)
class Flows:
    """What the network does at one moment: pressures (m) by junction, flows (L/s) by pipe from
    `a` to `b`, flow of the pump and into the tank."""

    pressure_m: Floats
    flow_l_s: Floats
    pump_l_s: float
    tank_l_s: float


class Hydraulics:
    """EPANET over one set of parameters. Not for use by two threads at once."""

    def __init__(
        self, network: Network, roughness: Floats | None = None, pump_wear: float = 0.0
    ) -> None:
        """
        Args:
            roughness: by pipe, Hazen-Williams; None: as designed.
            pump_wear: share of its head that the pump has lost.

        Raises:
            ImportError: wntr is not installed.
        """
        from wntr.epanet.toolkit import ENepanet

        # It warns of every pump that has nothing to do.
        logging.getLogger("wntr.epanet.toolkit").setLevel(logging.ERROR)
        self.network = network
        rough = np.full(len(network.pipes), ROUGHNESS) if roughness is None else roughness
        self._folder = tempfile.TemporaryDirectory(prefix="mirrorworld-epanet-")
        path = Path(self._folder.name) / "network.inp"
        path.write_text(_inp(network, rough, pump_wear))
        self._en: Any = ENepanet(version=2.2)
        self._en.ENopen(str(path), str(path.with_suffix(".rpt")), str(path.with_suffix(".bin")))
        self._en.ENopenH()
        index = self._en.ENgetnodeindex
        self._node = [index(j.id) for j in network.junctions]
        self._mid = [index(f"M{p.id}") for p in network.pipes]
        self._tank = index("TANK")
        link = self._en.ENgetlinkindex
        self._first = [link(f"{p.id}a") for p in network.pipes]
        self._second = [link(f"{p.id}b") for p in network.pipes]
        self._pump, self._to_tank = link("PUMP"), link("TOTANK")
        self._demand = np.zeros(len(self._node))
        self._loss = np.zeros(len(self._mid))

    def close(self) -> None:
        """Lets go of EPANET's files."""
        self._en.ENcloseH()
        self._en.ENclose()
        self._folder.cleanup()

    def solve(
        self,
        demand_l_s: Floats,
        tank_level_m: float,
        *,
        pump_speed: float = 1.0,
        emitter: Floats | None = None,
        loss_l_s: Floats | None = None,
        shut: Sequence[int] = (),
    ) -> Flows:
        """Steady flow at one moment.

        Args:
            demand_l_s: by junction.
            emitter: by pipe: L/s that escapes in its middle at one metre of pressure; it grows
                with the root of the pressure.
            loss_l_s: by pipe: what is taken from its middle, whatever the pressure.
            shut: pipes whose valve is shut.
        """
        en = self._en
        for i in np.flatnonzero(demand_l_s != self._demand):
            en.ENsetnodevalue(self._node[i], _EN_BASEDEMAND, float(demand_l_s[i]))
        self._demand = demand_l_s.copy()
        loss = np.zeros(len(self._mid)) if loss_l_s is None else loss_l_s
        for i in np.flatnonzero(loss != self._loss):
            en.ENsetnodevalue(self._mid[i], _EN_BASEDEMAND, float(loss[i]))
        self._loss = loss.copy()
        leaking = [] if emitter is None else np.flatnonzero(emitter).tolist()
        for i in leaking:
            assert emitter is not None
            en.ENsetnodevalue(self._mid[i], _EN_EMITTER, float(emitter[i]))
        for i in shut:
            en.ENsetlinkvalue(self._first[i], _EN_INITSTATUS, 0.0)
        en.ENsetnodevalue(self._tank, _EN_TANKLEVEL, float(tank_level_m))
        en.ENsetlinkvalue(self._pump, _EN_INITSETTING, float(pump_speed))
        en.ENinitH(0)
        en.ENrunH()
        get_node, get_link = en.ENgetnodevalue, en.ENgetlinkvalue
        pressure = np.array([get_node(i, _EN_PRESSURE) for i in self._node])
        flow = np.array([get_link(i, _EN_FLOW) for i in self._first])
        found = Flows(
            pressure, flow, get_link(self._pump, _EN_FLOW), get_link(self._to_tank, _EN_FLOW)
        )
        for i in leaking:
            en.ENsetnodevalue(self._mid[i], _EN_EMITTER, 0.0)
        for i in shut:
            en.ENsetlinkvalue(self._first[i], _EN_INITSTATUS, 1.0)
        return found


def _inp(network: Network, roughness: Floats, pump_wear: float) -> str:
    """The network in EPANET's own file format (EPANET 2.2 users' manual, appendix C)."""
    outer = max(j.ring for j in network.junctions)
    north = next(j for j in network.junctions if j.ring == outer and j.bearing_deg == 0.0)
    south = next(j for j in network.junctions if j.ring == outer and j.bearing_deg == 180.0)
    lines = ["[JUNCTIONS]"]
    lines += [f"{j.id} 0 0" for j in network.junctions]
    lines += [f"M{p.id} 0 0" for p in network.pipes]
    lines += ["[RESERVOIRS]", "WORKS 2", "[TANKS]"]
    lines += [f"TANK {TANK_BOTTOM_M} 4 0 {TANK_DEPTH_M} {TANK_DIAMETER_M} 0"]
    lines += ["[PIPES]"]
    for pipe, c in zip(network.pipes, roughness, strict=True):
        a, b = network.junctions[pipe.a].id, network.junctions[pipe.b].id
        half, size = pipe.length_m / 2, pipe.diameter_mm
        lines.append(f"{pipe.id}a {a} M{pipe.id} {half:.2f} {size} {c:.2f} 0 Open")
        lines.append(f"{pipe.id}b M{pipe.id} {b} {half:.2f} {size} {c:.2f} 0 Open")
    lines += [f"TOTANK {south.id} TANK 60 300 130 0 Open", "[PUMPS]"]
    lines += [f"PUMP WORKS {north.id} HEAD CURVE", "[CURVES]"]
    flow, head = PUMP_CURVE
    lines += [f"CURVE {flow} {head * (1.0 - pump_wear):.3f}"]
    lines += ["[OPTIONS]", "Units LPS", "Headloss H-W", "Trials 60", "Accuracy 0.0005"]
    lines += ["Emitter Exponent 0.5", "Unbalanced Continue 10", "[TIMES]", "Duration 0", "[END]"]
    return "\n".join(lines) + "\n"
