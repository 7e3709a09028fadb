"""What people said of a unit's stops, and the stops with it.

A statement is an authored event of kind `downtime_reason` about a stretch of a unit's time: "from
then to then it stood because of this". It lies over what the machine told, as a sparse layer: only
where the unit did not run, later ones over earlier ones; a long stop is split by speaking of a part
of it, and what is withdrawn lets show what lay below. Nothing of it changes a sample.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from mirrorworld.operations.effectiveness import RUNNING, UNKNOWN, Stretch
from mirrorworld.operations.reasons import Reasons
from mirrorworld.world.changes import Change, Event
from mirrorworld.world.model import Property, Text

KIND: Final = "downtime_reason"
COMMENT_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Said:
    """One statement, as it stands in the log."""

    id: str
    twin: str
    start_ns: int
    end_ns: int
    """0: until it runs again."""
    reason: str
    comment: str = ""
    by: str = ""
    at_ns: int = 0
    """When it was said."""
    is_withdrawn: bool = False

    def event(self) -> Event:
        """The event that carries it."""
        properties = [
            Property("end_ns", self.end_ns),
            Property("reason", self.reason),
            Property("withdrawn", True) if self.is_withdrawn else None,
        ]
        return Event(
            self.id,
            self.twin,
            KIND,
            Text.of(self.comment),
            is_acknowledged=True,
            source_ns=self.start_ns,
            properties=tuple(p for p in properties if p is not None),
        )


def said_in(change: Change) -> Said | None:
    """The statement that a change of the log carries, if it carries one."""
    event = change.body
    if not isinstance(event, Event) or event.kind != KIND:
        return None
    facts = {p.name: p.value for p in event.properties}
    end_ns = facts.get("end_ns", 0)
    return Said(
        event.id,
        event.twin,
        event.source_ns,
        end_ns if isinstance(end_ns, int) else 0,
        str(facts.get("reason", "")),
        event.message.best(),
        change.origin.by,
        change.received_ns,
        facts.get("withdrawn") is True,
    )


class Statements:
    """All that was said, read from the log as it grows. Any thread."""

    def __init__(self) -> None:
        self._after = 0
        self._said: dict[str, Said] = {}
        self._lock = threading.Lock()

    def read(self, changes: Callable[[int], Iterable[Change]]) -> list[Said]:
        """Those that hold, in the order in which they were said.

        Args:
            changes: the log's changes after a sequence, without frames.
        """
        with self._lock:
            for change in changes(self._after):
                self.hear(change)
                if change.position is not None:
                    self._after = change.position.sequence
            return list(self._said.values())

    def hear(self, change: Change) -> None:
        """Takes one change of the log, if it is a statement."""
        said = said_in(change)
        if said is None:
            return
        # What is said anew lies on top.
        self._said.pop(said.id, None)
        if not said.is_withdrawn:
            self._said[said.id] = said


def statements(changes: Iterable[Change]) -> list[Said]:
    """Those that hold of a whole log, in the order in which they were said."""
    found = Statements()
    return found.read(lambda _: changes)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch in which a unit did not run for one reason; what nobody explained has none."""

    start_ns: int
    end_ns: int
    condition: str
    """As what it counts: by what a person said, else by what the machine told."""
    state: float
    said: Said | None = None

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end_ns - self.start_ns) / 1e9


def pieces(
    did: Sequence[Stretch],
    said: Iterable[Said],
    reasons: Reasons,
    runs_again_ns: Callable[[int], int],
) -> list[Piece]:
    """What a unit did not do, cut where what people said begins and ends.

    Stretches of one condition that touch are one stop, whatever states the machine went through
    in it.

    Args:
        did: all its stretches, in order; those that run are left out.
        said: of this unit, in the order in which it was said.
        runs_again_ns: when it first ran after a time.
    """
    found: list[Piece] = []
    spoken = [replace(one, end_ns=one.end_ns or runs_again_ns(one.start_ns)) for one in said]
    for stop in _stops(did):
        over = [s for s in spoken if s.start_ns < stop.end_ns and s.end_ns > stop.start_ns]
        cuts = {stop.start_ns, stop.end_ns}
        cuts |= {t for s in over for t in (s.start_ns, s.end_ns) if stop.start_ns < t < stop.end_ns}
        for start, end in pairwise(sorted(cuts)):
            top = next((s for s in reversed(over) if s.start_ns <= start and s.end_ns >= end), None)
            known = reasons.get(top.reason) if top is not None else None
            condition = known.counts_as if known is not None else stop.condition
            if found and found[-1].end_ns == start and found[-1].said is top is not None:
                found[-1] = replace(found[-1], end_ns=end)
                continue
            found.append(Piece(start, end, condition, stop.state, top))
    return found


def _stops(did: Sequence[Stretch]) -> list[Stretch]:
    """Stretches in which it did not run; those of one condition that touch are joined, and have
    the state that held longest."""
    joined: list[list[Stretch]] = []
    for stretch in did:
        if stretch.condition == RUNNING:
            continue
        last = joined[-1][-1] if joined else None
        touches = last is not None and last.end_ns == stretch.start_ns
        if touches and last is not None and last.condition == stretch.condition:
            joined[-1].append(stretch)
        else:
            joined.append([stretch])
    return [
        Stretch(
            group[0].start_ns,
            group[-1].end_ns,
            group[0].condition,
            max(group, key=lambda stretch: stretch.seconds).state,
        )
        for group in joined
    ]


def told_apart(did: Sequence[Stretch], stood: Sequence[Piece]) -> list[Stretch]:
    """All of a unit's time in order: where it ran, and where it stood, as what each counts."""
    ran = [stretch for stretch in did if stretch.condition == RUNNING]
    cut = [Stretch(p.start_ns, p.end_ns, p.condition, p.state) for p in stood]
    return sorted((*ran, *cut), key=lambda stretch: stretch.start_ns)


def is_unexplained(piece: Piece, reasons: Reasons) -> bool:
    """Whether a person is to say why: long enough, and nobody has."""
    asks = piece.said is None and piece.condition != UNKNOWN
    return asks and piece.seconds >= reasons.ask_from_s
