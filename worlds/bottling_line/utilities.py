"""Compressed air and electricity of the plant.

The network's leak is hidden and grows; it shows only as flow while nothing runs, as load of the
compressor and, in the end, as pressure that machines miss.
"""

from __future__ import annotations

import math

import numpy as np


class AirStation:
    """A speed-controlled compressor, a dryer and a receiver of 1 m³."""

    receiver_l = 1000.0
    flow_max_nl_s = 26.0
    setpoint_low_bar = 6.0
    setpoint_high_bar = 8.0

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.setpoint_bar = 7.0
        self.pressure_bar = 7.0
        self.flow_nl_s = 0.0
        self.load = 0.6
        self.oil_c = 61.0
        self.dew_point_c = 3.2
        self.run_s = float(rng.uniform(1e7, 6e7))
        self.line_bar = 6.8
        self._leak_nl_s_bar = float(rng.uniform(0.25, 0.9))
        self._leak_growth_per_s = float(rng.lognormal(math.log(2e-6), 0.5))
        self._integral = 0.6

    def step(self, dt_s: float, demand_nl_s: float) -> None:
        """Lets `dt_s` pass while the line takes `demand_nl_s`."""
        self._leak_nl_s_bar += self._leak_nl_s_bar * self._leak_growth_per_s * dt_s
        leak = self._leak_nl_s_bar * self.pressure_bar
        error = self.setpoint_bar - self.pressure_bar
        self._integral = min(max(self._integral + 0.02 * error * dt_s, 0.0), 1.0)
        wanted = min(max(1.2 * error + self._integral, 0.0), 1.0)
        # The drive cannot turn slower than a fifth; below that it idles.
        wanted = 0.0 if wanted < 0.12 else max(wanted, 0.2)
        self.load += (wanted - self.load) * min(1.0, dt_s / 2.0)
        self.flow_nl_s = demand_nl_s + leak
        supply = self.flow_max_nl_s * self.load
        self.pressure_bar += (supply - self.flow_nl_s) * dt_s / self.receiver_l
        self.pressure_bar = min(max(self.pressure_bar, 0.0), 10.0)
        self.line_bar = max(0.0, self.pressure_bar - 6e-4 * self.flow_nl_s**2)
        self.oil_c += (48.0 + 34.0 * self.load - self.oil_c) * dt_s / 300.0
        self.dew_point_c += (2.6 + 3.0 * self.load - self.dew_point_c) * dt_s / 120.0
        self.run_s += dt_s if self.load > 0.05 else 0.0

    def power_kw(self) -> float:
        """At the compressor's terminals."""
        return 0.4 + 9.8 * self.load * (0.7 + 0.3 * self.pressure_bar / 7.0)


class Meter:
    """An energy meter: what it saw last, and the register that never goes back."""

    def __init__(self, name: str, start_kwh: float) -> None:
        self.name = name
        self.power_kw = 0.0
        self.energy_kwh = start_kwh
        self.voltage_v = 400.0

    def step(self, dt_s: float, power_kw: float) -> None:
        """Counts."""
        self.power_kw = power_kw
        self.energy_kwh += power_kw * dt_s / 3600.0

    @property
    def current_a(self) -> float:
        """At a power factor of 0.86."""
        return self.power_kw / (math.sqrt(3) * self.voltage_v / 1000.0 * 0.86)
