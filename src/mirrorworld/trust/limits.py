"""How often something may be tried: buckets that fill with time, by whoever tries."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

KEYS_MAX: Final = 50_000


class Limit:
    """A bucket for each key: `burst` at once, `per_s` over time.

    At most 50,000 keys are remembered; those unused for longest are forgotten, and their buckets
    are full again.
    """

    def __init__(
        self, burst: float, per_s: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._per_s, self._clock = burst, per_s, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refused = 0

    def wait_s(self, key: str, cost: float = 1.0) -> float:
        """Takes from the key's bucket; 0, or how long to wait if there is too little in it."""
        now = self._clock()
        left, at = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        lacking = cost - left
        if lacking <= 0:
            left -= cost
        self._left[key] = (left, now)
        if len(self._left) > KEYS_MAX:
            self._left.popitem(last=False)
        if lacking <= 0:
            return 0.0
        self.refused += 1
        return lacking / self._per_s

    def forgive(self, key: str) -> None:
        """Fills the key's bucket: it was right."""
        self._left.pop(key, None)
