"""A copy of the compacted past where other programs can read it: a folder or an object store.

An archive has the layout of `history/` (docs/record-format.md), so that DuckDB, Polars, Ray Data or
Spark read it in place. It is brought up to date as often as one likes: files are copied once, files
that a merge has replaced go, and what retention has let go here stays there. The manifest is
written last, so that who goes by it sees the past before or after, and never between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from mirrorworld.record.lock import Lock
from mirrorworld.record.migrations import read_description
from mirrorworld.record.parquet import DAY_NS, MANIFEST_VERSION, Compacted, FileEntry, Manifest

CHUNK_BYTES: Final = 1 << 20
MARK: Final = "archive.json"
"""Whose archive it is: {"format", "world", "record"}."""

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)."""


class ArchiveError(Exception):
    """The archive cannot be made or brought up to date; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What an archive holds now, and what was done for it."""

    files: int
    rows: int
    """Of samples."""
    size_bytes: int
    copied: int
    removed: int


def archive(
    directory: Path, target: str, *, progress: Progress = lambda done, total: None
) -> Archived:
    """Brings the archive of a record up to date; the record's world may be running.

    Args:
        directory: the record's.
        target: a folder, or a URI of an object store as Arrow understands it
            (`s3://bucket/path?region=…`, `gs://…`, `abfss://…`). Keys come from the environment,
            as each store's own tools take them.

    Raises:
        ArchiveError: the target cannot be reached, or holds another record's archive.
        WorldInUseError: a compaction runs at this moment.
    """
    description = read_description(directory)
    if description is None:
        raise ArchiveError(f"{directory}: no record is kept here")
    mark = {
        "format": "mirrorworld archive",
        "world": str(description["world"]),
        "record": str(description["record"]),
    }
    history = directory / "history"
    history.mkdir(exist_ok=True)
    lock = Lock(history / "lock", f"the compaction of {directory}")
    try:
        store, root = _opened(target)
        return _brought_up(history, store, root, mark, progress)
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{target}: {error}") from error
    finally:
        lock.close()


def _opened(target: str) -> tuple[FileSystem, str]:
    if "://" not in target:
        return LocalFileSystem(), Path(target).expanduser().resolve().as_posix()
    store, root = FileSystem.from_uri(target)
    if not root.strip("/"):
        raise ValueError("name a folder in it, such as s3://bucket/plant")
    return store, root.rstrip("/")


def _brought_up(
    history: Path, store: FileSystem, root: str, mark: dict[str, str], progress: Progress
) -> Archived:
    _check_mark(store, root, mark)
    here, there = Compacted(history).manifest(), _manifest(store, root)
    kept = [entry for entry in there.files if _is_let_go(entry, here)]
    merged = msgspec.structs.replace(
        here,
        files=(*kept, *here.files),
        raw_from_ns=there.raw_from_ns,
        rollups_from_ns=there.rollups_from_ns,
        dropped_rows=there.dropped_rows,
        dropped_files=there.dropped_files,
    )
    sizes = _sizes(store, root)
    missing = [entry for entry in here.files if sizes.get(entry.path) != entry.size_bytes]
    total, done = sum(entry.size_bytes for entry in missing), 0
    for entry in missing:
        _copy(history / entry.path, store, f"{root}/{entry.path}")
        done += entry.size_bytes
        progress(done, total)
    if (history / "points.parquet").exists():
        _copy(history / "points.parquet", store, f"{root}/points.parquet")
    _put(store, f"{root}/{MARK}", msgspec.json.encode(mark))
    _put(store, f"{root}/manifest.json", msgspec.json.encode(merged))
    wanted = {entry.path for entry in merged.files}
    gone = [path for path in sizes if path.endswith(".parquet") and path not in wanted]
    for path in gone:
        store.delete_file(f"{root}/{path}")
    return Archived(
        len(merged.files),
        sum(entry.rows for entry in merged.samples()),
        sum(entry.size_bytes for entry in merged.files),
        len(missing),
        len(gone),
    )


def _is_let_go(entry: FileEntry, here: Manifest) -> bool:
    """Whether retention has let a file go here that the archive keeps. Else a merge replaced it."""
    until = here.rollups_from_ns if entry.step else here.raw_from_ns
    return (entry.day + 1) * DAY_NS <= until


def _check_mark(store: FileSystem, root: str, mark: dict[str, str]) -> None:
    found: Any = _json(store, f"{root}/{MARK}", dict[str, str])
    if found is not None and found.get("record") != mark["record"]:
        raise ValueError(
            f"holds the archive of another record (world '{found.get('world')}'); name another"
            " folder"
        )
    if found is None and _sizes(store, root):
        raise ValueError("holds something else; name a folder that is empty or not there yet")


def _manifest(store: FileSystem, root: str) -> Manifest:
    found = _json(store, f"{root}/manifest.json", Manifest)
    if found is not None and found.version > MANIFEST_VERSION:
        raise ValueError("was written by a newer version; upgrade mirrorworld")
    return found or Manifest()


def _json(store: FileSystem, path: str, kind: Any) -> Any:
    if store.get_file_info(path).type != FileType.File:
        return None
    with store.open_input_stream(path) as file:
        try:
            return msgspec.json.decode(file.read(), type=kind)
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def _sizes(store: FileSystem, root: str) -> dict[str, int]:
    """Size of each Parquet file of samples and roll-ups, by its path below the root."""
    sizes: dict[str, int] = {}
    for part in ("samples", "rollups"):
        where = FileSelector(f"{root}/{part}", allow_not_found=True, recursive=True)
        for info in store.get_file_info(where):
            if info.type == FileType.File:
                sizes[info.path.removeprefix(f"{root}/")] = info.size
    return sizes


def _copy(source: Path, store: FileSystem, path: str) -> None:
    """Copies a file; on a file system it appears whole, as it does in an object store."""
    new = f"{path}.part" if isinstance(store, LocalFileSystem) else path
    store.create_dir(path.rpartition("/")[0], recursive=True)
    with open(source, "rb") as file, store.open_output_stream(new) as out:
        while chunk := file.read(CHUNK_BYTES):
            out.write(chunk)
    if new != path:
        store.move(new, path)


def _put(store: FileSystem, path: str, data: bytes) -> None:
    new = f"{path}.part" if isinstance(store, LocalFileSystem) else path
    with store.open_output_stream(new) as out:
        out.write(data)
    if new != path:
        store.move(new, path)
