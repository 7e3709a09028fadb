"""Examines a record from its first byte to its last, and salvages what is damaged when told to.

python -m mirrorworld.record.doctor DIRECTORY [--salvage]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mirrorworld.attachments import blobs_of
from mirrorworld.record.arrow import pa, pq
from mirrorworld.record.blocks import PointState
from mirrorworld.record.log import read_samples
from mirrorworld.record.migrations import read_description
from mirrorworld.record.segments import (
    BlockKind,
    CorruptRecordError,
    read_payload,
    scan,
)
from mirrorworld.record.store import (
    Store,
    UnknownWorldError,
    WorldInUseError,
    open_record,
    restore,
)


@dataclass(slots=True)
class Findings:
    """What an examination saw."""

    segments: int = 0
    changes: int = 0
    rows: int = 0
    keyframes: int = 0
    files: int = 0
    blobs: int = 0
    unreferred_blobs: int = 0
    """That nothing in the world as it is now refers to: of its past, or nobody's."""
    missing_blobs: list[str] = field(default_factory=list[str])
    """One sentence each for what the world refers to and what is not there."""
    damage: list[str] = field(default_factory=list[str])
    """One sentence each, with the place."""


def examine(directory: Path, *, is_growing: bool = False) -> Findings:
    """Reads and checks everything; changes nothing.

    Args:
        is_growing: the end of the log may be half written: a writer is at work, or was copied.

    Raises:
        UnknownWorldError: no record is there.
    """
    description = read_description(directory)
    if description is None:
        raise UnknownWorldError(f"no world is kept in {directory}")
    found = Findings()
    expected: int | None = None
    paths = sorted((directory / "log").glob("*.mwlog"))
    for path in paths:
        try:
            segment, faults = scan(path, bytes.fromhex(description["record"]), check_payloads=True)
        except CorruptRecordError as error:
            found.damage.append(str(error))
            expected = None
            continue
        found.segments += 1
        if expected is not None and segment.first != expected:
            found.damage.append(f"{path}: changes {expected} to {segment.first - 1} are missing")
        expected = segment.last + 1
        if is_growing and path == paths[-1]:
            faults = [fault for fault in faults if fault.was_durable]
        for fault in faults:
            kind = "damaged" if fault.was_durable else "torn or damaged"
            found.damage.append(
                f"{path}: {fault.size} bytes at byte {fault.offset} are {kind}: {fault.reason};"
                f" changes after {fault.after}"
            )
        state = PointState()
        is_whole = not faults
        for ref in segment.blocks:
            if ref.kind == BlockKind.SAMPLES and is_whole:
                try:
                    found.rows += len(read_samples(segment, ref, state).point)
                except CorruptRecordError as error:
                    found.damage.append(str(error))
                    is_whole = False
            elif ref.kind == BlockKind.CHANGES:
                read_payload(path, ref)
        found.changes += max(0, segment.last - segment.first + 1)
    if not any("header" in line for line in found.damage):
        _examine_rest(directory, found)
    return found


def _examine_rest(directory: Path, found: Findings) -> None:
    try:
        store = open_record(directory, read_only=True)
    except CorruptRecordError as error:
        if not found.damage:
            found.damage.append(str(error))
        return
    with store:
        _examine_keyframes(store, found)
        _examine_history(store, found)
        _examine_blobs(store, found)


def _examine_blobs(store: Store, found: Findings) -> None:
    kept = set(store.blobs.names())
    found.blobs = len(kept)
    for name in sorted(kept):
        try:
            store.blobs.get(name)
        except (CorruptRecordError, KeyError) as error:
            found.damage.append(str(error))
    try:
        twins = restore(store).structure.twins
    except CorruptRecordError as error:
        if not found.damage:
            found.damage.append(str(error))
        return
    referred: dict[str, str] = {}
    for twin in twins.values():
        referred.update((blob.sha256, f"{twin.id}: {blob.name}") for blob in blobs_of(twin))
    found.unreferred_blobs = len(kept - set(referred))
    for name in sorted(set(referred) - kept):
        found.missing_blobs.append(
            f"{referred[name]} ({name[:16]}…) is not among the files kept here"
        )


def _examine_keyframes(store: Store, found: Findings) -> None:
    for position in store.keyframes.positions():
        found.keyframes += 1
        try:
            store.keyframes.read(position)
        except (CorruptRecordError, OSError) as error:
            found.damage.append(f"{error} (an older keyframe is used instead)")


def _examine_history(store: Store, found: Findings) -> None:
    try:
        manifest = store.compacted.manifest()
    except CorruptRecordError as error:
        found.damage.append(str(error))
        return
    for entry in manifest.files:
        found.files += 1
        path = store.compacted.directory / entry.path
        try:
            rows = sum(batch.num_rows for batch in pq.ParquetFile(path).iter_batches())
        except (OSError, pa.ArrowException) as error:
            found.damage.append(f"{path}: {error}")
            continue
        if rows != entry.rows:
            found.damage.append(f"{path}: {rows} rows, of which the manifest says {entry.rows}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what is found; 0 if all is well or was salvaged, 1 if not, 2 if it cannot look."""
    parser = argparse.ArgumentParser(prog="mirrorworld.record.doctor", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--salvage",
        action="store_true",
        help="leave out what is damaged, keep the rest; damaged files are kept as *.damaged",
    )
    options = parser.parse_args(arguments)
    try:
        found = examine(options.directory)
        print(
            f"{found.segments} segments with {found.changes} changes and {found.rows} samples,"
            f" {found.keyframes} keyframes, {found.files} files of history, {found.blobs} blobs"
            f" ({found.unreferred_blobs} of the past or nobody's)"
        )
        for line in found.missing_blobs:
            print(f"- {line}")
        for line in found.damage:
            print(f"- {line}")
        if not found.damage:
            print("all is well")
            return 0
        if not options.salvage:
            return 1
        with open_record(options.directory, create=False, salvage=True) as store:
            for line in (*store.reports, *(str(lost) for lost in store.lost)):
                print(f"* {line}")
    except (UnknownWorldError, WorldInUseError, CorruptRecordError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
