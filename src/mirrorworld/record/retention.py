"""Retention: what of the past is let go, and when. Nothing goes that is not compacted first.

A policy is kept in `retention.json` beside the log. What it has cost is counted in the manifest,
and reads that reach beyond say so (`Series.kept_from_ns`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mirrorworld.record.files import Files, write_whole
from mirrorworld.record.parquet import DAY_NS, Manifest, write_manifest
from mirrorworld.record.segments import CorruptRecordError

if TYPE_CHECKING:
    from mirrorworld.record.store import Store

_SECOND_NS: Final = 1_000_000_000


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the past is kept, in seconds before the newest sample; None: for ever."""

    log_s: float | None = None
    """The log itself, which answers as-of by position."""
    raw_s: float | None = None
    """Samples in Parquet, by whole days."""
    rollups_s: float | None = None
    """Roll-ups, by whole days."""


def read_policy(directory: Path) -> Retention:
    """The policy of a record.

    Raises:
        CorruptRecordError: the file does not hold one.
    """
    path = directory / "retention.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Retention)
    except FileNotFoundError:
        return Retention()
    except msgspec.MsgspecError as error:
        raise CorruptRecordError(f"{path}: not a retention policy: {error}") from error


def write_policy(directory: Path, policy: Retention, files: Files) -> None:
    """Sets the policy; the next compaction keeps to it."""
    for name in ("log_s", "raw_s", "rollups_s"):
        seconds = getattr(policy, name)
        if seconds is not None and seconds < 0:
            raise ValueError(f"retention {name} is {seconds}; it cannot be negative")
    write_whole(files, directory / "retention.json", msgspec.json.encode(policy))


def enforce(record: Store, manifest: Manifest, files: Files, done: Any) -> Manifest:
    """Lets go of what the policy no longer keeps. Called by the compaction, under its lock."""
    policy = read_policy(record.directory)
    newest = max((f.time_max for f in manifest.files), default=None)
    if newest is None:
        return manifest
    manifest = _drop_days(record, manifest, policy, newest, files, done)
    if policy.log_s is not None:
        manifest = _drop_segments(record, manifest, policy.log_s, newest, files, done)
    return manifest


def _drop_days(
    record: Store, manifest: Manifest, policy: Retention, newest: int, files: Files, done: Any
) -> Manifest:
    raw = _first_kept(policy.raw_s, newest, manifest.raw_from_ns)
    rollups = _first_kept(policy.rollups_s, newest, manifest.rollups_from_ns)
    gone = [f for f in manifest.files if (f.day + 1) * DAY_NS <= (rollups if f.step else raw)]
    if not gone:
        return manifest
    names = {f.path for f in gone}
    rows = sum(f.rows for f in gone if not f.step)
    lost_raw = any(not f.step for f in gone)
    lost_rollups = any(f.step for f in gone)
    manifest = msgspec.structs.replace(
        manifest,
        files=tuple(f for f in manifest.files if f.path not in names),
        raw_from_ns=raw if lost_raw else manifest.raw_from_ns,
        rollups_from_ns=rollups if lost_rollups else manifest.rollups_from_ns,
        dropped_rows=manifest.dropped_rows + rows,
        dropped_files=manifest.dropped_files + len(gone),
    )
    write_manifest(record.compacted.directory, manifest, files)
    done.dropped_files += len(gone)
    return manifest


def _drop_segments(
    record: Store, manifest: Manifest, log_s: float, newest: int, files: Files, done: Any
) -> Manifest:
    """Drops segments that are compacted, older than asked, and before a good keyframe."""
    limit = newest - int(log_s * _SECOND_NS)
    keyframe = record.keyframes.latest()
    if keyframe is None:
        return manifest
    gone = []
    for segment in record.log.view():
        # The record after a keyframe is needed to open it, and what is not compacted to read it.
        is_needed = segment.last > keyframe.position.sequence or segment.number > manifest.through
        if is_needed or segment.source_ns_max > limit:
            break
        gone.append(segment)
    if not gone:
        return manifest
    first_kept = gone[-1].last + 1
    manifest = msgspec.structs.replace(
        manifest,
        first_segment=gone[-1].number + 1,
        dropped_segments=manifest.dropped_segments + len(gone),
    )
    write_manifest(record.compacted.directory, manifest, files)
    for segment in gone:
        files.remove(segment.path)
        files.sync_directory(segment.path.parent)
    _drop_keyframes(record, first_kept)
    done.dropped_segments += len(gone)
    return manifest


def forget_oldest(record: Store, keep_bytes: int, files: Files) -> int:
    """Drops closed segments, oldest first, until the log is small enough; see `Store.forget`.

    For who keeps a log only until others have it: nothing of it need be compacted.
    """
    positions = record.keyframes.positions()
    newest = max(positions, default=None)
    segments = record.log.view()
    size = sum(segment.size for segment in segments)
    gone = 0
    for segment in segments:
        is_needed = newest is None or segment.last > newest.sequence
        if size <= keep_bytes or is_needed or not segment.is_sealed:
            break
        record.log.forget_below(segment.number + 1)
        files.remove(segment.path)
        files.sync_directory(segment.path.parent)
        size -= segment.size
        gone = segment.last
    if gone:
        _drop_keyframes(record, gone + 1)
    return gone


def _drop_keyframes(record: Store, first_kept: int) -> None:
    for position in record.keyframes.positions():
        if position.sequence + 1 < first_kept:
            record.keyframes.remove(position)
    record.keyframes.sweep()


def _first_kept(seconds: float | None, newest: int, already: int) -> int:
    if seconds is None:
        return already
    return max(already, (newest - int(seconds * _SECOND_NS)) // DAY_NS * DAY_NS)
