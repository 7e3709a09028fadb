"""Format versions of a record: which this version reads, and how an older one is brought up.

Each migration takes a record from one version to the next, in place, and can be broken off at
any moment: the version in `record.json` changes last.

Version 0 is the **plain log**: `log/*.jsonl`, one change a line in its plain form. It is what
people write by hand and what other programs can write without this library; opening such a
directory makes a record of it. Its lines are kept beside the log as `plain/*.jsonl`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from mirrorworld.record.files import Files, write_whole
from mirrorworld.record.log import Log
from mirrorworld.record.segments import FORMAT_VERSION, CorruptRecordError
from mirrorworld.world.changes import Change, Origin, OriginKind, Position
from mirrorworld.world.frames import Frame
from mirrorworld.world.plain import from_tagged, to_plain

Description = dict[str, Any]
"""What `record.json` says."""

Migration = Callable[[Path, Description, Files], Description]


def upgrade(directory: Path, description: Description, files: Files) -> Description:
    """Brings a record up to the version that is written now.

    Raises:
        CorruptRecordError: it was written by a newer version, or by one too old to know.
    """
    version = description.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise CorruptRecordError(
            f"{directory} has format version {version}; this version reads up to"
            f" {FORMAT_VERSION}. Upgrade mirrorworld; nothing was changed"
        )
    while version < FORMAT_VERSION:
        migration = MIGRATIONS.get(version)
        if migration is None:
            raise CorruptRecordError(f"{directory}: no way from format version {version} is known")
        description = {**migration(directory, description, files), "version": version + 1}
        write_description(directory, description, files)
        version += 1
    return description


def read_description(directory: Path) -> Description | None:
    """What `record.json` says; None if there is none.

    Raises:
        CorruptRecordError: it is not the description of a record.
    """
    path = directory / "record.json"
    try:
        description = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorruptRecordError(f"{path} is damaged: {error}. Restore it from a backup") from error
    if not isinstance(description, dict) or description.get("format") != "mirrorworld record":
        raise CorruptRecordError(f"{path} does not describe a record")
    return description


def write_description(directory: Path, description: Description, files: Files) -> None:
    """Writes `record.json` in one step."""
    text = json.dumps(description, indent=1, ensure_ascii=False) + "\n"
    write_whole(files, directory / "record.json", text.encode())


def plain_line(change: Change) -> str:
    """A change as a line of the plain log (version 0)."""
    position = change.position
    plain: dict[str, Any] = {
        "sequence": position.sequence if position else 0,
        "epoch": position.epoch if position else 0,
        "origin": [int(change.origin.kind), change.origin.by],
        "received_ns": change.received_ns,
        "source": change.source,
        "incarnation": change.incarnation,
        "source_seq": change.source_seq,
    }
    if isinstance(change.body, Frame):
        plain["samples"] = {
            "point": change.body.point.tolist(),
            "cell": change.body.cell.tolist(),
            "quality": change.body.quality.tolist(),
            "source_ns": change.body.source_ns.tolist(),
            "heap": change.body.heap.hex(),
        }
    else:
        plain["body"] = to_plain(change.body, tagged=True)
    return json.dumps(plain, ensure_ascii=False)


def plain_change(line: str, place: str) -> Change:
    """The change of a line of the plain log.

    Raises:
        ValueError: the line is not one; the message names the place.
    """
    try:
        plain = json.loads(line)
        if "samples" in plain:
            columns = plain["samples"]
            body: Any = Frame(
                np.array(columns["point"], np.uint32),
                np.array(columns["cell"], np.int64),
                np.array(columns["quality"], np.uint32),
                np.array(columns["source_ns"], np.int64),
                bytes.fromhex(columns.get("heap", "")),
            )
        else:
            body = from_tagged(plain["body"], place)
        kind, by = plain["origin"]
        return Change(
            body,
            Origin(OriginKind(kind), by),
            plain["received_ns"],
            plain.get("source", ""),
            plain.get("incarnation", 0),
            plain.get("source_seq", -1),
            Position(plain.get("epoch", 0), plain["sequence"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{place}: not a change of a plain log: {error}") from error


def _from_plain_log(directory: Path, description: Description, files: Files) -> Description:
    """Version 0 to 1."""
    plain = directory / "plain"
    log = directory / "log"
    files.make_directory(plain)
    files.make_directory(log)
    for path in sorted(log.glob("*.jsonl")):
        files.replace(path, plain / path.name)
    files.sync_directory(plain)
    files.sync_directory(log)
    # A migration that was broken off has left segments: they are made anew.
    for path in log.glob("*.mwlog"):
        files.remove(path)
    target = Log(log, bytes.fromhex(description["record"]), files=files)
    target.open_for_writing(least_epoch=0, least_sequence=0, salvage=False)
    for change in _plain_changes(plain):
        assert change.position is not None
        placed = Position(target.epoch, change.position.sequence)
        target.append(_at(change, placed))
    target.close()
    return description


def _plain_changes(directory: Path) -> Iterator[Change]:
    for path in sorted(directory.glob("*.jsonl")):
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield plain_change(line, f"{path}:{number}")


def _at(change: Change, position: Position) -> Change:
    return Change(
        change.body,
        change.origin,
        change.received_ns,
        change.source,
        change.incarnation,
        change.source_seq,
        position,
    )


MIGRATIONS: Final[dict[int, Migration]] = {0: _from_plain_log}
"""From which version, and how, to the next."""
