"""Visitors: from the gates to the pavilions, from one to the next, and home.

A flow by the minute: who is in a pavilion leaves it after a drawn stay and walks on to another by
its drawn attraction and its distance. A function of seed and time, the same for every process of
the plant. Knows buildings, no instrument.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .site import Site, place

Floats = NDArray[np.float64]

OPENS_H: Final = 9.0
CLOSES_H: Final = 22.0
LAST_ENTRY_H: Final = 20.0
PER_PAVILION: Final = 950.0
"""Visitors of a day for each pavilion, on an ordinary day."""
WALK_MIN: Final = 7.0
GATES: Final = (("North gate", "Nordtor", 0.0), ("South gate", "Südtor", 180.0))
STEP_S: Final = 60.0


class Crowd:
    """Where people are; `advance` takes it on. All arrays are by building of the site.

    Attributes:
        inside: people in each building (visitors and staff).
        waiting: people in the queue before each.
        entered, left: people through each gate since midnight.
        walking: visitors between buildings.
    """

    def __init__(self, site: Site, seed: int, day_s: float) -> None:
        rng = np.random.default_rng([seed, 31])
        n = len(site.buildings)
        self._seed = seed
        self._is_pavilion = np.array([b.archetype.is_pavilion for b in site.buildings])
        self._attraction = np.where(self._is_pavilion, rng.lognormal(0.0, 0.7, n), 0.03)
        self._stay_min = rng.uniform(16.0, 42.0, n)
        area = np.array([b.area_m2 for b in site.buildings])
        self._room_for = area / 3.2
        self._staff = area / np.where(self._is_pavilion, 150.0, 24.0) * rng.uniform(0.7, 1.2, n)
        at = np.array([(b.x_m, b.z_m) for b in site.buildings])
        away = np.linalg.norm(at[:, None] - at[None, :], axis=2)
        pull = self._attraction[None, :] * np.exp(-away / 260.0)
        np.fill_diagonal(pull, 0.0)
        self._next = pull / np.maximum(pull.sum(axis=1, keepdims=True), 1e-9)
        gates = np.array([place(540.0, bearing) for _, _, bearing in GATES])
        near = np.exp(-np.linalg.norm(gates[:, None] - at[None, :], axis=2) / 320.0)
        first = self._attraction[None, :] * near
        self._first = first / first.sum(axis=1, keepdims=True)
        self._gate_share = np.array([0.45, 0.55])
        self._per_day = PER_PAVILION * max(1, int(self._is_pavilion.sum()))
        self._at_s = math.floor(day_s / 86_400.0) * 86_400.0
        self._visitors = np.zeros(n)
        self._coming = np.zeros(n)
        self._arrived = np.zeros(n)
        self._clear()
        self.advance(day_s)

    def _clear(self) -> None:
        self._visitors[:] = 0.0
        self._coming[:] = 0.0
        self._arrived[:] = 0.0
        self._leaving = np.zeros(len(GATES))
        self.entered = np.zeros(len(GATES))
        self.left = np.zeros(len(GATES))
        self.inside = self._people(self._at_s)

    @property
    def waiting(self) -> Floats:
        return self._arrived

    @property
    def walking(self) -> float:
        return float(self._coming.sum())

    def advance(self, day_s: float) -> None:
        """Takes it on to so many seconds after midnight of the first day, minute by minute."""
        while self._at_s + STEP_S <= day_s:
            self._at_s += STEP_S
            if self._at_s % 86_400.0 < STEP_S:
                self._clear()
            self._minute()

    def _minute(self) -> None:
        minute = int(self._at_s // STEP_S)
        rng = np.random.default_rng([self._seed, 32, minute])
        hour = self._at_s / 3600.0 % 24.0
        come = self._per_day * _arrivals(hour) / 60.0 * rng.lognormal(0.0, 0.12)
        by_gate = come * self._gate_share
        self.entered += by_gate
        # Out of the pavilions: the later, the more of them go home.
        out = self._visitors / self._stay_min
        out = np.minimum(out * rng.lognormal(0.0, 0.1, len(out)), self._visitors)
        home = float(np.clip((hour - 13.0) / 11.0, 0.03, 1.0) ** 1.6)
        if hour > CLOSES_H - 0.75 or hour < OPENS_H:
            home, out = 1.0, np.minimum(self._visitors, np.maximum(out, self._visitors * 0.12))
        self._visitors -= out
        self._leaving += out.sum() * home * self._gate_share
        gone = self._leaving / WALK_MIN
        self._leaving -= gone
        self.left += gone
        self._coming += (out * (1.0 - home)) @ self._next + by_gate @ self._first
        there = self._coming / WALK_MIN
        self._coming -= there
        self._arrived += there
        let_in = np.minimum(self._arrived, np.maximum(self._room_for - self._visitors, 0.0) * 0.3)
        self._arrived -= let_in
        # Who finds a long queue goes somewhere else.
        tired = np.maximum(self._arrived - 0.25 * self._room_for, 0.0) * 0.2
        self._arrived -= tired
        self._coming += tired @ self._next
        self._visitors += let_in
        self.inside = self._people(self._at_s)

    def _people(self, day_s: float) -> Floats:
        hour = day_s / 3600.0 % 24.0
        office = _plateau(hour, 7.5, 18.5, 1.2)
        open_ = _plateau(hour, OPENS_H - 0.7, CLOSES_H + 0.3, 0.6)
        return self._visitors + self._staff * np.where(self._is_pavilion, open_, office) + 0.2


def water_m3_h(site: Site, people: Floats, day_s: float, seed: int) -> Floats:
    """Water drawn by each building: basins and kitchens by people, a little always, and chance
    by the minute. A function, so that meter and network agree."""
    n = len(site.buildings)
    rng = np.random.default_rng([seed, 33, int(day_s // 60.0)])
    drawn = np.random.default_rng([seed, 34])
    habit = drawn.lognormal(0.0, 0.25, n)
    always = drawn.uniform(0.02, 0.12, n)
    hour = day_s / 3600.0 % 24.0
    meals = (
        1.0
        + 0.7 * math.exp(-(((hour - 13.0) / 1.1) ** 2))
        + 0.5 * math.exp(-(((hour - 19.0) / 1.2) ** 2))
    )
    per_person = 0.0052 * habit * meals  # m3/h
    return always + people * per_person * rng.gamma(9.0, 1.0 / 9.0, n)


def _arrivals(hour: float) -> float:
    """Share of the day's visitors that comes in an hour, at an hour."""
    if not OPENS_H <= hour <= LAST_ENTRY_H:
        return 0.0
    morning = math.exp(-(((hour - 10.2) / 1.3) ** 2))
    evening = 0.4 * math.exp(-(((hour - 17.3) / 1.1) ** 2))
    return (morning + evening + 0.06) / 3.45


def _plateau(hour: float, start: float, end: float, soft: float) -> float:
    rise = 1.0 / (1.0 + math.exp(-(hour - start) / soft * 4.0))
    fall = 1.0 / (1.0 + math.exp((hour - end) / soft * 4.0))
    return rise * fall
