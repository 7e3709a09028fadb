"""The meetings of one world: who is in which room, and what each is told.

What is new of people is gathered and told once a tick, encoded once for all who may see the same.
Everything is bounded: people, what waits for a slow line, what one person may send. Lives on the
server's loop; refuses to know requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from mirrorworld.people import limits
from mirrorworld.people.line import Line
from mirrorworld.people.names import plain_name, plain_text
from mirrorworld.people.room import PEOPLE_MAX, Room, Seat, now_ms
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import (
    CLOSE_ELSEWHERE,
    CLOSE_FLOOD,
    CLOSE_PUT_OUT,
    MEETING_VERSION,
    POSE_HZ,
    SIGNAL_BYTES_MAX,
    Attendance,
    Attendee,
    Entered,
    Joined,
    Moment,
    encode,
)
from mirrorworld.server.context import Context
from mirrorworld.server.past import SPEED_MAX
from mirrorworld.server.sight import Sight
from mirrorworld.trust.accounts import AccountsDown
from mirrorworld.world.ports import Action, Principal

TICK_S: Final = 1 / POSE_HZ
FAR_EVERY: Final = 5
"""Ticks after which all are told of those who are far away."""
AWAY_S: Final = 20.0
"""How long somebody whose line is lost keeps their seat."""
OUT_S: Final = 60.0
"""How long somebody who was put out may not come again."""
TOLD_EVERY_S: Final = 1.0
GUESTS_EVERY: Final = 100
"""Ticks after which guests whose link has ended are looked for."""
ROLES: Final = ("owner", "engineer", "operator", "viewer")


AboutRecording = shapes.AskRecording | shapes.AnswerRecording | shapes.StopRecording
Taken = shapes.Stance | shapes.Said | Moment | None


class Refusing(Exception):
    """A message that is not followed; the person is told why and what to do."""

    def __init__(self, detail: str, place: str = "", mend: str = "") -> None:
        super().__init__(detail)
        self.said = shapes.Refusal(detail, place, mend)


class Hub:
    """All rooms of one world."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.rooms: dict[str, Room] = {}
        self.tally: Counter[str] = Counter()
        self.away_s = AWAY_S
        self.on_forward: Callable[[Seat, shapes.Signal], None] | None = None
        """Takes signals that are for the server itself (`to` is 0); None: there is no forwarder."""
        self.on_left: list[Callable[[Seat], None]] = []
        """Told of everybody who leaves, or goes to another room."""
        self.on_shown: list[Callable[[Seat], None]] = []
        """Told of everybody who has just been shown the room that they are in, or shown it anew."""
        self.on_taken: list[Callable[[Room, Seat, Taken], None]] = []
        """Told of what people did in a room, once it holds; None: they moved."""
        self.on_recording: Callable[[Seat, AboutRecording], None] | None = None
        """Takes what people say about recording; None: nothing can be recorded here."""
        self.on_tick: list[Callable[[], None]] = []
        self._seats: dict[int, Seat] = {}
        """By id."""
        self._by_key: dict[tuple[str, str], Seat] = {}
        self._free = list(range(PEOPLE_MAX))
        self._next_id = 0
        self._changed: set[int] = set()
        self._gone: set[int] = set()
        self._out: dict[tuple[str, str], float] = {}
        self._limits = limits.Limits()
        self._ticking: asyncio.Task[None] | None = None
        self._expiring: asyncio.Task[None] | None = None

    # --- who is here ---

    @property
    def people(self) -> int:
        """How many are here, those included whose line is lost."""
        return len(self._seats)

    def seat(self, id: int) -> Seat | None:
        """The person of that number."""
        return self._seats.get(id)

    def room_of(self, seat: Seat) -> Room:
        """The room that they are in."""
        return self.rooms[seat.place]

    def join(self, line: Line, who: Principal, name: str, join: shapes.Join) -> Seat:
        """Gives a person a seat, or the one that they had.

        Args:
            name: how they are called if they do not say.

        Raises:
            Refusing: there is no room, or they were put out a moment ago.
        """
        key = (who.id, join.key)
        if not 16 <= len(join.key) <= 64:
            raise Refusing("a key has 16 to 64 characters", "Join.key", "make a random one")
        if self._out.get(key, 0.0) > time.monotonic():
            raise Refusing("you were put out of this meeting", "Join", "come again in a minute")
        sight = self.context.sights.of(who)
        seat = self._by_key.get(key)
        if seat is None:
            seat = self._new_seat(line, who, name, join, sight)
        else:
            if seat.line is not None:
                seat.line.close(CLOSE_ELSEWHERE, "joined by another line")
            seat.line, seat.sight = line, sight
        seat.role = self._role(who)
        seat.is_moderator = self._may_moderate(who)
        self._changed.add(seat.id)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick())
        everybody = self._attendees(sight, list(self._seats.values()))
        line.say(encode(Joined(
            MEETING_VERSION, seat.id, seat.name, now_ms(), seat.is_moderator, everybody,
            self.on_recording is not None and self.may_record(seat),
        )))  # fmt: skip
        self._show_room(seat)
        return seat

    def _new_seat(
        self, line: Line, who: Principal, name: str, join: shapes.Join, sight: Sight
    ) -> Seat:
        if not self._free:
            raise Refusing(f"{PEOPLE_MAX} people are here already", "Join", "come again later")
        id = join.id if 0 < join.id < 1 << 16 and join.id not in self._seats else self._new_id()
        is_guest = who.id.startswith("~")
        otherwise = plain_name(name, who.id.partition("/")[0])
        seat = Seat(
            id,
            self._free.pop(),
            join.key,
            sight,
            plain_name(join.name, otherwise),
            "" if is_guest else who.id,
            self._role(who),
            False,
            line,
        )
        self._seats[id] = self._by_key[(who.id, join.key)] = seat
        self._gone.discard(id)
        self._enter(seat, join.place if self._is_place(seat, join.place) else "")
        self.tally["joined"] += 1
        self._count()
        return seat

    def lost(self, seat: Seat, line: Line, *, is_for_good: bool) -> None:
        """Their line has ended."""
        if seat.line is not line:
            return  # another has taken its place
        seat.line = None
        if is_for_good:
            self.leave(seat)
        else:
            seat.lost_at_s = time.monotonic()
            self._changed.add(seat.id)

    def leave(self, seat: Seat) -> None:
        """Somebody goes."""
        if self._seats.get(seat.id) is not seat:
            return
        self._left(seat)
        seat.line = None
        del self._seats[seat.id]
        self._by_key.pop((seat.sight.who.id, seat.key), None)
        self._free.append(seat.slot)
        self._changed.discard(seat.id)
        self._gone.add(seat.id)
        self._count()
        for other in self._seats.values():
            if other.follows == seat.id:
                other.follows = 0
                self._changed.add(other.id)

    def put_out(self, seat: Seat, code: int, why: str) -> None:
        """Somebody has to go, and may not come again for a while."""
        now = time.monotonic()
        self._out = {key: until for key, until in self._out.items() if until > now}
        self._out[(seat.sight.who.id, seat.key)] = now + OUT_S
        self.tally["put_out"] += 1
        if seat.line is not None:
            seat.line.close(code, why)
        self.leave(seat)

    def _new_id(self) -> int:
        while True:
            self._next_id = self._next_id % 65_535 + 1
            if self._next_id not in self._seats:
                return self._next_id

    def _count(self) -> None:
        self.context.views.people = len(self._seats)

    # --- rooms ---

    def _is_place(self, seat: Seat, place: str) -> bool:
        twins = self.context.mirror.world.structure.twins
        return place == "" or (place in twins and seat.sight.sees(place))

    def _enter(self, seat: Seat, place: str) -> None:
        room = self.rooms.get(place)
        if room is None:
            room = self.rooms[place] = Room(place)
        seat.place = place
        room.seats[seat.slot] = seat
        room.floor.enter(seat.slot, seat.id)
        self._changed.add(seat.id)

    def _left(self, seat: Seat) -> None:
        """Takes a person out of their room; the last one ends it."""
        room = self.room_of(seat)
        del room.seats[seat.slot]
        room.floor.leave(seat.slot)
        if seat.hand_at:
            seat.hand_at = 0
            self._changed.update(room.hands())
        if room.presenter == seat.id:
            self._set_presenter(room, 0)
        if not room.seats:
            del self.rooms[seat.place]
        for listener in self.on_left:
            listener(seat)

    def _show_room(self, seat: Seat) -> None:
        room = self.room_of(seat)
        chat = list(room.chat)
        seat.say(encode(Entered(seat.place, room.moment, room.presenter, chat)))
        if seat.line is not None:
            seat.line.show(room.floor.whole(now_ms()), is_whole=True)
        for listener in self.on_shown:
            listener(seat)

    def tell(self, room: Room, message: shapes.MeetServerMessage) -> None:
        """Tells all in a room."""
        self._flush()  # who is told of somebody knows them already
        text = encode(message)
        for seat in room.seats.values():
            seat.say(text)

    def _taken(self, room: Room, seat: Seat, what: Taken) -> None:
        for listener in self.on_taken:
            listener(room, seat, what)

    def _set_presenter(self, room: Room, id: int) -> None:
        if room.presenter != id:
            room.presenter = id
            self.tell(room, shapes.Presenting(id))

    # --- what people say ---

    def pose(self, seat: Seat, data: bytes) -> None:
        """Takes where somebody is.

        Raises:
            Refusing: it is no pose, or there are too many.
        """
        self._spend(seat, "poses", 1.0)
        room = self.room_of(seat)
        try:
            room.floor.take(seat.slot, data, now_ms())
        except ValueError as error:
            raise Refusing(str(error), "pose") from error
        self._taken(room, seat, None)
        self.tally["poses"] += 1

    def follow(self, seat: Seat, message: shapes.MeetClientMessage) -> None:
        """Does what a message says.

        Raises:
            Refusing: it is not followed; all else goes on.
        """
        self._spend(seat, "words", 1.0)
        self.tally["messages"] += 1
        room = self.room_of(seat)
        match message:
            case shapes.Stance():
                self._stand(seat, room, message)
            case shapes.Say(text=text):
                self._spend(seat, "chat", 1.0)
                said = plain_text(text)
                if said:
                    heard = room.hear(seat, said)
                    self.tell(room, heard)
                    self._taken(room, seat, heard)
            case shapes.Signal():
                self._signal(seat, room, message)
            case shapes.SetMoment():
                self._set_moment(seat, room, message)
            case shapes.Present(is_on=is_on):
                self._present(seat, room, is_on)
            case shapes.Bring(to=to):
                self._bring(seat, room, to)
            case shapes.Go(place=place):
                self._go(seat, place)
            case shapes.PutOut(id=id):
                self._put_out(seat, id)
            case shapes.AskRecording() | shapes.AnswerRecording() | shapes.StopRecording():
                if self.on_recording is None:
                    raise Refusing("this world keeps no recordings", "AskRecording")
                self.on_recording(seat, message)
            case shapes.Leave():
                self.leave(seat)
            case shapes.Ping(id=number):
                seat.say(encode(shapes.Pong(number, now_ms())))
            case shapes.Join():
                raise Refusing("Join was said already", "message")

    def _stand(self, seat: Seat, room: Room, new: shapes.Stance) -> None:
        if new.name is not None:
            seat.name = plain_name(new.name, seat.name)
        if new.selected is not None:
            twins = self.context.mirror.world.structure.twins
            seat.selected = new.selected if new.selected in twins else ""
        if new.is_muted is not None:
            seat.is_muted = new.is_muted
        if new.is_own_way is not None:
            seat.is_own_way = new.is_own_way
        if new.follows is not None:
            other = self._seats.get(new.follows)
            is_there = other is not None and other is not seat and other.place == seat.place
            seat.follows = new.follows if is_there else 0
        if new.is_hand_raised is not None:
            self._changed.update(room.hands())
            room.raise_hand(seat, new.is_hand_raised)
        self._changed.add(seat.id)
        self._taken(room, seat, new)

    def _signal(self, seat: Seat, room: Room, signal: shapes.Signal) -> None:
        self._spend(seat, "signals", 1.0)
        if len(signal.data) > SIGNAL_BYTES_MAX or len(signal.kind) > 64:
            mend = f"{SIGNAL_BYTES_MAX} characters at most"
            raise Refusing("this signal is too long", "Signal.data", mend)
        if signal.to == 0:
            if self.on_forward is None:
                raise Refusing("this server forwards no voices", "Signal.to", "speak directly")
            self.on_forward(seat, signal)
            return
        other = self._seats.get(signal.to)
        if other is None or other.place != seat.place:
            raise Refusing("nobody of that number is in this room", "Signal.to")
        self._flush()
        other.say(encode(shapes.Signalled(seat.id, signal.kind, signal.data)))

    def signal(self, to: int, kind: str, data: str) -> None:
        """Says something to a person's page in the server's own name, which is 0."""
        seat = self._seats.get(to)
        if seat is not None:
            seat.say(encode(shapes.Signalled(0, kind, data)))

    def _set_moment(self, seat: Seat, room: Room, new: shapes.SetMoment) -> None:
        at = new.source_ms
        if at is not None and not (math.isfinite(at) and abs(at) < 1e13):
            raise Refusing("that is no time", "SetMoment.source_ms", "say Unix milliseconds")
        if not 0 <= new.speed <= SPEED_MAX:
            raise Refusing("that speed is not offered", "SetMoment.speed", f"0 to {SPEED_MAX:g}")
        if len(new.branch) > 200:
            raise Refusing("that is no branch", "SetMoment.branch")
        if seat.is_own_way:
            raise Refusing("you go your own way", "SetMoment", "come back to the meeting first")
        if room.presenter not in (0, seat.id):
            raise Refusing(
                "somebody presents, and chooses the time", "SetMoment", "go your own way"
            )
        room.moment = Moment(at, new.speed, new.branch, seat.id, now_ms())
        self.tell(room, room.moment)
        self._taken(room, seat, room.moment)

    def _present(self, seat: Seat, room: Room, is_on: bool) -> None:
        if room.presenter not in (0, seat.id) and not seat.is_moderator:
            raise Refusing("somebody presents already", "Present", "ask them to end first")
        if is_on:
            seat.follows, seat.is_own_way = 0, False
            self._changed.add(seat.id)
        self._set_presenter(room, seat.id if is_on else 0)

    def _bring(self, seat: Seat, room: Room, to: list[int]) -> None:
        self._spend(seat, "chat", 1.0)
        self._flush()
        asked = set(to)
        for other in room.seats.values():
            if other is seat or (asked and other.id not in asked):
                continue
            presents = room.presenter == seat.id and not other.is_own_way
            other.say(encode(shapes.Brought(seat.id, presents or other.follows == seat.id)))

    def _go(self, seat: Seat, place: str) -> None:
        if not self._is_place(seat, place):
            raise Refusing("there is no such place", "Go.place", "name a twin of this world")
        if place != seat.place:
            self._left(seat)
            seat.follows = 0
            self._enter(seat, place)
            self._flush()
            self._show_room(seat)

    def _put_out(self, seat: Seat, id: int) -> None:
        if not seat.is_moderator:
            raise Refusing("who may invite may put out", "PutOut", "ask the owner")
        other = self._seats.get(id)
        if other is None or other is seat:
            raise Refusing("nobody of that number is here", "PutOut.id")
        self.context.accounts.note(seat.sight.who.id, "put out of meeting", other.sight.who.id)
        self.put_out(other, CLOSE_PUT_OUT, "a moderator has put you out")

    # --- limits ---

    def _spend(self, seat: Seat, what: str, cost: float) -> None:
        """Counts what somebody sends.

        Raises:
            Refusing: it is too much; after a while of that they are put out.
        """
        if self._limits.takes(seat.id, what, cost):
            return
        self.tally[f"{what}_limited"] += 1
        self.strike(seat, 1.0)
        raise Refusing("you send too much; some of it was dropped", what, "send less often")

    def strike(self, seat: Seat, cost: float) -> None:
        """Counts what nobody should send; after a while of that they are put out."""
        if not self._limits.takes(seat.id, "strikes", cost):
            self.put_out(seat, CLOSE_FLOOD, "you sent too much, for too long")

    def refuse(self, seat: Seat, error: Refusing) -> None:
        """Tells somebody that a message was not followed; of many, one a second."""
        now = time.monotonic()
        if now - seat.told_s >= TOLD_EVERY_S:
            seat.told_s = now
            seat.say(encode(error.said))

    # --- telling ---

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        number = 0
        while self._seats:
            next_at = (math.floor(loop.time() / TICK_S) + 1) * TICK_S
            await asyncio.sleep(next_at - loop.time())
            number += 1
            self._wait_for_the_lost()
            for listener in self.on_tick:
                listener()
            if number % GUESTS_EVERY == 0:
                self._expiring = asyncio.create_task(self._expire_guests())
            self._flush()
            for room in self.rooms.values():
                self._show_poses(room, is_far_too=number % FAR_EVERY == 0)

    async def _expire_guests(self) -> None:
        with contextlib.suppress(AccountsDown):  # looked for again with the next round
            await asyncio.to_thread(self.context.accounts.guests.expire)

    def _show_poses(self, room: Room, *, is_far_too: bool) -> None:
        now, whole = now_ms(), b""
        for frame, slots in room.floor.news(now, is_far_too=is_far_too):
            for slot in slots.tolist():
                line = room.seats[slot].line
                if line is None:
                    continue
                if line.is_behind:
                    whole = whole or room.floor.whole(now)
                    is_told = line.show(whole, is_whole=True)
                else:
                    is_told = line.show(frame)
                self.tally["frames" if is_told else "frames_late"] += 1

    def _wait_for_the_lost(self) -> None:
        until = time.monotonic() - self.away_s
        for seat in [s for s in self._seats.values() if s.line is None and s.lost_at_s < until]:
            self.leave(seat)

    def _flush(self) -> None:
        """Tells what is new of people, once for all who may see the same."""
        if not (self._changed or self._gone):
            return
        changed = [self._seats[id] for id in self._changed if id in self._seats]
        gone = sorted(self._gone)
        self._changed.clear()
        self._gone.clear()
        said: dict[object, str] = {}
        for seat in self._seats.values():
            if seat.line is None:
                continue
            text = said.get(seat.sight.key)
            if text is None:
                attendees = self._attendees(seat.sight, changed)
                text = said[seat.sight.key] = encode(Attendance(attendees, gone))
            seat.line.say(text)

    def _attendees(self, sight: Sight, seats: list[Seat]) -> list[Attendee]:
        hands: dict[int, int] = {}
        for place in {seat.place for seat in seats}:
            hands |= self.rooms[place].hands()
        return [seat.attendee(sight, hands.get(seat.id, 0)) for seat in seats]

    # --- roles ---

    def _role(self, who: Principal) -> str:
        held = {grant.role for grant in self.context.accounts.grants_of(who.id)} | who.roles
        return next((role for role in ROLES if role in held), "viewer")

    def may_record(self, seat: Seat) -> bool:
        """Whether somebody may ask their room for a recording: who may write there, guests not."""
        who, mirror = seat.sight.who, self.context.mirror
        may = mirror.guard.may(who, Action.WRITE, seat.place, "meeting", mirror.now_ns())
        return may.allowed and not who.id.startswith("~")

    def _may_moderate(self, who: Principal) -> bool:
        mirror = self.context.mirror
        return mirror.guard.may(who, Action.ADMINISTER, "", "meeting", mirror.now_ns()).allowed
