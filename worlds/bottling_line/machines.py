"""The machines of the line, each with what it alone does to a bottle and what it uses up.

Built on `machine.Machine`; like it, they know no protocol and no wall clock.
"""

from __future__ import annotations

import numpy as np

from .belts import Belt
from .layout import BOTTLES_PER_CARTON
from .machine import Hidden, Machine, Site, State


class Depalletiser(Machine):
    """Sweeps layers of empty bottles from pallets onto the line; a new pallet takes a moment."""

    uses_air_nl_s = 3.0
    idle_kw, run_kw = 0.9, 4.2
    layer_bottles = 168
    layers_per_pallet = 10

    def __init__(self, site: Site, hidden: Hidden, downstream: Belt) -> None:
        super().__init__("Depalletiser", site, hidden, 11, 20_500.0, None, downstream)
        self.layers = self.layers_per_pallet
        self.pallets = 0
        self._in_layer = int(site.rng.integers(20, self.layer_bottles))
        self._change_s = 0.0

    def step(self, dt_s: float) -> None:
        """As any machine, with the pallet changer working beside it."""
        if self.layers == 0:
            self._change_s += dt_s
            if self._change_s > 7.0:
                self._change_s = 0.0
                self.layers = self.layers_per_pallet
                self.pallets += 1
        super().step(dt_s)

    def _fetch(self) -> bool:
        if self._in_layer == 0:
            if self.layers == 0:
                return False
            self.layers -= 1
            self._in_layer = self.layer_bottles
        self._in_layer -= 1
        return True


class Rinser(Machine):
    """Turns bottles over and rinses them; its nozzles wear and its filter clogs."""

    uses_air_nl_s = 1.2
    idle_kw, run_kw = 0.6, 3.1

    def __init__(self, site: Site, hidden: Hidden, slots: int, up: Belt, down: Belt) -> None:
        super().__init__("Rinser", site, hidden, slots, 19_500.0, up, down)

    @property
    def water_flow_m3_h(self) -> float:
        """Rinse water: valves open with the bottles."""
        return 0.12 + 3.4 * self.speed_per_h / self.nominal_per_h * (1.0 + 0.1 * self.hidden.wear)

    @property
    def water_bar(self) -> float:
        """Before the nozzles."""
        return 3.1 - 0.5 * self.speed_per_h / self.nominal_per_h - 0.35 * self.hidden.wear


class Filler(Machine):
    """Fills; each valve has a drift of its own, and the bowl must be cleaned in place (CIP)."""

    uses_air_nl_s = 2.4
    idle_kw, run_kw = 1.4, 6.5
    valves = 24
    tolerance_ml = 9.0

    def __init__(self, site: Site, hidden: Hidden, slots: int, up: Belt, down: Belt) -> None:
        super().__init__("Filler", site, hidden, slots, 18_000.0, up, down)
        self.volume_setpoint_ml = 500.0
        self.valve_ml = np.full(self.valves, 500.0)
        self.bowl_percent = 62.0
        self.product_c = 6.0
        self.hours_to_cip = float(site.rng.uniform(2.5, 6.0))
        self.cip_s = 0.0
        self._offset_ml = site.rng.normal(0.0, 0.5, self.valves)
        # One valve is the worst: its seal is what a good observer would find.
        self._drift_ml = -site.rng.gamma(1.5, 1.2, self.valves)
        self._drift_ml[int(site.rng.integers(self.valves))] -= 4.0
        self._valve = 0

    def start_cip(self) -> str:
        """Clean now; only from a standing machine, or one that waits for it."""
        if self.state not in (State.STOPPED, State.HELD, State.SUSPENDED):
            return "stop the filler first"
        self.cip_s = 90.0
        self._enter(State.HELD, "cleaning in place")
        return ""

    def step(self, dt_s: float) -> None:
        """As any machine, with bowl, product temperature and cleaning."""
        super().step(dt_s)
        fill_l_s = self.speed_per_h / 3600.0 * 0.5
        inlet_l_s = min(max((65.0 - self.bowl_percent) * 0.25, 0.0), 5.0)
        self.bowl_percent += (inlet_l_s - fill_l_s) * dt_s / 1.6
        self.bowl_percent = min(max(self.bowl_percent, 0.0), 100.0)
        goal_c = 78.0 if self.cip_s > 0.0 else 6.0 + 0.02 * (self.site.ambient_c - 21.0)
        self.product_c += (goal_c - self.product_c) * dt_s / 25.0
        if self.cip_s > 0.0:
            self.cip_s -= dt_s
            if self.cip_s <= 0.0:
                self.cip_s = 0.0
                self.hours_to_cip = 8.0
        elif self.speed_per_h > 0.0:
            self.hours_to_cip = max(0.0, self.hours_to_cip - dt_s / 3600.0)

    def _held_by(self) -> str:
        if self.cip_s > 0.0:
            return "cleaning in place"
        if self.hours_to_cip <= 0.0:
            return "cleaning due"
        return super()._held_by()

    def _process(self) -> float:
        valve = self._valve
        self._valve = (valve + 1) % self.valves
        fast = max(0.0, self.speed_per_h / self.nominal_per_h - 1.0)
        volume = (
            self.volume_setpoint_ml
            + self._offset_ml[valve]
            + self._drift_ml[valve] * self.hidden.wear * (1.0 + 3.0 * fast)
            - 0.08 * max(0.0, 45.0 - self.bowl_percent)
            + 0.7 * self.site.rng.standard_normal()
        )
        self.valve_ml[valve] = volume
        return float(volume)

    def _is_good(self, measured: float) -> bool:
        return abs(measured - 500.0) <= self.tolerance_ml


class Capper(Machine):
    """Screws caps on; worn clutches let the torque sink and scatter."""

    uses_air_nl_s = 1.6
    idle_kw, run_kw = 0.7, 3.4
    hopper = 40_000

    def __init__(self, site: Site, hidden: Hidden, slots: int, up: Belt, down: Belt) -> None:
        super().__init__("Capper", site, hidden, slots, 19_000.0, up, down)
        self.torque_setpoint_n_m = 1.8
        self.torque_n_m = 1.8
        self.caps = int(site.rng.integers(12_000, self.hopper))

    def refill(self) -> str:
        """Fill the cap hopper."""
        self.caps = self.hopper
        return ""

    def _held_by(self) -> str:
        return "caps empty" if self.caps <= 0 else super()._held_by()

    def _process(self) -> float:
        self.caps -= 1
        wear = self.hidden.wear
        scatter = (0.03 + 0.05 * wear) * self.site.rng.standard_normal()
        self.torque_n_m = max(0.0, self.torque_setpoint_n_m * (1.0 - 0.08 * wear) + scatter)
        return self.torque_n_m

    def _is_good(self, measured: float) -> bool:
        return 1.4 <= measured <= 2.2


class Labeller(Machine):
    """Labels from a roll; the crew or an operator changes it."""

    uses_air_nl_s = 1.0
    idle_kw, run_kw = 0.8, 2.9
    roll = 9_000

    def __init__(self, site: Site, hidden: Hidden, slots: int, up: Belt, down: Belt) -> None:
        super().__init__("Labeller", site, hidden, slots, 20_000.0, up, down)
        self.labels = int(site.rng.integers(2_500, self.roll))
        self.glue_c = 138.0

    def change_roll(self) -> str:
        """Put a new roll in; the machine waits meanwhile."""
        self.labels = self.roll
        return ""

    def _held_by(self) -> str:
        return "labels empty" if self.labels <= 0 else super()._held_by()

    def _process(self) -> float:
        self.labels -= 1
        return super()._process()


class Packer(Machine):
    """Collects bottles on a grid and lifts them into cartons, twelve at a time."""

    uses_air_nl_s = 4.5
    idle_kw, run_kw = 1.0, 3.8
    grid_bottles = 2 * BOTTLES_PER_CARTON
    magazine = 1_200

    def __init__(self, site: Site, hidden: Hidden, up: Belt, cartons: Belt) -> None:
        super().__init__("Packer", site, hidden, 10, 21_000.0, up, None)
        self.carton_belt = cartons
        self.grid = 0
        self.cartons = 0
        self.blanks = int(site.rng.integers(400, self.magazine))
        self._cycle_s = 0.0

    def refill(self) -> str:
        """Fill the magazine of carton blanks."""
        self.blanks = self.magazine
        return ""

    def step(self, dt_s: float) -> None:
        """As any machine, with the lifting head working over the grid."""
        super().step(dt_s)
        self._cycle_s += dt_s
        can_lift = self.state in (State.EXECUTE, State.SUSPENDED) and self._cycle_s >= 1.4
        if (
            can_lift
            and self.grid >= BOTTLES_PER_CARTON
            and self.blanks > 0
            and self.carton_belt.has_room
        ):
            self.grid -= BOTTLES_PER_CARTON
            self.inside -= BOTTLES_PER_CARTON
            self.count_out += BOTTLES_PER_CARTON
            self.batch_good += BOTTLES_PER_CARTON
            self.cartons += 1
            self.blanks -= 1
            self.carton_belt.push()
            self._cycle_s = 0.0

    def _advance(self) -> bool:
        last = self.stations[-1]
        if last is not None:
            if not self._is_good(last):
                self._reject(1)
                self.inside -= 1
            elif self.grid >= self.grid_bottles:
                return False
            else:
                self.grid += 1
        self.stations.pop()
        self.stations.appendleft(self._take())
        return True

    def _may_resume(self) -> bool:
        if self.cause == "blocked":
            return self.grid < self.grid_bottles - 2
        return super()._may_resume()

    def _is_starved(self, dt_s: float) -> bool:
        # Bottles that wait on the grid for their twelfth do not keep the machine running.
        waiting = self.inside - self.grid
        starved = super()._is_starved(dt_s)
        return starved or (self._empty_s > 4.0 and waiting == 0)

    def _held_by(self) -> str:
        return "carton blanks empty" if self.blanks <= 0 else super()._held_by()
