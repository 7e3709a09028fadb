"""One branch, open: its world, its log, the changes that people made in it, and taking them back.

The loop owns it, as it owns the live world. What is applied is noted at once and is durable after
`commit`; nobody is told before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mirrorworld.branches.kept import LOG, Head
from mirrorworld.live.typed import typed
from mirrorworld.record.files import Files
from mirrorworld.record.history import History
from mirrorworld.record.keyframes import Keyframes
from mirrorworld.record.log import Log
from mirrorworld.record.parquet import Compacted
from mirrorworld.world.changes import (
    Body,
    Change,
    DropSheet,
    Edits,
    Origin,
    OriginKind,
    Position,
    PutSheet,
)
from mirrorworld.world.frames import Frame, FrameBuilder, Handles
from mirrorworld.world.model import Kind, Scalar, Sheet
from mirrorworld.world.quality import BAD_WAITING
from mirrorworld.world.state import Columns
from mirrorworld.world.undoing import undone
from mirrorworld.world.world import World

CHANGES_MAX: Final = 10_000
VALUES_MAX: Final = 10_000
"""Assumed at once."""
PARAMETERS_MAX: Final = 1_000
PEOPLE: Final = "people"
UNDO: Final = "undo of "
SCENARIO: Final = ("scenario", "parameters")
"""(kind, name) of the sheet with a branch's scenario parameters: a JSON object of scalars."""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """One change that a person made, and what it covered."""

    change: Change
    position: Position
    before: Columns | None = None
    """Of assumed values: the samples that were there."""
    payloads: tuple[bytes, ...] = ()
    """Of those, what points of variable size had."""

    @property
    def by(self) -> str:
        """Who made it."""
        return self.change.origin.by

    @property
    def reason(self) -> str:
        """Why, in their words."""
        if isinstance(self.change.body, Edits):
            return self.change.body.reason
        return self.change.source.partition("/")[2]

    @property
    def undoes(self) -> str:
        """Position of the change that this takes back; empty: none."""
        return self.reason[len(UNDO) :] if self.reason.startswith(UNDO) else ""


class Branch:
    """A branch that is open."""

    def __init__(self, directory: Path, head: Head, base: World) -> None:
        """Brings the world to where the branch's log ends. Slow where that is long.

        Raises:
            CorruptRecordError: the log is damaged.
        """
        self.directory, self.head, self.base = directory, head, base
        self.world = base.branch(head.id)
        self.made: list[Made] = []
        self.clock_ns = head.at_ns
        self.failure: OSError | None = None
        self._numbered = 0
        self.log = Log(directory / LOG, bytes.fromhex(head.record))
        if (directory / LOG).is_dir():
            self.log.open_for_reading()
        self.history = self._history()
        for change in self.log.changes(base.position.sequence):
            made = self._cover(change)
            self.world.replay(change)
            if made is not None:
                self.made.append(made)
            if change.origin.kind is OriginKind.SIMULATED:
                self.clock_ns = max(self.clock_ns, change.received_ns)
        if self.log.durable.epoch > self.world.epoch:
            self.world.begin_epoch(self.log.durable.epoch)

    @property
    def at_ns(self) -> int:
        """When its clock began."""
        return self.head.at_ns

    @property
    def durable(self) -> Position:
        """Up to where everything is on disk."""
        return max(self.log.durable, self.base.position, key=lambda p: p.sequence)

    @property
    def size_bytes(self) -> int:
        """What its log takes."""
        return sum(segment.size for segment in self.log.view())

    def _history(self) -> History:
        nothing = Keyframes(self.directory / "keyframes", Files())
        return History(self.head.id, self.log, nothing, Compacted(self.directory / "history"))

    # --- changing ---

    @property
    def is_ready(self) -> bool:
        """Whether changes can be taken now."""
        return self.log.epoch > 0 and self.failure is None

    def get_ready(self) -> None:
        """Opens the log for writing. Waits for the disk.

        Raises:
            OSError: it cannot be written.
        """
        if self.is_ready:
            return
        log = Log(self.directory / LOG, bytes.fromhex(self.head.record))
        position = self.world.position
        log.open_for_writing(
            least_epoch=position.epoch, least_sequence=position.sequence, salvage=False
        )
        self.log = log
        self.history = self._history()
        self.world.begin_epoch(log.epoch)

    def rest(self) -> None:
        """Lets go of the log's file; what was applied is durable on return."""
        if self.log.epoch:
            self.log.close()
            self.log = Log(self.directory / LOG, bytes.fromhex(self.head.record))
            self.log.open_for_reading()
            self.history = self._history()

    def apply(self, change: Change) -> Change | None:
        """Applies a change and notes it for the next commit; None: nothing was new of it.

        Raises:
            ValueError: the world refused it.
            OSError: the log has failed before; nothing is taken any more.
        """
        if self.failure is not None:
            raise self.failure
        if not self.log.epoch:
            raise OSError(f"{self.directory} is not open for writing")
        made = self._cover(change)
        placed = self.world.apply(change).change
        if placed is None:
            return None
        self.log.append(placed)
        if made is not None and placed.position is not None:
            self.made.append(Made(placed, placed.position, made.before, made.payloads))
        return placed

    def commit(self) -> Position:
        """Makes durable what was applied. Waits for the disk.

        Raises:
            OSError: the disk refused; the branch has to be opened again.
        """
        try:
            return self.log.commit()
        except OSError as error:
            self.failure = error
            raise

    def author(self, by: str, body: Body, source: str = "") -> Position:
        """Applies what a person wants; returns where it stands, not durable yet."""
        if len(self.made) >= CHANGES_MAX:
            raise ValueError(
                f"{self.head.name}: {CHANGES_MAX} changes were made in it; go on in a branch of it"
            )
        # A run may have gone beyond our clock: what is said now is said after it.
        now_ns = max(time.time_ns(), self.clock_ns)
        placed = self.apply(Change(body, Origin(OriginKind.AUTHORED, by), now_ns, source))
        position = self.world.position if placed is None else placed.position
        assert position is not None
        return position

    def assume(
        self, by: str, values: Iterable[tuple[str, str, Scalar, str]], reason: str = ""
    ) -> Position:
        """Takes values for given from now on.

        Args:
            values: (twin, point, value, UCUM unit or "" for the point's own).

        Raises:
            KeyError: there is no such twin or point.
            ValueError: a point cannot take its value.
        """
        builder = FrameBuilder()
        structure = self.world.structure
        for twin, point, value, unit in values:
            handle = structure.handle(twin, point)
            kind = structure.point(handle)[1]
            known = typed(f"{twin}.{point}", value, kind, unit)
            builder.add(handle, kind.kind, known, self.clock_ns)
        return self._frame(by, builder.build(), reason)

    def set_parameters(self, by: str, given: dict[str, Any], reason: str = "") -> Position:
        """Sets scenario parameters; None takes one away.

        Raises:
            ValueError: one is no number, text or yes/no, or there are too many.
        """
        parameters = self.parameters()
        for name, value in given.items():
            if not name or not isinstance(value, Scalar):
                raise ValueError(f"parameter '{name}': {value!r} is no number, text or yes/no")
            if value is None:
                parameters.pop(name, None)
            else:
                parameters[name] = value
        if len(parameters) > PARAMETERS_MAX:
            raise ValueError(f"{len(parameters)} parameters; a branch has {PARAMETERS_MAX} at most")
        body = json.dumps(parameters, sort_keys=True)
        edit = PutSheet(Sheet(*SCENARIO, body)) if parameters else DropSheet(*SCENARIO)
        return self.author(by, Edits((edit,), reason))

    def parameters(self) -> dict[str, Any]:
        """The scenario parameters as they are."""
        return parameters_of(self.world)

    def _frame(self, by: str, frame: Frame, reason: str) -> Position:
        self._numbered = max(self._numbered, self.world.position.sequence) + 1
        if len(self.made) >= CHANGES_MAX:
            raise ValueError(f"{self.head.name}: {CHANGES_MAX} changes were made in it")
        now_ns = max(time.time_ns(), self.clock_ns)
        source = f"{PEOPLE}/{reason[:200]}"
        # Numbered: nobody sends it again, so it need not be compared with what came before.
        change = Change(
            frame, Origin(OriginKind.AUTHORED, by), now_ns, source, 0, self._numbered
        )  # fmt: skip
        placed = self.apply(change)
        position = self.world.position if placed is None else placed.position
        assert position is not None
        return position

    # --- taking back ---

    def _cover(self, change: Change) -> Made | None:
        """Of a change by a person that is about to be applied: what it will cover."""
        if change.origin.kind is not OriginKind.AUTHORED:
            return None
        position = change.position or self.world.position
        if not isinstance(change.body, Frame):
            return Made(change, position)
        handles: Handles = change.body.point[change.body.point < self.world.n_points]
        payloads = tuple(self.world.heap(handle) for handle in handles.tolist())
        return Made(change, position, self.world.read(handles), payloads)

    def undone(self) -> set[str]:
        """Positions of the changes that were taken back."""
        return {made.undoes for made in self.made if made.undoes}

    def undo(self, by: str, position: str | None = None) -> Position:
        """Takes the latest change back that is not taken back yet, or that at a position.

        Raises:
            KeyError: there is none.
            ValueError: the same thing was changed since; the message says what.
        """
        gone = self.undone()
        for made in reversed(self.made):
            if made.undoes or str(made.position) in gone:
                continue
            if position in (None, str(made.position)):
                return self._take_back(by, made)
        raise KeyError("there is nothing to take back" + (f" at {position}" if position else ""))

    def _take_back(self, by: str, made: Made) -> Position:
        body = made.change.body
        if isinstance(body, Frame):
            return self._frame(by, self._covered(made, body), f"{UNDO}{made.position}")
        assert isinstance(body, Edits)
        before, after = self._around(made.position)
        back = undone(before.structure, after.structure, self.world.structure, body)
        return self.author(by, Edits(back, f"{UNDO}{made.position}"))

    def _covered(self, made: Made, frame: Frame) -> Frame:
        before = made.before
        assert before is not None
        handles = frame.point[frame.point < self.world.n_points]
        now = self.world.read(handles)
        builder = FrameBuilder()
        for row, handle in enumerate(handles.tolist()):
            twin, kind = self.world.point(handle)
            if int(now.changed[row]) != made.position.sequence:
                raise ValueError(f"{twin}.{kind.name}: was changed again since; set it by hand")
            quality = int(before.quality[row]) if before.changed[row] >= 0 else BAD_WAITING
            builder.add(handle, Kind.INT, 0, self.clock_ns, quality)
        frame = builder.build()
        return _with_values(frame, before, made.payloads, self.world.kinds[handles])

    def _around(self, position: Position) -> tuple[World, World]:
        """(the branch right before a change of its own, right after it): structure only."""
        worlds: Sequence[World] = (self.base.branch("before"), self.base.branch("after"))
        for change in self.log.changes(self.base.position.sequence, frames=False):
            assert change.position is not None
            if change.position.sequence > position.sequence:
                break
            if change.position.sequence < position.sequence:
                worlds[0].replay(change)
            worlds[1].replay(change)
        return worlds[0], worlds[1]


def _with_values(frame: Frame, before: Columns, payloads: tuple[bytes, ...], kinds: Any) -> Frame:
    """A frame with the values that were there: cells, and heaps for what is of variable size."""
    cells, heap = before.cell.copy(), bytearray()
    for row, payload in enumerate(payloads):
        if kinds[row] >= Kind.TEXT:
            cells[row] = len(heap) << 32 | len(payload)
            heap += payload
    return Frame(frame.point, cells, frame.quality, frame.source_ns, bytes(heap))


def parameters_of(world: World) -> dict[str, Any]:
    """The scenario parameters of a world; none where nobody gave any."""
    sheet = world.structure.sheets.get(SCENARIO)
    return {} if sheet is None else read_parameters(sheet)


def read_parameters(sheet: Sheet) -> dict[str, Any]:
    """The parameters that a sheet gives; ValueError where it does not."""
    try:
        found = json.loads(sheet.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{sheet.kind} '{sheet.name}': is no JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(v, Scalar) for v in found.values()):
        raise ValueError(f"{sheet.kind} '{sheet.name}': give an object of numbers and texts")
    return found
