"""The bottling line as physics: machines, belts, utilities and crew, advanced tick by tick.

This is the plant's inner truth. Protocols read from it (`opcua_server.py`, `edge_node.py`)
what instruments would show, and act on it through set-points and the machines' commands.
The whole of chance comes from one seed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from . import layout
from .belts import Belt
from .machine import Hidden, Machine, Site, State
from .machines import Capper, Depalletiser, Filler, Labeller, Packer, Rinser
from .shift import Phase, Shift
from .utilities import AirStation, Meter

TICK_S: Final = 0.05
SPEED_LOW_PER_H: Final = 6_000.0
SPEED_HIGH_PER_H: Final = 24_000.0

# The line's set-point is the filler's; the others run faster, the further away the more (the
# "V" of line design), so that queues before the filler stay full and those behind it empty.
_V_GRAPH: Final = {
    "Depalletiser": 1.14,
    "Rinser": 1.08,
    "Filler": 1.0,
    "Capper": 1.05,
    "Labeller": 1.11,
    "Packer": 1.17,
}


class Line:
    """The line, its utilities and its crew.

    Args:
        seed: of everything that chance decides.
        shift_s: length of a shift; 0 for no rhythm.
        crew_after_s: how long a machine stands before the crew helps by itself; 0 for never.
    """

    def __init__(self, seed: int, shift_s: float = 0.0, crew_after_s: float = 150.0) -> None:
        rng = np.random.default_rng(seed)
        self.site = Site(rng, np.random.default_rng([seed, 1]))
        self.belts: dict[str, Belt] = {}
        for item in layout.CONVEYORS:
            speed = 0.75 if item.kind == "buffer" else 0.62
            self.belts[item.name] = Belt(item.path_length_m, layout.BOTTLE_PITCH_M, speed)
        self.cartons = Belt(layout.CARTON_CONVEYOR.path_length_m, layout.CARTON_PITCH_M, 0.35)
        belt, site = self.belts, self.site

        def hidden() -> Hidden:
            return Hidden.draw(rng)

        self.depalletiser = Depalletiser(site, hidden(), belt["Conveyor1"])
        self.rinser = Rinser(
            site, hidden(), layout.RINSER.slots, belt["Conveyor1"], belt["Conveyor2"]
        )
        self.filler = Filler(
            site, hidden(), layout.FILLER.slots, belt["Conveyor2"], belt["Conveyor3"]
        )
        self.capper = Capper(
            site, hidden(), layout.CAPPER.slots, belt["Conveyor3"], belt["Conveyor4"]
        )
        self.labeller = Labeller(
            site, hidden(), layout.LABELLER.slots, belt["Conveyor5"], belt["Conveyor6"]
        )
        self.packer = Packer(site, hidden(), belt["Conveyor6"], self.cartons)
        machines: tuple[Machine, ...] = (
            self.depalletiser,
            self.rinser,
            self.filler,
            self.capper,
            self.labeller,
            self.packer,
        )
        self.machines: dict[str, Machine] = {machine.name: machine for machine in machines}
        self.air = AirStation(rng)
        self.meters = {
            name: Meter(name, float(rng.uniform(2e3, 9e4)))
            for name in ("main", *(n.lower() for n in self.machines), "conveyors", "compressor")
        }
        self.shift = Shift(shift_s)
        self.crew_after_s = crew_after_s
        self.setpoint_per_h = 18_000.0
        self.order = f"PO-{int(rng.integers(100_000, 999_999))}"
        self.elapsed_s = 0.0
        self.run_s = 0.0
        self.cabinet_c = 29.0
        self._stood_s = dict.fromkeys(self.machines, 0.0)
        self.set_speed(self.setpoint_per_h)

    # -- commands ---------------------------------------------------------------------------

    def set_speed(self, per_h: float) -> None:
        """Sets the line's speed; every machine gets its share of the V-graph."""
        self.setpoint_per_h = per_h
        for name, machine in self.machines.items():
            wanted = per_h * _V_GRAPH[name]
            machine.setpoint_per_h = min(max(wanted, SPEED_LOW_PER_H), SPEED_HIGH_PER_H)

    def start(self) -> str:
        """Starts every machine that stands."""
        for machine in self.machines.values():
            machine.start()
        return ""

    def stop(self) -> str:
        """Stops every machine that is not jammed."""
        for machine in self.machines.values():
            machine.stop()
        return ""

    # -- time -------------------------------------------------------------------------------

    def advance(self, duration_s: float) -> None:
        """Lets time pass, in ticks."""
        for _ in range(round(duration_s / TICK_S)):
            self._tick(TICK_S)

    def _tick(self, dt_s: float) -> None:
        self.elapsed_s += dt_s
        phase = self.shift.step(dt_s)
        if phase is not None:
            self._begin(phase)
        self.site.air_bar = self.air.line_bar
        # From the end to the beginning, so that what leaves makes room for what follows.
        self.cartons.step(dt_s)
        if self.cartons.is_waiting:
            self.cartons.pop()
        for machine in reversed(self.machines.values()):
            machine.step(dt_s)
        for belt in self.belts.values():
            belt.step(dt_s)
        self._pass_on("Conveyor4", "Buffer")
        self._pass_on("Buffer", "Conveyor5")
        machines = self.machines.values()
        self.run_s += dt_s if self.filler.state is State.EXECUTE else 0.0
        self.air.step(dt_s, sum(machine.air_nl_s() for machine in machines))
        self._meter(dt_s)
        if self.crew_after_s > 0.0:
            self._crew(dt_s)

    def _pass_on(self, source: str, target: str) -> None:
        first, second = self.belts[source], self.belts[target]
        if first.is_waiting and second.has_room:
            first.pop()
            second.push()

    def _begin(self, phase: Phase) -> None:
        self.set_speed(phase.speed_per_h)
        # In a break the infeed stops and the line runs empty, so nothing is left half filled.
        if phase.runs:
            self.depalletiser.start()
        else:
            self.depalletiser.stop(phase.name)

    def _meter(self, dt_s: float) -> None:
        total = 0.0
        for name, machine in self.machines.items():
            power = machine.power_kw()
            self.meters[name.lower()].step(dt_s, power)
            total += power
        belts = sum(0.12 + 0.55 * belt.speed_m_s / belt.nominal_m_s for belt in self.belts.values())
        self.meters["conveyors"].step(dt_s, belts)
        self.meters["compressor"].step(dt_s, self.air.power_kw())
        total += belts + self.air.power_kw()
        self.meters["main"].step(dt_s, total + 3.1)  # light and ventilation of the hall
        self.cabinet_c += (24.0 + 0.45 * total - self.cabinet_c) * dt_s / 600.0

    def _crew(self, dt_s: float) -> None:
        for name, machine in self.machines.items():
            stands = machine.state in (State.ABORTED, State.HELD)
            self._stood_s[name] = self._stood_s[name] + dt_s if stands else 0.0
            if self._stood_s[name] < self.crew_after_s:
                continue
            self._stood_s[name] = 0.0
            if machine.state is State.ABORTED:
                machine.clear_jam()
            elif machine.cause == "cleaning due":
                self.filler.start_cip()
            elif machine.cause == "labels empty":
                self.labeller.change_roll()
            elif machine.cause == "caps empty":
                self.capper.refill()
            elif machine.cause == "carton blanks empty":
                self.packer.refill()

    # -- what is counted ---------------------------------------------------------------------

    @property
    def rejects(self) -> int:
        """Bottles in the reject bins since the plant's clock began."""
        return sum(machine.rejects for machine in self.machines.values())

    @property
    def bottles_in_line(self) -> int:
        """Bottles on belts and in machines now."""
        return sum(b.count for b in self.belts.values()) + sum(
            m.inside for m in self.machines.values()
        )
