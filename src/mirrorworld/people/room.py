"""One room: the people in one place of a world, and what they share."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from mirrorworld.people.floor import Floor
from mirrorworld.people.line import Line
from mirrorworld.protocol.people import CHAT_KEPT, Attendee, Moment, Said
from mirrorworld.server.sight import Sight

PEOPLE_MAX: Final = 512


@dataclass(slots=True, eq=False)
class Seat:
    """A person in a meeting; it stays theirs for a while when their line is lost."""

    id: int
    slot: int
    key: str
    sight: Sight
    name: str
    account: str
    role: str
    is_moderator: bool
    line: Line | None
    place: str = ""
    selected: str = ""
    is_muted: bool = False
    hand_at: int = 0
    """When it was raised, counted; 0: it is not."""
    is_own_way: bool = False
    follows: int = 0
    lost_at_s: float = 0.0
    told_s: float = -1.0
    """When they were last told that they send too much."""

    def say(self, text: str) -> None:
        """Tells them, if they are there."""
        if self.line is not None:
            self.line.say(text)

    def attendee(self, sight: Sight, hand: int) -> Attendee:
        """As somebody with this sight is told of them: of what that one may not see, nothing."""
        return Attendee(
            self.id,
            self.name,
            self.account,
            self.role,
            self.place if sight.sees(self.place) else "",
            self.selected if self.selected and sight.sees(self.selected) else "",
            self.is_muted,
            hand,
            self.line is None,
            self.is_own_way,
            self.follows,
        )


@dataclass(slots=True, eq=False)
class Room:
    """The people in one place. It lasts as long as there is somebody in it."""

    place: str
    seats: dict[int, Seat] = field(default_factory=dict[int, Seat])
    """By slot."""
    floor: Floor = field(default_factory=lambda: Floor(PEOPLE_MAX))
    chat: deque[Said] = field(default_factory=lambda: deque[Said](maxlen=CHAT_KEPT))
    presenter: int = 0
    moment: Moment = field(default_factory=lambda: Moment(None, 0.0, "", 0, now_ms()))
    _said: int = 0
    _raised: int = 0

    def hear(self, seat: Seat, text: str) -> Said:
        """Takes a line of chat."""
        self._said += 1
        said = Said(self._said, seat.id, seat.name, text, now_ms())
        self.chat.append(said)
        return said

    def raise_hand(self, seat: Seat, is_raised: bool) -> None:
        """Puts a hand at the end of the row, or takes it out."""
        if not is_raised:
            seat.hand_at = 0
        elif seat.hand_at == 0:
            self._raised += 1
            seat.hand_at = self._raised

    def hands(self) -> dict[int, int]:
        """Places in the row of raised hands, from 1, by person."""
        raised = sorted((s for s in self.seats.values() if s.hand_at), key=lambda s: s.hand_at)
        return {seat.id: place for place, seat in enumerate(raised, 1)}


def now_ms() -> float:
    """The server's clock, Unix milliseconds."""
    return time.time() * 1e3
