"""Recordings of meetings on the disk: written while they run, read, and deleted in time.

A recording is a folder of two files that only grow: `meeting.jsonl`, one line for each thing that
was said or done, and `poses.arrows`, an Arrow IPC stream. Whatever is cut off in the middle is
readable up to there. Knows files; refuses to know who may read them, and how people agree.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mirrorworld.protocol import messages
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.poses import LEFT, POINTER, RIGHT, ROW, encode_poses

log = logging.getLogger(__name__)

FOLDER: Final = "meetings"
"""Below a world's directory. Backups leave it out: what is deleted is to be gone."""
BYTES_MAX: Final = 200_000_000
LENGTH_S_MAX: Final = 7_200.0
DAYS: Final = 30
DAYS_MAX: Final = 365
RECORDINGS_MAX: Final = 50
LOOKS_EVERY_S: Final = 600.0
WINDOW_MS: Final = 60_000.0
"""Of poses that are played; so much is given at once."""
DAY_MS: Final = 86_400_000.0

_LINES: Final = "meeting.jsonl"
_POSES: Final = "poses.arrows"
_ID: Final = re.compile(r"[0-9a-f]{16}")
_XYZ: Final = ("x", "y", "z")
_PARTS: Final = (("head", 0, 0), ("left", 1, LEFT), ("right", 2, RIGHT))
_WAYS: Final = (("from", 3), ("to", 4))

SCHEMA: Final = pa.schema(
    [
        ("time", pa.timestamp("ms", "UTC")),
        ("person", pa.uint16()),
        *(
            column
            for part, _, _ in _PARTS
            for column in (
                *((f"{part}_{axis}_mm", pa.int32()) for axis in _XYZ),
                *((f"{part}_q{axis}", pa.int16()) for axis in (*_XYZ, "w")),
            )
        ),
        *((f"{end}_{axis}_mm", pa.int32()) for end, _ in _WAYS for axis in _XYZ),
    ]
)
"""Of poses: the number of a person, places in the scene (millimetres), turns as unit quaternions
times 32767 (`protocol/poses.py`). Hands and the ray that one points with, `from` and `to`, are null
where there are none."""


# --- lines ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Began:
    """The first line."""

    version: int
    id: str
    place: str
    reason: str
    by: int
    at_ms: float
    deleted_ms: float


@dataclass(frozen=True, slots=True)
class Agreed:
    """Somebody who is in it from then on."""

    person: int
    name: str
    who: str
    """By which they were let in; "": nobody can show later that it was them."""
    at_ms: float


@dataclass(frozen=True, slots=True)
class Went:
    """Somebody left."""

    person: int
    at_ms: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The last line."""

    at_ms: float
    detail: str


Line = (
    Began | Agreed | Went | Ended | shapes.RecordedName | shapes.RecordedChat
    | shapes.RecordedHand | shapes.RecordedMoment | shapes.RecordedPause
)  # fmt: skip
_KINDS: Final = messages.by_name(Line)


# --- writing ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Taken:
    """What happened since the last was written."""

    lines: list[Line] = field(default_factory=list[Line])
    at_ms: list[float] = field(default_factory=list[float])
    person: list[int] = field(default_factory=list[int])
    has: list[int] = field(default_factory=list[int])
    rows: list[NDArray[Any]] = field(default_factory=list[NDArray[Any]])


class Tape:
    """A recording that runs: takes what happens on the loop, and hands it over (`take`) to be
    written on a thread, by one call of `write` or `close` at a time."""

    def __init__(self, folder: Path, began: Began) -> None:
        self.id = began.id
        self.began = began
        self.bytes = 0
        self._folder = folder
        self._taken = Taken()
        self._files: contextlib.ExitStack | None = None
        self._is_broken = False

    def put(self, line: Line) -> None:
        """Takes a line."""
        self._taken.lines.append(line)

    def pose(self, at_ms: float, person: int, has: int, row: NDArray[Any]) -> None:
        """Takes where somebody is; `row` of `poses.ROW`."""
        taken = self._taken
        taken.at_ms.append(at_ms)
        taken.person.append(person)
        taken.has.append(has)
        taken.rows.append(row)

    def take(self) -> Taken:
        """What is to be written next."""
        taken, self._taken = self._taken, Taken()
        return taken

    def write(self, taken: Taken) -> None:
        """Writes it. Raises OSError: the disk does not take it."""
        try:
            self._write(taken)
        except pa.ArrowException as error:
            self._is_broken = True
            raise OSError(str(error)) from error
        except OSError:
            self._is_broken = True
            raise

    def close(self, taken: Taken, ended: Ended) -> None:
        """Writes the rest, and that it is the end: whoever reads that finds all of it. After a
        failure only lets go of the files. Raises OSError as `write`."""
        try:
            if not self._is_broken:
                self.write(taken)
                self._poses.close()
                self._text.write(messages.encode(ended) + b"\n")
                for file in (self._stream, self._text):
                    file.flush()
                    os.fsync(file.fileno())
        finally:
            if self._files is not None:
                self._files.close()

    def _write(self, taken: Taken) -> None:
        if self._files is None:
            self._open()
        if taken.rows:
            self._poses.write_batch(_batch(taken))
            self._stream.flush()
        if taken.lines:
            self._text.write(b"".join(messages.encode(line) + b"\n" for line in taken.lines))
            self._text.flush()
        self.bytes = self._text.tell() + self._stream.tell()

    def _open(self) -> None:
        """Makes both files under a name that nobody reads, then shows them at once."""
        new = self._folder.parent / f".{self._folder.name}"
        new.mkdir(parents=True, mode=0o700)
        self._files = contextlib.ExitStack()
        self._text = self._files.enter_context(open(new / _LINES, "wb"))  # noqa: SIM115
        self._stream = self._files.enter_context(open(new / _POSES, "wb"))  # noqa: SIM115
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._poses = pa.ipc.new_stream(self._stream, SCHEMA, options=options)
        self._text.write(messages.encode(self.began) + b"\n")
        for file in (self._text, self._stream):
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._folder)


def _batch(taken: Taken) -> pa.RecordBatch:
    table = np.array(taken.rows, ROW)
    flags = np.array(taken.has, np.uint8)
    columns: list[pa.Array] = [
        pa.array(np.array(taken.at_ms).astype("M8[ms]"), SCHEMA.field("time").type),
        pa.array(np.array(taken.person, np.uint16)),
    ]
    for _, part, bit in _PARTS:
        missing = (flags & bit) == 0 if bit else None
        columns += [pa.array(table["place"][:, part, axis], mask=missing) for axis in range(3)]
        columns += [pa.array(table["turn"][:, part, axis], mask=missing) for axis in range(4)]
    missing = (flags & POINTER) == 0
    for _, end in _WAYS:
        columns += [pa.array(table["place"][:, end, axis], mask=missing) for axis in range(3)]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _frame(batch: pa.RecordBatch, at_ms: float) -> bytes:
    """A batch as pages are told of poses, as if at that time."""
    rows = np.zeros(batch.num_rows, ROW)
    has = np.zeros(batch.num_rows, np.uint8)
    columns = iter(batch.columns[2:])
    for _, part, bit in _PARTS:
        for axis in range(7):
            column = next(columns)
            values = column.fill_null(0).to_numpy()
            if axis < 3:
                rows["place"][:, part, axis] = values
            else:
                rows["turn"][:, part, axis - 3] = values
            has |= np.where(column.is_valid().to_numpy(zero_copy_only=False), bit, 0).astype("u1")
    for _, end in _WAYS:
        for axis in range(3):
            column = next(columns)
            rows["place"][:, end, axis] = column.fill_null(0).to_numpy()
            is_there = column.is_valid().to_numpy(zero_copy_only=False)
            has |= np.where(is_there, POINTER, 0).astype("u1")
    age = at_ms - batch.column("time").cast(pa.int64()).to_numpy()
    return encode_poses(batch.column("person").to_numpy(), age, has, rows, at_ms)


# --- the shelf --------------------------------------------------------------------------------


@dataclass(slots=True)
class Kept:
    """A recording as it lies there, and who may have it."""

    detail: shapes.MeetingRecordingDetail
    who: set[str] = field(default_factory=set[str])
    """Accounts, and guests as they were let in, that were in it."""


class Shelf:
    """All recordings of a world.

    Args:
        directory: where they lie; made when the first is.
        days: after how many each is deleted by itself.
    """

    def __init__(self, directory: Path, days: int = DAYS) -> None:
        self.directory = directory
        self.days = days

    @staticmethod
    def of_world(directory: Path) -> Shelf:
        """Beside a world's record; `MIRRORWORLD_MEETING_DAYS` says how long each is kept.

        Raises:
            ValueError: it says it wrongly.
        """
        days = os.environ.get("MIRRORWORLD_MEETING_DAYS", str(DAYS))
        if not days.isdecimal() or not 1 <= int(days) <= DAYS_MAX:
            raise ValueError(f"MIRRORWORLD_MEETING_DAYS={days!r:.40}: give 1 to {DAYS_MAX} days")
        return Shelf(directory / FOLDER, int(days))

    def ids(self) -> list[str]:
        """What is there."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(p.name for p in self.directory.iterdir() if _ID.fullmatch(p.name))
        return []

    def begin(self, place: str, reason: str, by: int, at_ms: float) -> Tape:
        """A new recording; nothing is on the disk before its first `write`."""
        id = secrets.token_hex(8)
        began = Began(1, id, place, reason, by, at_ms, at_ms + self.days * DAY_MS)
        return Tape(self.directory / id, began)

    def read(self, id: str) -> Kept:
        """All of a recording but its poses. Raises KeyError: there is none."""
        if not _ID.fullmatch(id):
            raise KeyError(id)
        try:
            lines = list(_lines(self.directory / id / _LINES))
            size = sum(path.stat().st_size for path in (self.directory / id).iterdir())
        except (OSError, ValueError) as error:
            raise KeyError(id) from error
        if not lines or not isinstance(lines[0], Began) or lines[0].deleted_ms < _now_ms():
            raise KeyError(id)
        return _folded(lines[0], lines, size)

    def all(self) -> list[Kept]:
        """All recordings, the latest first."""
        found: list[Kept] = []
        for id in self.ids():
            with contextlib.suppress(KeyError):
                found.append(self.read(id))
        return sorted(found, key=lambda each: -each.detail.recording.began_ms)

    def poses(self, id: str) -> bytes:
        """The poses of a recording as a whole Arrow IPC stream. Raises KeyError: there is none."""
        if not _ID.fullmatch(id):
            raise KeyError(id)
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        try:
            with pa.ipc.new_stream(sink, SCHEMA, options=options) as stream:
                for batch in _batches(self.directory / id / _POSES):
                    stream.write_batch(batch)
        except OSError as error:
            raise KeyError(id) from error
        return sink.getvalue().to_pybytes()

    def frames(self, id: str, from_ms: float) -> bytes:
        """Poses of `WINDOW_MS` from a time on, to be played: frames of `protocol/poses.py`, each
        after its length (u32). The first has where those stood who had moved before.

        Raises:
            KeyError: there is no such recording.
        """
        if not _ID.fullmatch(id):
            raise KeyError(id)
        before: dict[int, tuple[pa.RecordBatch, int]] = {}
        found: list[tuple[pa.RecordBatch, float]] = []
        try:
            for batch in _batches(self.directory / id / _POSES):
                at = batch.column("time").cast(pa.int64()).to_numpy()
                if at.max() < from_ms:
                    people = batch.column("person").to_pylist()
                    before |= {person: (batch, row) for row, person in enumerate(people)}
                elif at.min() < from_ms + WINDOW_MS:
                    found.append((batch, float(at.max())))
                else:
                    break
        except OSError as error:
            raise KeyError(id) from error
        first = [(batch.slice(row, 1), from_ms) for batch, row in before.values()]
        frames = [_frame(batch, at_ms) for batch, at_ms in first + found]
        return b"".join(len(frame).to_bytes(4, "little") + frame for frame in frames)

    def delete(self, id: str) -> None:
        """Deletes a recording, all its bytes. Raises KeyError: there is none."""
        folder = self.directory / id
        if not _ID.fullmatch(id) or not folder.is_dir():
            raise KeyError(id)
        gone = self.directory / f".{id}"
        folder.rename(gone)  # what a crash after this leaves is removed at the next start
        shutil.rmtree(gone)

    def clear(self) -> None:
        """Deletes what is too old."""
        now = _now_ms()
        for id in self.ids():
            try:
                first = next(_lines(self.directory / id / _LINES), None)
            except (OSError, ValueError):
                first = None
            if not isinstance(first, Began) or first.deleted_ms < now:
                with contextlib.suppress(KeyError, OSError):
                    self.delete(id)

    def mend(self) -> None:
        """After a stop in the middle: ends what was running, removes what had not begun. Not
        while something is recorded."""
        with contextlib.suppress(FileNotFoundError):
            for path in self.directory.iterdir():
                if path.name.startswith("."):
                    shutil.rmtree(path, ignore_errors=True)
        for id in self.ids():
            with contextlib.suppress(KeyError, OSError):
                recording = self.read(id).detail.recording
                if not recording.detail:
                    self._end(self.directory / id, recording.ended_ms)

    def _end(self, folder: Path, at_ms: float) -> None:
        lines = folder / _LINES
        whole = lines.read_bytes()
        ended = messages.encode(Ended(at_ms, "server stopped")) + b"\n"
        lines.write_bytes(whole[: whole.rfind(b"\n") + 1] + ended)
        new = folder / f".{_POSES}"
        new.write_bytes(self.poses(folder.name))
        new.replace(folder / _POSES)

    async def run(self) -> None:
        """Deletes what is too old, now and then."""
        while True:
            try:
                await asyncio.to_thread(self.clear)
            except OSError as error:
                log.warning("recordings of meetings: %s", error)
            await asyncio.sleep(LOOKS_EVERY_S)


def _lines(path: Path) -> Iterator[Line]:
    """The whole lines of a file; a last one that was cut off is left out."""
    with open(path, "rb") as file:
        for text in file:
            if text.endswith(b"\n"):
                yield messages.read(text, _KINDS)


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The whole batches of a file; a last one that was cut off is left out."""
    # ArrowInvalid and OSError: how it says that a batch, or the head, was cut off.
    cut = contextlib.suppress(StopIteration, pa.ArrowInvalid, OSError)
    with open(path, "rb") as file, cut:
        stream = pa.ipc.open_stream(file)
        while True:
            yield stream.read_next_batch()


def _folded(began: Began, lines: Sequence[Line], size: int) -> Kept:
    people: dict[int, shapes.RecordedPerson] = {}
    who: set[str] = set()
    detail = ""
    latest = began.at_ms
    for line in lines:
        latest = max(latest, getattr(line, "at_ms", 0.0))
        match line:
            case Agreed():
                account = "" if line.who.startswith("~") else line.who
                people[line.person] = shapes.RecordedPerson(
                    line.person, line.name, account, line.at_ms, None
                )
                who.add(line.who)
            case Went(person=person, at_ms=at_ms) if person in people:
                people[person] = replace(people[person], left_ms=at_ms)
            case Ended():
                detail = line.detail
            case _:
                pass
    who.discard("")
    recording = shapes.MeetingRecording(
        began.id,
        began.place,
        began.reason,
        began.by,
        began.at_ms,
        latest,
        detail,
        began.deleted_ms,
        size,
        list(people.values()),
    )
    return Kept(
        shapes.MeetingRecordingDetail(
            recording,
            [line for line in lines if isinstance(line, shapes.RecordedName)],
            [line for line in lines if isinstance(line, shapes.RecordedChat)],
            [line for line in lines if isinstance(line, shapes.RecordedHand)],
            [line for line in lines if isinstance(line, shapes.RecordedMoment)],
            [line for line in lines if isinstance(line, shapes.RecordedPause)],
        ),
        who,
    )


def _now_ms() -> float:
    return time.time() * 1e3
