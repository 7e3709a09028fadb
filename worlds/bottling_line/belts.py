"""Conveyors of the plant: where every bottle is on its belt.

A belt knows positions only: bottles move with the belt, never closer than a pitch, and wait at
the end until someone takes them. It knows no machine and no protocol.
"""

from __future__ import annotations

import numpy as np


class Belt:
    """A first-in, first-out belt of `length_m`; `step` costs the same for one and 300 bottles."""

    def __init__(self, length_m: float, pitch_m: float, nominal_m_s: float) -> None:
        self.length_m = length_m
        self.pitch_m = pitch_m
        self.capacity = int(length_m / pitch_m) + 1
        self.nominal_m_s = nominal_m_s
        self.setpoint_m_s = nominal_m_s
        self.speed_m_s = 0.0
        self.is_enabled = True
        self.count_in = 0
        self.count_out = 0
        self.count = 0
        # Distance from the start, the bottle nearest to the end first.
        self._place = np.zeros(self.capacity + 1)
        self._offset = np.arange(self.capacity + 1) * pitch_m

    def step(self, dt_s: float) -> None:
        """Moves the belt, which ramps to its set-point in about two seconds."""
        target = self.setpoint_m_s if self.is_enabled else 0.0
        ramp = self.nominal_m_s * 0.5 * dt_s
        self.speed_m_s += min(max(target - self.speed_m_s, -ramp), ramp)
        n = self.count
        if n == 0 or self.speed_m_s <= 0.0:
            return
        # With the pitch added once per place in the queue, "never closer than a pitch to the
        # one ahead" becomes a running minimum.
        place = self._place[:n]
        place += self.speed_m_s * dt_s
        place[0] = min(place[0], self.length_m)
        place += self._offset[:n]
        np.minimum.accumulate(place, out=place)
        place -= self._offset[:n]

    @property
    def has_room(self) -> bool:
        """Whether a bottle can be set down at the start."""
        n = self.count
        return n == 0 or (n < self.capacity and self._place[n - 1] >= self.pitch_m)

    @property
    def free_start_m(self) -> float:
        """How far the last bottle is from the start."""
        return float(self._place[self.count - 1]) if self.count else self.length_m

    @property
    def is_waiting(self) -> bool:
        """Whether a bottle stands at the end."""
        return self.count > 0 and self._place[0] >= self.length_m - 1e-6

    @property
    def backlog(self) -> int:
        """How many bottles stand in an unbroken queue at the end."""
        n = self.count
        if not self.is_waiting:
            return 0
        queued = self._place[:n] + self._offset[:n] >= self.length_m - 0.02
        return n if queued.all() else int(np.argmin(queued))

    def push(self) -> None:
        """Sets a bottle down at the start; only if `has_room`."""
        self._place[self.count] = 0.0
        self.count += 1
        self.count_in += 1

    def pop(self) -> None:
        """Takes the bottle at the end; only if `is_waiting`."""
        self._place[: self.count - 1] = self._place[1 : self.count]
        self.count -= 1
        self.count_out += 1
