"""Recording a room, by consent of all in it: asked, agreed, and stopped by any of them.

Nothing is taken before everybody who is in the room has agreed. Whoever comes later is asked too,
and nothing of anybody is taken until they have answered; one who does not agree, goes, or does not
answer in time ends it. Knows people and what they do; the files are the shelf's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from dataclasses import dataclass, field
from typing import Final

from mirrorworld.people.hub import AboutRecording, Hub, Refusing, Taken
from mirrorworld.people.names import plain_name
from mirrorworld.people.room import Room, Seat, now_ms
from mirrorworld.people.shelf import (
    BYTES_MAX,
    LENGTH_S_MAX,
    RECORDINGS_MAX,
    Agreed,
    Ended,
    Shelf,
    Tape,
    Went,
)
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import REASON_MAX, Moment, Said, encode
from mirrorworld.trust.accounts import AccountsDown

log = logging.getLogger(__name__)

ANSWER_S: Final = 60.0
"""How long somebody who is asked may think; then they have not agreed."""
AGAIN_S: Final = 30.0
"""How long after a no nobody in the room is asked again."""
WRITES_EVERY_S: Final = 1.0


@dataclass(slots=True, eq=False)
class Consent:
    """A recording of one room, asked for or running."""

    id: str
    by: Seat
    by_name: str
    reason: str
    asked: dict[Seat, float] = field(default_factory=dict[Seat, float])
    """Who has yet to answer, and until when (server's clock, Unix ms)."""
    agreed: dict[Seat, float] = field(default_factory=dict[Seat, float])
    number: dict[Seat, int] = field(default_factory=dict[Seat, int])
    """Of each who is in the recording."""
    names: dict[Seat, str] = field(default_factory=dict[Seat, str])
    tape: Tape | None = None
    paused_ms: float = 0.0
    """Since when nothing is taken, because somebody is asked; 0: it runs."""
    writing: asyncio.Task[None] | None = None


class Recordings:
    """The recordings of all rooms of a hub."""

    def __init__(self, hub: Hub, shelf: Shelf) -> None:
        self.shelf = shelf
        self.answer_s = ANSWER_S
        self.again_s = AGAIN_S
        self.length_s_max = LENGTH_S_MAX
        self.bytes_max = BYTES_MAX
        self._hub = hub
        self._of: dict[str, Consent] = {}
        """By the place of the room."""
        self._refused: dict[str, float] = {}
        """When the last no was, by place."""
        self._closing: dict[str, asyncio.Task[None]] = {}
        """Recordings that are over and whose last bytes are being written, by id."""
        hub.on_recording = self.hear
        hub.on_shown.append(self.entered)
        hub.on_left.append(self.left)
        hub.on_taken.append(self.take)
        hub.on_tick.append(self.tick)

    # --- what people say ---

    def hear(self, seat: Seat, said: AboutRecording) -> None:
        """Does what somebody says. Raises Refusing: it is not followed."""
        consent = self._of.get(seat.place)
        match said:
            case shapes.AskRecording(reason=reason):
                self._ask(seat, consent, reason)
            case shapes.AnswerRecording(id=id, is_agreed=is_agreed):
                # An answer to what is no longer asked is none; who agreed takes it back by a stop.
                if consent is None or consent.id != id or seat not in consent.asked:
                    return
                if not is_agreed:
                    self._end(seat.place, "not agreed")
                    return
                del consent.asked[seat]
                consent.agreed[seat] = now_ms()
                self._go_on(seat.place, consent)
            case shapes.StopRecording():
                if consent is None:
                    return
                self._end(seat.place, "not agreed" if seat in consent.asked else "stopped")

    def _ask(self, seat: Seat, consent: Consent | None, reason: str) -> None:
        why = plain_name(reason, "", REASON_MAX)
        if not self._hub.may_record(seat):
            mend = "ask somebody who may write notes here; guests may not"
            raise Refusing("you may not ask for a recording", "AskRecording", mend)
        if not why:
            raise Refusing("say why it is to be recorded", "AskRecording.reason")
        if consent is not None:
            raise Refusing("a recording is on, or asked for", "AskRecording")
        wait_ms = self._refused.get(seat.place, 0.0) + self.again_s * 1e3 - now_ms()
        if wait_ms > 0:
            mend = f"ask again in {wait_ms / 1e3:.0f} s"
            raise Refusing("a recording was not agreed to just now", "AskRecording", mend)
        if len(self.shelf.ids()) >= RECORDINGS_MAX:
            mend = "delete one of them"
            raise Refusing(f"{RECORDINGS_MAX} recordings are kept already", "AskRecording", mend)
        due = now_ms() + self.answer_s * 1e3
        asked = {each: due for each in self._hub.room_of(seat).seats.values() if each is not seat}
        consent = Consent(secrets.token_hex(8), seat, seat.name, why, asked, {seat: now_ms()})
        self._of[seat.place] = consent
        self._go_on(seat.place, consent)

    def _go_on(self, place: str, consent: Consent) -> None:
        """Begins, or goes on, once nobody is waited for; tells the room how it stands."""
        room = self._hub.rooms[place]
        if not consent.asked:
            now = now_ms()
            if consent.tape is None:
                self._begin(place, consent, now)
            elif consent.paused_ms:
                consent.tape.put(shapes.RecordedPause(consent.paused_ms, now))
                consent.paused_ms = 0.0
            for seat in consent.agreed:
                self._enrol(consent, room, seat, now)
            self._see(consent, room.moment, now)
        self._hub.tell(room, self._now(consent))

    def _begin(self, place: str, consent: Consent, now: float) -> None:
        consent.tape = self.shelf.begin(place, consent.reason, 1, now)
        consent.number[consent.by] = 1
        self._note(consent.by, "meeting recorded", consent.tape.id)
        consent.writing = asyncio.create_task(self._write(place, consent))

    def _enrol(self, consent: Consent, room: Room, seat: Seat, now: float) -> None:
        """Takes somebody in who has agreed: their name, where they are, whether a hand is up. After
        a pause, what became of it meanwhile."""
        if consent.tape is None:
            return
        if seat in consent.names:
            self.take(room, seat, shapes.Stance(is_hand_raised=seat.hand_at > 0))
            self._stand(consent, room, seat, now)
            return
        number = consent.number.setdefault(seat, len(consent.number) + 1)
        who = seat.sight.who.id
        # All who are shown a world within another page are one guest: no one of them can say
        # later that it was them.
        known = "" if who.startswith("~embed-") else who.partition("/")[0]
        consent.names[seat] = seat.name
        consent.tape.put(Agreed(number, seat.name, known, consent.agreed[seat]))
        if seat.hand_at:
            consent.tape.put(shapes.RecordedHand(now, number, True))
        self._stand(consent, room, seat, now)

    # --- who comes and goes ---

    def entered(self, seat: Seat) -> None:
        """Somebody is in a room, or on a new line in it."""
        consent = self._of.get(seat.place)
        if consent is None:
            return
        if seat in consent.agreed or seat in consent.asked:
            seat.say(encode(self._now(consent)))
            return
        consent.asked[seat] = now_ms() + self.answer_s * 1e3
        if consent.tape is not None and not consent.paused_ms:
            consent.paused_ms = now_ms()
        self._hub.tell(self._hub.room_of(seat), self._now(consent))

    def left(self, seat: Seat) -> None:
        """Somebody went, to another room too."""
        consent = self._of.get(seat.place)
        if consent is None:
            return
        if seat in consent.names and consent.tape is not None:
            consent.tape.put(Went(consent.number[seat], now_ms()))
        if seat in consent.asked:
            self._end(seat.place, "not agreed")
        elif seat.place not in self._hub.rooms:
            self._end(seat.place, "all left")
        elif consent.tape is None and seat is consent.by:
            self._end(seat.place, "stopped")
        consent.agreed.pop(seat, None)

    def tick(self) -> None:
        """Ends what nobody answered in time, what is too long or too large."""
        now = now_ms()
        for place, consent in list(self._of.items()):
            if any(due <= now for due in consent.asked.values()):
                self._end(place, "no answer")
            elif consent.tape is None:
                continue
            elif now - consent.tape.began.at_ms > self.length_s_max * 1e3:
                self._end(place, "too long")
            elif consent.tape.bytes > self.bytes_max:
                self._end(place, "too large")

    # --- what they do ---

    def take(self, room: Room, seat: Seat, what: Taken) -> None:
        """Takes what somebody did, where it is to be recorded."""
        consent = self._of.get(room.place)
        if consent is None or consent.tape is None:
            return
        number = consent.number.get(seat, 0)
        if consent.paused_ms or not number:
            return
        now = now_ms()
        match what:
            case None:
                self._stand(consent, room, seat, now)
            case Said(text=text):
                consent.tape.put(shapes.RecordedChat(now, number, text))
            case Moment():
                self._see(consent, what, now)
            case shapes.Stance():
                if what.is_hand_raised is not None:
                    is_raised = seat.hand_at > 0
                    consent.tape.put(shapes.RecordedHand(now, number, is_raised))
                if seat.name != consent.names.get(seat):
                    consent.names[seat] = seat.name
                    consent.tape.put(shapes.RecordedName(now, number, seat.name))

    def _stand(self, consent: Consent, room: Room, seat: Seat, now: float) -> None:
        pose = room.floor.at(seat.slot)
        if pose is not None and consent.tape is not None:
            consent.tape.pose(now, consent.number[seat], *pose)

    def _see(self, consent: Consent, moment: Moment, now: float) -> None:
        """Takes the moment that is shown, as it stands now."""
        if consent.tape is None:
            return
        source_ms = moment.source_ms
        if source_ms is not None:
            source_ms += moment.speed * max(0.0, now - moment.at_ms)
        by = next((n for seat, n in consent.number.items() if seat.id == moment.by), 0)
        consent.tape.put(shapes.RecordedMoment(now, by, source_ms, moment.speed, moment.branch))

    # --- the end ---

    def _end(self, place: str, why: str) -> None:
        consent = self._of.pop(place, None)
        if consent is None:
            return
        tape = consent.tape
        if tape is None:
            self._refused = {p: at for p, at in self._refused.items() if p in self._hub.rooms}
            self._refused[place] = now_ms()
        elif consent.writing is not None:
            consent.writing.cancel()
            closing = asyncio.create_task(self._close(consent.writing, tape, why))
            self._closing[tape.id] = closing
            closing.add_done_callback(lambda _: self._closing.pop(tape.id, None))
        room = self._hub.rooms.get(place)
        if room is not None:
            self._hub.tell(room, self._now(consent, why))

    async def _write(self, place: str, consent: Consent) -> None:
        """Writes what was taken, once a second."""
        tape = consent.tape
        assert tape is not None
        while True:
            # Shielded: a write that has begun is waited for before the end is written.
            write = asyncio.create_task(asyncio.to_thread(tape.write, tape.take()))
            try:
                await asyncio.shield(write)
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):
                    await write
                raise
            except OSError as error:
                log.warning("a recording of a meeting ends: %s", error)
                if self._of.get(place) is consent:
                    self._end(place, "disk")
                return
            await asyncio.sleep(WRITES_EVERY_S)

    async def _close(self, writing: asyncio.Task[None], tape: Tape, why: str) -> None:
        await asyncio.gather(writing, return_exceptions=True)
        try:
            await asyncio.to_thread(tape.close, tape.take(), Ended(now_ms(), why))
        except OSError as error:
            log.warning("a recording of a meeting was not written to its end: %s", error)

    async def delete(self, id: str) -> None:
        """Deletes a recording; one that runs is ended first. Raises KeyError: there is none."""
        for place, consent in list(self._of.items()):
            if consent.tape is not None and consent.tape.id == id:
                self._end(place, "deleted")
        closing = self._closing.get(id)
        if closing is not None:
            await asyncio.wait([closing])
        await asyncio.to_thread(self.shelf.delete, id)

    def _now(self, consent: Consent, why: str = "") -> shapes.RecordingNow:
        state = "asking" if consent.tape is None else "paused" if consent.paused_ms else "on"
        return shapes.RecordingNow(
            "ended" if why else state,
            consent.id,
            consent.by.id,
            consent.by_name,
            consent.reason,
            min(consent.asked.values(), default=0.0),
            sorted(seat.id for seat in consent.asked),
            consent.tape.began.at_ms if consent.tape is not None else 0.0,
            self.shelf.days,
            why,
        )

    def _note(self, seat: Seat, what: str, detail: str) -> None:
        with contextlib.suppress(AccountsDown):
            self._hub.context.accounts.note(seat.sight.who.id, what, detail)
