"""Air over the site: what kitchens, coaches, generators and building works give off, and where the
wind takes it.

Puffs that drift with the wind and widen (Gaussian puff; widths after Briggs, 1973, open country,
by stability class of Pasquill), with a mirror of the source in the ground. What the sources give
off is drawn from the seed and stays in here; stations measure with noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .site import RINGS, Site, place
from .weather import Sky, Weather

Floats = NDArray[np.float64]

POLLUTANTS: Final = ("PM25", "PM10", "NO2", "O3")
"""All in ug/m3."""
PUFF_S: Final = 30.0
PUFF_AGE_MAX_S: Final = 2400.0
STATION_HEIGHT_M: Final = 3.0
MIXING_M: Final = 900.0
# Briggs' open-country widths: sigma = a x (1 + b x)^c, by class A to F.
_ACROSS: Final = (0.22, 0.16, 0.11, 0.08, 0.06, 0.04)
_UP: Final = (
    (0.20, 0.0, 0.0), (0.12, 0.0, 0.0), (0.08, 0.0002, -0.5), (0.06, 0.0015, -0.5),
    (0.03, 0.0003, -1.0), (0.016, 0.0003, -1.0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Station:
    """Where air is measured."""

    id: str
    x_m: float
    z_m: float


def stations(site: Site) -> tuple[Station, ...]:
    """One in the plaza, and on two rings all round."""
    found = [Station("AQ01", 0.0, 70.0)]
    reach = site.n_bands
    for ring, n, turn in ((min(2, reach), 8, 22.5), (reach, 12, 15.0)):
        for i in range(n):
            x, z = place(RINGS[ring] + 14.0, turn + i * 360.0 / n)
            found.append(Station(f"AQ{len(found) + 1:02d}", round(x, 1), round(z, 1)))
    return tuple(found)


def stability(weather: Weather) -> int:
    """Class 0 (A) to 5 (F) after Pasquill, by wind and sun (Turner, 1970)."""
    if weather.irradiance_w_m2 > 50.0:
        table = ((0, 0, 1), (0, 1, 2), (1, 2, 2), (2, 3, 3))
        strong = 0 if weather.irradiance_w_m2 > 600 else 1 if weather.irradiance_w_m2 > 300 else 2
        row = int(np.searchsorted((2.0, 3.0, 5.0), weather.wind_m_s))
        return table[row][strong]
    if weather.wind_m_s > 5.0 or weather.cloud > 0.9:
        return 3
    return 4 if weather.wind_m_s > 3.0 else 5


class Air:
    """Sources, puffs and the air at the stations."""

    def __init__(self, site: Site, seed: int, day_s: float) -> None:
        rng = np.random.default_rng([seed, 71])
        self.stations = stations(site)
        self._sky, self._rng, self._at_s = Sky(seed), rng, day_s
        reach = RINGS[site.n_bands]
        n = 26
        bearing, radius = rng.uniform(0.0, 360.0, n), reach * np.sqrt(rng.uniform(0.04, 1.15, n))
        self._x = radius * np.sin(np.radians(bearing))
        self._z = -radius * np.cos(np.radians(bearing))
        self._height_m = rng.uniform(1.0, 9.0, n)
        # Kitchens (fine dust), coaches and generators (nitrogen dioxide), works (coarse dust).
        kind = rng.integers(0, 3, n)
        self._kind = kind
        strength = 6.0 * rng.lognormal(0.0, 0.7, n)
        mix = np.array([[60.0, 75.0, 12.0], [14.0, 22.0, 110.0], [30.0, 240.0, 10.0]])
        self._given_off = mix[kind] * 1e2 * strength[:, None]  # ug/s of PM25, PM10, NO2
        self._puffs = np.empty((0, 7))  # x, z, height, travelled m, ug of three
        self._background = np.array([7.0, 13.0, 11.0]) * rng.lognormal(0.0, 0.2, 3)
        self._ozone = float(rng.uniform(50.0, 80.0))
        self.weather = self._sky.at(day_s)
        self._warm_up(day_s)

    def _warm_up(self, day_s: float) -> None:
        self._at_s = day_s - PUFF_AGE_MAX_S
        self.advance(day_s)

    def advance(self, day_s: float) -> None:
        """Takes the air on to so many plant seconds after midnight of the first day."""
        while self._at_s + PUFF_S <= day_s:
            self._at_s += PUFF_S
            self.weather = self._sky.at(self._at_s)
            self._drift()

    def _drift(self) -> None:
        weather = self.weather
        speed = max(0.5, weather.wind_m_s)
        way = math.radians(weather.wind_from_deg + 180.0)
        step = speed * PUFF_S
        self._puffs[:, 0] += step * math.sin(way)
        self._puffs[:, 1] -= step * math.cos(way)
        self._puffs[:, 3] += step
        hour = self._at_s / 3600.0 % 24.0
        meals = (
            0.1 + math.exp(-(((hour - 12.7) / 1.4) ** 2)) + math.exp(-(((hour - 19.0) / 1.8) ** 2))
        )
        traffic = (
            0.15 + math.exp(-(((hour - 9.3) / 1.2) ** 2)) + math.exp(-(((hour - 21.3) / 1.4) ** 2))
        )
        works = 1.0 if 7.0 < hour < 17.0 else 0.03
        activity = np.array([meals, traffic, works])[self._kind]
        flicker = self._rng.lognormal(0.0, 0.25, len(activity))
        amount = self._given_off * (activity * flicker * PUFF_S)[:, None]
        new = np.column_stack(
            [
                # What was given off over the step stands about its half way.
                self._x + 0.5 * step * math.sin(way),
                self._z - 0.5 * step * math.cos(way),
                self._height_m,
                np.full(len(activity), step / 2),
                amount,
            ]
        )
        keep = self._puffs[:, 3] < max(2500.0, speed * PUFF_AGE_MAX_S * 0.6)
        self._puffs = np.concatenate([self._puffs[keep], new])

    def at(self, x: Floats, z: Floats) -> Floats:
        """ug/m3 of PM2.5, PM10, NO2 and O3 at places, shape (n, 4)."""
        weather, puffs = self.weather, self._puffs
        kind = stability(weather)
        travelled = np.maximum(puffs[:, 3], 25.0)
        across = _ACROSS[kind] * travelled / np.sqrt(1.0 + 0.0001 * travelled) + 4.0
        a, b, c = _UP[kind]
        up = np.minimum(a * travelled * (1.0 + b * travelled) ** c + 2.0, 0.8 * MIXING_M)
        away2 = (x[:, None] - puffs[:, 0]) ** 2 + (z[:, None] - puffs[:, 1]) ** 2
        level = np.exp(-0.5 * ((STATION_HEIGHT_M - puffs[:, 2]) / up) ** 2)
        level = level + np.exp(-0.5 * ((STATION_HEIGHT_M + puffs[:, 2]) / up) ** 2)
        weight = np.exp(-0.5 * away2 / across**2) * level
        weight /= (2.0 * math.pi) ** 1.5 * across**2 * up
        found = weight @ puffs[:, 4:] + self._background
        # Ozone is used up by what else there is (a photostationary balance, cut short).
        sun = weather.irradiance_w_m2 / 900.0
        ozone = (self._ozone + 35.0 * sun) * 30.0 / (30.0 + found[:, 2])
        return np.column_stack([found, ozone])

    def read(self) -> Floats:
        """What the stations say, shape (stations, 4)."""
        x = np.array([s.x_m for s in self.stations])
        z = np.array([s.z_m for s in self.stations])
        clean = self.at(x, z)
        noise = self._rng.standard_normal(clean.shape)
        return np.maximum(clean * (1.0 + 0.02 * noise) + 0.3 * noise, 0.0)
