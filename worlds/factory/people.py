"""The plant's people: who is there, where they stand, how tired they are, whom they help next."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from .areas import OPEN_S, SHIFT_S, WEEK_S
from .design import Crew
from .hidden import Hidden
from .loop import Loop, Signal

DAY_S = 86_400.0


@dataclass(slots=True, eq=False)
class Person:
    """One of a crew (whoever has the shift: the three crews share places and habits)."""

    group: Group
    x_m: float
    z_m: float


@dataclass(slots=True, eq=False)
class Group:
    """People with the same skills."""

    skills: tuple[str, ...]
    count: int
    present: int
    busy: int = 0
    free: list[Person] = field(default_factory=list)
    work_s: float = 0.0


@dataclass(slots=True, eq=False)
class _Wish:
    skill: str
    at: tuple[float, float]
    signal: Signal


class People:
    """All crews. `take` and `give_back` are for processes."""

    def __init__(
        self, loop: Loop, crews: tuple[Crew, ...], hidden: Hidden, rng: random.Random
    ) -> None:
        self._loop, self._hidden, self._rng = loop, hidden, rng
        self.groups = [Group(c.skills, c.count, c.count) for c in crews if c.count > 0]
        for group in self.groups:
            group.free = [Person(group, 196.0, 132.0) for _ in range(group.count)]
        self._able: dict[str, list[Group]] = {}
        for group in sorted(self.groups, key=lambda g: len(g.skills)):
            for skill in group.skills:
                self._able.setdefault(skill, []).append(group)
        self._wishes: deque[_Wish] = deque()
        loop.start(self._shifts())

    def take(self, skill: str, x_m: float, z_m: float) -> Generator[Any, Any, Person]:
        """Waits for someone who can, and for them to walk here."""
        for group in self._able[skill]:
            if group.busy < group.present and group.free:
                nearest = min(group.free, key=lambda p: abs(p.x_m - x_m) + abs(p.z_m - z_m))
                group.free.remove(nearest)
                group.busy += 1
                person = nearest
                break
        else:
            wish = _Wish(skill, (x_m, z_m), Signal())
            self._wishes.append(wish)
            person = yield wish.signal
        away_m = abs(person.x_m - x_m) + abs(person.z_m - z_m)
        person.x_m, person.z_m = x_m, z_m
        if away_m > 0.0:
            yield away_m / self._hidden.walk_m_s
        return person

    def give_back(self, person: Person, worked_s: float) -> None:
        """Ends someone's job; they go on to whoever waits longest and whom they can help."""
        group = person.group
        group.work_s += worked_s
        group.busy -= 1
        group.free.append(person)
        self._serve()

    def tiredness(self) -> float:
        """The factor on hand work now."""
        in_shift = self._loop.now % SHIFT_S / SHIFT_S
        is_night = self._loop.now % DAY_S >= 2 * SHIFT_S
        return 1.0 + self._hidden.fatigue * in_shift**2 + (self._hidden.night if is_night else 0.0)

    def _serve(self) -> None:
        if not self._wishes:
            return
        kept: deque[_Wish] = deque()
        for wish in self._wishes:
            for group in self._able[wish.skill]:
                if group.busy < group.present and group.free:
                    x, z = wish.at
                    person = min(group.free, key=lambda p: abs(p.x_m - x) + abs(p.z_m - z))
                    group.free.remove(person)
                    group.busy += 1
                    self._loop.wake_first(wish.signal, person)
                    break
            else:
                kept.append(wish)
        self._wishes = kept

    def _shifts(self) -> Generator[Any, Any, None]:
        while True:
            weekday = int(self._loop.now % WEEK_S // DAY_S)
            for group in self.groups:
                share = self._hidden.absent[weekday] if self._loop.now % WEEK_S < OPEN_S else 0.0
                away = sum(self._rng.random() < share for _ in range(group.count))
                # Someone comes in before a skill is missing altogether.
                group.present = max(1, group.count - away)
            self._serve()
            yield SHIFT_S - self._loop.now % SHIFT_S
