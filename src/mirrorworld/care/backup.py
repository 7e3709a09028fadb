"""Backups: one file that holds a world as it was at one place of its log.

A plain tar, since what is in it is compressed already: any tool reads it. It may be made while
the world runs: files of a record never change once they are closed, so what is copied is whole
if it is copied in the right order (what may be made again from the log first, the log last, and of
its growing end only what is durable). Compaction, which alone removes files, waits meanwhile.

Keys stay out unless they are asked for: a backup without them can be kept where the world's
owner is not the only one who reads.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from mirrorworld import record
from mirrorworld.record.doctor import examine
from mirrorworld.record.lock import Lock
from mirrorworld.record.migrations import read_description

FORMAT: Final = "mirrorworld backup"
VERSION: Final = 1
DESCRIPTION: Final = "backup.json"
SUMS: Final = "SHA256SUMS"

KEYS: Final = ("token", "*.key", "*.secret", "*key.pem", "secret", "secrets.key")
"""Files that let their reader act as the world or its owner; by their names."""

PASSING: Final = ("address", "lock", "*.new", "*.tmp", "*.part", "*-wal", "*-shm", "*-journal")
"""Files that mean nothing once their process has ended, or that have not come to be yet."""

COMPACTION_WAIT_S: Final = 120.0
CHUNK_BYTES: Final = 1 << 20
SIZE_SPARE: Final = 1.1
"""So much more room than the files take is asked for before anything is written."""

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)."""


class BackupError(Exception):
    """It cannot be backed up or restored; the message names the place and the mend."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    path: Path
    world: str
    position: str
    made_ns: int
    files: int
    size_bytes: int
    has_keys: bool


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    path: Path
    size: int


def back_up(
    directory: Path,
    path: Path,
    *,
    with_keys: bool = False,
    version: str = "",
    progress: Progress = lambda done, total: None,
) -> Backup:
    """Writes a backup of a world, running or not, and checks what it has written.

    Args:
        directory: the world's.
        path: the file to make; it appears only when it is whole.
        with_keys: whether keys go along, so that stored passwords can be read where it is restored.
        version: of the program, to be noted in it.

    Raises:
        BackupError: there is no world, no room, or the file is there already.
    """
    if path.exists():
        raise BackupError(f"{path}: is there already; a backup never replaces another")
    try:
        description = read_description(directory / "record")
    except record.CorruptRecordError as error:
        raise BackupError(str(error)) from error
    if description is None:
        raise BackupError(f"{directory}: no world is kept here")
    new = path.with_name(path.name + ".new")
    history = directory / "record" / "history"
    history.mkdir(exist_ok=True)
    with closing(_compaction_waits(history)), tempfile.TemporaryDirectory() as scratch:
        members = list(_beside(directory, Path(scratch), with_keys))
        members += _of_record(directory)
        log, position = _of_log(directory)
        members += _of_blobs(directory)
        total = sum(member.size for member in (*members, *log))
        _check_room(path.parent, total)
        about: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "program": version,
            "world": str(description["world"]),
            "record_version": description["version"],
            "position": position,
            "made_ns": time.time_ns(),
            "has_keys": with_keys,
        }
        try:
            descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                _write(file, about, [*members, *log], total, progress)
                file.flush()
                os.fsync(file.fileno())
            backup = check_backup(new)
            new.replace(path)
            _sync_directory(path.parent)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise BackupError(f"{path}: {error.strerror or error}") from error
    return Backup(path, *_tail(backup))


def check_backup(path: Path) -> Backup:
    """Reads a backup from its first byte to its last.

    Raises:
        BackupError: it is none, or not as it was written.
    """
    sums: dict[str, str] = {}
    said: dict[str, str] = {}
    size = 0
    try:
        with _opened(path) as archive:
            about = _head(archive, path)
            for member in archive:
                content = _content(archive, member, path)
                if content is None:
                    continue
                if member.name == SUMS:
                    said = _sums(content.read(), path)
                    continue
                size += member.size if member.name != DESCRIPTION else 0
                sums[member.name] = _sum(content)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupError(f"{path}: damaged: {error}") from error
    if said != sums:
        wrong = sorted({name for name in {*said, *sums} if said.get(name) != sums.get(name)})
        raise BackupError(
            f"{path}: damaged: {', '.join(wrong[:3])} is not as it was written"
            if said
            else f"{path}: cut off: its list of sums is missing"
        )
    return Backup(
        path,
        about["world"],
        about["position"],
        int(about["made_ns"]),
        len(sums) - 1,
        size,
        bool(about["has_keys"]),
    )


def restore_backup(
    path: Path, directory: Path, *, progress: Progress = lambda done, total: None
) -> Backup:
    """Makes a world's directory of a backup, and examines it before it takes its place.

    Raises:
        BackupError: the backup is damaged, or something is there already.
    """
    if directory.exists() and any(directory.iterdir()):
        raise BackupError(
            f"{directory}: a world is here already; move it away, or restore into another place"
        )
    backup = check_backup(path)
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_room(directory.parent, backup.size_bytes)
    new = directory.with_name(directory.name + ".restoring")
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    done = 0
    with _opened(path) as archive:
        _head(archive, path)
        for member in archive:
            content = _content(archive, member, path)
            if content is None or member.name in (DESCRIPTION, SUMS):
                continue
            target = new.joinpath(*PurePosixPath(member.name).parts)
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            mode = 0o600 if member.name.count("/") == 0 or is_key(target.name) else 0o644
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as f:
                shutil.copyfileobj(content, f, CHUNK_BYTES)
                f.flush()
                os.fsync(f.fileno())
            done += member.size
            progress(done, backup.size_bytes)
    found = examine(new / "record", is_growing=True)
    if found.damage:
        raise BackupError(f"{path}: {found.damage[0]}; what was restored is left in {new}")
    if directory.exists():
        directory.rmdir()
    new.replace(directory)
    _sync_directory(directory.parent)
    return backup


def is_key(name: str) -> bool:
    """Whether a file of that name is a key."""
    return any(fnmatch(name, pattern) for pattern in KEYS)


# --- what goes into it, in the order in which it is copied ------------------------------------


def _beside(directory: Path, scratch: Path, with_keys: bool) -> Iterator[_Member]:
    """Everything of a world but its record. Databases are copied by SQLite itself."""
    for path in _files(directory):
        name = path.relative_to(directory).as_posix()
        # A demo's plant makes its files anew. A recording of a meeting that somebody deletes, since
        # they no longer agree to it, must not come back from a backup.
        if name.startswith(("record/", "plant/", "meetings/")):
            continue
        if is_key(path.name) and not with_keys:
            continue
        if path.suffix == ".db":
            copy = scratch / f"{len(name)}-{path.name}"
            with (
                closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(copy)) as target,
            ):
                source.backup(target)
            path = copy
        yield _Member(name, path, path.stat().st_size)


def _of_record(directory: Path) -> Iterator[_Member]:
    """The record but its log: all of it can be read beside a log that is newer.

    Keyframes are listed before the structures that they share: what a keyframe refers to was
    there before it, and nothing is removed while compaction waits.
    """
    keyframes = sorted((directory / "record" / "keyframes").glob("*.mwkey"))
    others = (path for path in _files(directory / "record") if path.suffix != ".mwkey")
    for path in (*keyframes, *others):
        name = path.relative_to(directory).as_posix()
        if not name.startswith(("record/log/", "record/blobs/")):
            yield _Member(name, path, path.stat().st_size)


def _of_blobs(directory: Path) -> Iterator[_Member]:
    """Attached files. One is there before the log refers to it, so they are listed after the log
    was: what comes later is too much at most, and never missing."""
    for path in _files(directory / "record" / "blobs"):
        yield _Member(path.relative_to(directory).as_posix(), path, path.stat().st_size)


def _of_log(directory: Path) -> tuple[list[_Member], str]:
    """The log up to where it is durable now, and that position."""
    try:
        with record.open_record(directory / "record", read_only=True) as store:
            position = store.position
            segments = store.log.view()
    except record.CorruptRecordError as error:
        raise BackupError(
            f"{error}. A damaged world is not backed up; see `mirrorworld doctor`"
        ) from error
    root = directory.as_posix()
    members = [
        _Member(segment.path.as_posix().removeprefix(f"{root}/"), segment.path, segment.size)
        for segment in segments
    ]
    return members, str(position)


def _files(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        if not any(fnmatch(path.name, pattern) for pattern in PASSING):
            yield path


def _compaction_waits(history: Path) -> Lock:
    """Holds the compaction of a record off; waits for one that runs."""
    until = time.monotonic() + COMPACTION_WAIT_S
    while True:
        try:
            return Lock(history / "lock", "the compaction of the record")
        except record.WorldInUseError as error:
            if time.monotonic() > until:
                raise BackupError(f"{history}: {error}; try again when it has ended") from error
            time.sleep(0.5)


def _check_room(directory: Path, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size * SIZE_SPARE:
        raise BackupError(
            f"{directory}: {size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free; choose a"
            " place on another disk"
        )


# --- the tar ---------------------------------------------------------------------------------


def _write(
    file: IO[bytes],
    about: dict[str, Any],
    members: list[_Member],
    total: int,
    progress: Progress,
) -> None:
    done = 0
    sums: list[str] = []
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        head = json.dumps(about, indent=1).encode()
        _add(archive, DESCRIPTION, io.BytesIO(head), len(head))
        sums.append(f"{hashlib.sha256(head).hexdigest()}  {DESCRIPTION}\n")
        for member in members:
            with open(member.path, "rb") as content:
                hashed = _Hashed(content, member.size, member.name)
                _add(archive, member.name, hashed, member.size)
            sums.append(f"{hashed.digest}  {member.name}\n")
            done += member.size
            progress(done, total)
        listed = "".join(sums).encode()
        _add(archive, SUMS, io.BytesIO(listed), len(listed))


def _add(archive: tarfile.TarFile, name: str, content: Any, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(time.time())
    archive.addfile(info, content)


class _Hashed:
    """The first bytes of a file, hashed while they are read."""

    def __init__(self, file: IO[bytes], size: int, name: str) -> None:
        self._file, self._left, self._name = file, size, name
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        if len(data) < wanted:
            raise OSError(f"{self._name}: has become shorter while it was copied; try again")
        self._left -= len(data)
        self._hash.update(data)
        return data


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except (OSError, tarfile.TarError) as error:
        raise BackupError(f"{path}: {error}; this is no backup of mirrorworld") from error


def _head(archive: tarfile.TarFile, path: Path) -> dict[str, Any]:
    try:
        first = archive.next()
        content = archive.extractfile(first) if first and first.name == DESCRIPTION else None
        about = json.loads(content.read(1 << 16)) if content else {}
    except (tarfile.TarError, ValueError, OSError) as error:
        raise BackupError(f"{path}: {error}; this is no backup of mirrorworld") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise BackupError(f"{path}: this is no backup of mirrorworld")
    if about.get("version") != VERSION:
        raise BackupError(f"{path}: made by a newer version; upgrade mirrorworld")
    return about


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> IO[bytes] | None:
    """What a member holds. A backup may come from anyone, so only plain files below the world's
    own folder are taken."""
    parts = PurePosixPath(member.name).parts
    is_inside = parts and not member.name.startswith("/") and ".." not in parts
    if not member.isreg() or not is_inside or "\\" in member.name or ":" in parts[0]:
        raise BackupError(f"{path}: holds '{member.name[:80]}', which no backup of ours does")
    return archive.extractfile(member)


def _sums(text: bytes, path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.decode(errors="replace").splitlines():
        digest, gap, name = line.partition("  ")
        if not gap:
            raise BackupError(f"{path}: damaged: its list of sums cannot be read")
        found[name] = digest
    return found


def _sum(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := content.read(CHUNK_BYTES):
        digest.update(data)
    return digest.hexdigest()


def _tail(backup: Backup) -> tuple[str, str, int, int, int, bool]:
    return (
        backup.world,
        backup.position,
        backup.made_ns,
        backup.files,
        backup.size_bytes,
        backup.has_keys,
    )


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
