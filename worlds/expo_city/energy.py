"""The energy centre: substations, inverters on roofs, chillers; what feeds the buildings.

It sums up what the buildings draw, adds losses and heat of its own, and lets an operator limit
photovoltaics and chilled water. Knows the buildings' meters, not their rooms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from . import readings
from .buildings import Buildings
from .opcua_tables import Thing, Variable
from .site import QUARTERS, Site

NAMESPACE: Final = "urn:example:expo:energy"
N_CHILLERS: Final = 4
_AT: Final = {r.name: i for i, r in enumerate(readings.BUILDING)}


def things(site: Site, energy: Energy | None = None) -> list[Thing]:
    """What the server shows; without a plant nothing of it can be written."""

    def limit(building: int) -> Callable[[float], None] | None:
        if energy is None:
            return None
        take = energy.limit_pv
        return lambda value: take(building, value)

    def supply(chiller: int) -> Callable[[float], None] | None:
        if energy is None:
            return None
        take = energy.set_supply
        return lambda value: take(chiller, value)

    found: list[Thing] = []
    for quarter in sorted({b.quarter for b in site.buildings}):
        variables = (
            Variable("ActivePower", "kW", -5000.0, 20000.0, 0.5),
            Variable("Current", "A", 0.0, 40000.0, 1.0),
            Variable("Voltage", "V", 300.0, 500.0, 0.4),
            Variable("OilTemperature", "Cel", -20.0, 140.0, 0.1),
            Variable("Load", "%", 0.0, 200.0, 0.1),
            Variable("Energy", "kW.h", -1e9, 1e9, 1.0),
        )
        found.append(Thing("Substations", f"Substation-{QUARTERS[quarter][0]}", variables))
    for i in range(N_CHILLERS):
        variables = (
            Variable("Power", "kW", 0.0, 5000.0, 0.2),
            Variable("ColdPower", "kW", 0.0, 20000.0, 0.5),
            Variable("SupplyTemperature", "Cel", 0.0, 30.0, 0.03),
            Variable("ReturnTemperature", "Cel", 0.0, 30.0, 0.03),
            Variable("SupplyTemperatureSetpoint", "Cel", 5.0, 12.0, 0.0, supply(i)),
            Variable("RunningHours", "h", 0.0, 1e6, 0.01),
        )
        found.append(Thing("Chillers", f"Chiller-{i + 1}", variables))
    for i, building in enumerate(site.buildings):
        if building.pv_kw > 0.0:
            variables = (
                Variable("Power", "kW", 0.0, 1000.0, 0.1),
                Variable("DcVoltage", "V", 0.0, 1000.0, 0.8),
                Variable("Temperature", "Cel", -30.0, 100.0, 0.2),
                Variable("Limit", "%", 0.0, 100.0, 0.0, limit(i)),
            )
            folder = f"Photovoltaics-{QUARTERS[building.quarter][0]}"
            found.append(Thing(folder, f"Inverter-{building.id}", variables))
    return found


class Energy:
    """What stands between the grid and the buildings."""

    def __init__(self, plant: Buildings, seed: int) -> None:
        rng = np.random.default_rng([seed, 91])
        self._plant, self._rng = plant, rng
        buildings = plant.site.buildings
        self._quarter = np.array([b.quarter for b in buildings])
        self._quarters = sorted({b.quarter for b in buildings})
        self._has_pv = np.array([b.pv_kw > 0.0 for b in buildings])
        self._rated_kw = np.array([max(1.0, sum(b.area_m2 for b in buildings if b.quarter == q)
                                       * 0.06) for q in self._quarters])  # fmt: skip
        self._oil_c = np.full(len(self._quarters), 45.0)
        self._energy_kwh = rng.uniform(1e5, 9e5, len(self._quarters))
        self._share = rng.dirichlet(np.full(N_CHILLERS, 12.0))
        self._cop = rng.uniform(3.6, 4.6, N_CHILLERS)
        self._setpoint_c = np.full(N_CHILLERS, 6.5)
        self._supply_c = np.full(N_CHILLERS, 6.5)
        self._hours = rng.uniform(2e3, 2e4, N_CHILLERS)

    def limit_pv(self, building: int, percent: float) -> None:
        """Lets the photovoltaics of a building give no more than a share of their rating."""
        self._plant.pv_limit[building] = percent

    def set_supply(self, chiller: int, celsius: float) -> None:
        """Sets how cold a chiller makes its water."""
        self._setpoint_c[chiller] = celsius

    def step(self, dt_s: float) -> NDArray[np.float64]:
        """Takes it on; returns all values in the order of `things`."""
        meters = self._plant.building.astype(np.float64)
        outside = float(meters[0, _AT["OutsideTemperature"]])
        load = np.bincount(self._quarter, meters[:, _AT["ElectricPower"]], 8)[self._quarters]
        load = load * 1.012 + 4.0
        share = np.abs(load) / self._rated_kw
        lag = 1.0 - np.exp(-dt_s / 5400.0)
        self._oil_c += lag * (outside + 18.0 + 45.0 * share**1.6 - self._oil_c)
        self._energy_kwh += load * dt_s / 3600.0
        noise = self._rng.standard_normal(len(load) * 2)
        voltage = 400.0 * 1.02 - 8.0 * share + 0.5 * noise[: len(load)]
        current = np.abs(load) * 1e3 / (np.sqrt(3.0) * voltage * 0.96)
        substations = np.stack(
            [load + 0.2 * noise[len(load) :], current, voltage, self._oil_c, 100.0 * share,
             self._energy_kwh], axis=1,
        )  # fmt: skip
        cold = float(meters[:, _AT["ColdPower"]].sum()) * self._share
        lag = 1.0 - np.exp(-dt_s / 240.0)
        self._supply_c += lag * (self._setpoint_c + 0.3 * cold / (cold.sum() + 1.0)
                                 - self._supply_c)  # fmt: skip
        cop = self._cop * (1.0 + 0.03 * (self._supply_c - 6.5)) * (1.0 - 0.008 * (outside - 25.0))
        self._hours += (cold > 5.0) * dt_s / 3600.0
        chillers = np.stack(
            [cold / cop, cold, self._supply_c, self._supply_c + 5.6, self._setpoint_c,
             self._hours], axis=1,
        )  # fmt: skip
        power = meters[:, _AT["PvPower"]]
        sun = float(meters[0, _AT["FacadeIrradiance"]])
        inverters = np.stack(
            [
                power,
                np.where(power > 0.05, 640.0 - 0.9 * (outside - 20.0) + 6 * np.log1p(power), 0.0),
                outside + 0.028 * sun + 0.05 * power,
                self._plant.pv_limit,
            ],
            axis=1,
        )[self._has_pv]
        # Inverters come by quarter and building as the site lists them.
        every = [substations.ravel(), chillers.ravel(), inverters.ravel()]
        return np.concatenate(every).astype(np.float64)
