"""A shift's rhythm: start-up, planned speed changes, breaks, a changeover, and the crew.

The rhythm acts as people do, through set-points, Start and Stop, and through what a crew does
when a machine has stood for too long. It knows no protocol.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the shift, from a share of its length until the next one."""

    start: float
    name: str
    runs: bool
    speed_per_h: float


RHYTHM: Final = (
    Phase(0.00, "start-up", True, 12_000.0),
    Phase(0.06, "production", True, 18_000.0),
    Phase(0.27, "break", False, 18_000.0),
    Phase(0.30, "production", True, 18_000.0),
    Phase(0.46, "production, fast", True, 20_000.0),
    Phase(0.60, "break", False, 18_000.0),
    Phase(0.63, "production", True, 18_000.0),
    Phase(0.80, "planned stop", False, 15_000.0),
    Phase(0.82, "production", True, 16_000.0),
    Phase(0.97, "run-out", False, 12_000.0),
)


class Shift:
    """Where in the shift the line is. A length of 0 means: no rhythm, production forever."""

    def __init__(self, length_s: float, start: float = 0.1) -> None:
        self.length_s = length_s
        self.elapsed_s = start * length_s
        self.number = 1
        self.phase = self._find()

    def step(self, dt_s: float) -> Phase | None:
        """Lets time pass; returns the new phase when one begins."""
        if self.length_s <= 0.0:
            return None
        self.elapsed_s += dt_s
        if self.elapsed_s >= self.length_s:
            self.elapsed_s -= self.length_s
            self.number += 1
        phase = self._find()
        if phase is self.phase:
            return None
        self.phase = phase
        return phase

    def _find(self) -> Phase:
        if self.length_s <= 0.0:
            return RHYTHM[1]
        share = self.elapsed_s / self.length_s
        return next(phase for phase in reversed(RHYTHM) if share >= phase.start)
