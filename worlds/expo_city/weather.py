"""The weather over the site: a function of time and seed, the same for every process of the plant.

A daily cycle, slow systems that pass (sums of sines with drawn periods and phases), clouds before
a clear sky (Haurwitz, 1945), wind that turns. Knows no instrument.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

LATITUDE_DEG: Final = 41.0
DECLINATION_DEG: Final = 18.0
"""Of a day in May or August: expos are held in summer."""


@dataclass(frozen=True, slots=True)
class Weather:
    """At one moment. `wind_from_deg` is where it comes from, clockwise from north."""

    temperature_c: float
    humidity_percent: float
    pressure_hpa: float
    wind_m_s: float
    wind_from_deg: float
    irradiance_w_m2: float
    """Global, on the horizontal."""
    cloud: float
    """Cover, 0 to 1."""
    sun_up_deg: float
    sun_bearing_deg: float


class Sky:
    """The weather of one seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 21])
        self._period_s = rng.uniform(0.35, 4.5, (5, 6)) * 86_400.0
        self._phase = rng.uniform(0.0, 2.0 * math.pi, (5, 6))
        self._gust_period_s = rng.uniform(40.0, 900.0, (2, 8))
        self._gust_phase = rng.uniform(0.0, 2.0 * math.pi, (2, 8))
        self._mean_c = float(rng.normal(22.0, 2.0))

    def at(self, day_s: float) -> Weather:
        """The weather so many seconds after midnight of the first day."""
        slow = np.sin(2.0 * math.pi * day_s / self._period_s + self._phase).mean(axis=1)
        gust = np.sin(2.0 * math.pi * day_s / self._gust_period_s + self._gust_phase).mean(axis=1)
        up_deg, bearing_deg = sun(day_s)
        cloud = float(np.clip(0.35 + 1.1 * slow[0], 0.0, 1.0))
        clear = _clear_sky(up_deg)
        light = clear * (1.0 - 0.72 * cloud**3.4)
        hour = day_s / 3600.0 % 24.0
        daily = 5.2 * math.cos(2.0 * math.pi * (hour - 15.0) / 24.0)
        temperature = self._mean_c + daily * (1.0 - 0.4 * cloud) + 5.0 * float(slow[1])
        humidity = float(np.clip(62.0 - 2.4 * daily + 32.0 * slow[2] + 12.0 * cloud, 18.0, 99.0))
        wind = max(0.4, 3.4 + 3.8 * float(slow[3]) + 1.3 * float(gust[0]) + 0.12 * daily)
        turned = 225.0 + 190.0 * float(slow[4]) + 22.0 * float(gust[1])
        return Weather(
            temperature, humidity, 1013.0 + 14.0 * float(slow[2] - slow[0]), wind,
            turned % 360.0, light, cloud, up_deg, bearing_deg,
        )  # fmt: skip


def sun(day_s: float) -> tuple[float, float]:
    """(elevation, bearing) of the sun in degrees; noon is at 12 o'clock of the site."""
    hour_angle = math.radians((day_s / 3600.0 % 24.0 - 12.0) * 15.0)
    latitude, declination = math.radians(LATITUDE_DEG), math.radians(DECLINATION_DEG)
    up = math.sin(latitude) * math.sin(declination)
    up += math.cos(latitude) * math.cos(declination) * math.cos(hour_angle)
    east = -math.cos(declination) * math.sin(hour_angle)
    north = math.cos(latitude) * math.sin(declination)
    north -= math.sin(latitude) * math.cos(declination) * math.cos(hour_angle)
    return math.degrees(math.asin(up)), math.degrees(math.atan2(east, north)) % 360.0


def _clear_sky(up_deg: float) -> float:
    """Global irradiance on the horizontal without clouds, W/m2 (Haurwitz, 1945)."""
    height = math.sin(math.radians(up_deg))
    return 1098.0 * height * math.exp(-0.057 / height) if height > 0.01 else 0.0
