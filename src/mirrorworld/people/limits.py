"""How much one person may send in a meeting."""

from __future__ import annotations

from typing import Final

from mirrorworld.trust.limits import Limit

ALLOWED: Final[dict[str, tuple[float, float]]] = {
    "poses": (60.0, 30.0),
    "words": (700.0, 80.0),
    "chat": (8.0, 1.0),
    "signals": (600.0, 60.0),
    "strikes": (300.0, 5.0),
}
"""At once, and a second: three times what a page sends. Strikes are what was over that."""


class Limits:
    """The buckets of all who are here."""

    def __init__(self) -> None:
        self._of = {what: Limit(*allowed) for what, allowed in ALLOWED.items()}

    def takes(self, id: int, what: str, cost: float) -> bool:
        """Whether somebody may send this much more of something now."""
        return self._of[what].wait_s(str(id), cost) == 0.0
