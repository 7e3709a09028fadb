"""What a principal may see of a world: the guard's answers, kept for a few seconds.

Asking a guard for each of 100,000 twins at each of 20 deltas a second would be all that the
server does, so an answer holds for `HOLDS_S`. A guard that never looks at the twin says so
(`is_by_twin = False`) and is asked once for all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.server.mirrored import Mirrored
from mirrorworld.world.model import Relation
from mirrorworld.world.ports import Action, Principal

HOLDS_S: Final = 10.0


class Sight:
    """One principal's view of one world."""

    def __init__(
        self, mirror: Mirrored, who: Principal, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.who = who
        self.version = 0
        """Grows when an answer that was given before has changed; then views start afresh."""
        self._mirror = mirror
        self._clock = clock
        sees_whole = getattr(mirror.guard, "sees_whole", None)
        self._by_twin: bool = getattr(mirror.guard, "is_by_twin", True)
        if sees_whole is not None:
            self._by_twin = not sees_whole(who)
        self._asked_at = -HOLDS_S
        self._all = False
        self._seen: dict[str, bool] = {}

    def refresh(self) -> None:
        """Asks again what was asked too long ago."""
        if self._clock() - self._asked_at < HOLDS_S:
            return
        self._asked_at = self._clock()
        sees_all = self._ask("")
        new = {twin: self._ask(twin) for twin in self._seen} if self._by_twin else {}
        if sees_all != self._all or new != self._seen:
            self.version += 1
        self._all, self._seen = sees_all, new

    @property
    def is_whole(self) -> bool:
        """Whether every twin is seen, whatever its id."""
        self.refresh()
        return self._all and not self._by_twin

    @property
    def key(self) -> tuple[str, frozenset[str], int]:
        """Two sights with equal keys see the same."""
        if self.is_whole:
            return ("", frozenset(), 0)
        return (self.who.id, self.who.roles, self.version)

    def sees(self, twin: str) -> bool:
        """Whether the twin is shown. The empty id is the world as such."""
        self.refresh()
        if not self._by_twin or not twin:
            return self._all
        answer = self._seen.get(twin)
        if answer is None:
            answer = self._seen[twin] = self._ask(twin)
        return answer

    def twins(self, ids: Iterable[str]) -> list[str]:
        """Those of the twins that are shown."""
        return list(ids) if self.is_whole else [twin for twin in ids if self.sees(twin)]

    def relations(self, relations: Iterable[Relation]) -> list[Relation]:
        """Those of the relations of which both ends are shown."""
        if self.is_whole:
            return list(relations)
        return [r for r in relations if self.sees(r.source) and self.sees(r.target)]

    def handles(self, handles: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Those of the points whose twin is shown."""
        if self.is_whole or not len(handles):
            return handles
        point = self._mirror.world.structure.point
        return handles[[self.sees(point(handle)[0]) for handle in handles.tolist()]]

    def _ask(self, twin: str) -> bool:
        decision = self._mirror.guard.may(
            self.who, Action.READ, twin, "view", self._mirror.now_ns()
        )
        return decision.allowed


class Sights:
    """The sights of all principals that are here now."""

    def __init__(self, mirror: Mirrored) -> None:
        self._mirror = mirror
        self._of: dict[Principal, Sight] = {}

    def forget(self, person: str) -> None:
        """Asks anew from now on for a person and their tokens: grants have changed."""
        for who in [w for w in self._of if w.id == person or w.id.startswith(f"{person}/")]:
            del self._of[who]

    def of(self, who: Principal) -> Sight:
        """The sight of a principal; at most 256 are kept."""
        sight = self._of.get(who)
        if sight is None:
            if len(self._of) >= 256:
                self._of.pop(next(iter(self._of)))
            sight = self._of[who] = Sight(self._mirror, who)
        sight.refresh()
        return sight
