"""The heads of new branches, in one file that only grows: making a branch costs one sync, not one
for each file and folder of it. At the start what it says is brought into each branch's own head."""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path
from typing import Final

import msgspec

from mirrorworld.branches import kept
from mirrorworld.branches.kept import Head
from mirrorworld.record.files import Appender, Files, write_whole

NAME: Final = "new.log"


class Heads:
    """Heads of branches that have no file of their own yet, and ids of those that are gone."""

    def __init__(self, folder: Path) -> None:
        """Brings what the file says into the branches' own heads, and begins it anew."""
        self._folder = folder
        self._files = Files()
        self._lock = threading.Lock()
        self._appender: Appender | None = None
        found = self._read()
        for branch_id, head in found.items():
            directory = folder / branch_id
            path = directory / kept.HEAD
            if head is None:
                self._files.remove(path)
            elif not path.exists():
                self._files.make_directory(directory)
                kept.write(path, head)
        if found:
            write_whole(self._files, folder / NAME, b"")

    def _read(self) -> dict[str, Head | None]:
        try:
            data = (self._folder / NAME).read_bytes()
        except FileNotFoundError:
            return {}
        found: dict[str, Head | None] = {}
        for line in data.split(b"\n"):
            crc, _, said = line.partition(b" ")
            if not said or crc != b"%08x" % zlib.crc32(said):
                continue  # broken off, so nobody was told of it
            if said.startswith(b"{"):
                head = msgspec.json.decode(said, type=Head)
                found[head.id] = head
            else:
                found[said.decode()] = None
        return found

    def put(self, head: Head) -> None:
        """Keeps a new head; durable on return."""
        self._append(msgspec.json.encode(head))

    def drop(self, branch_id: str) -> None:
        """Notes that a branch is gone; durable on return."""
        self._append(branch_id.encode())

    def _append(self, said: bytes) -> None:
        with self._lock:
            if self._appender is None:
                self._files.make_directory(self._folder)
                self._appender = _Growing(self._folder / NAME)
                self._files.sync_directory(self._folder)
            self._appender.write(b"\n%08x %s\n" % (zlib.crc32(said), said))
            self._appender.sync()

    def close(self) -> None:
        """Lets go of the file."""
        with self._lock:
            if self._appender is not None:
                self._appender.close()
                self._appender = None


class _Growing:
    """A file to add to, whatever it has. See Appender."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, data: bytes) -> None:
        if os.write(self._descriptor, data) != len(data):
            raise OSError("the disk took only a part; free space on it")

    def sync(self) -> None:
        getattr(os, "fdatasync", os.fsync)(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)
