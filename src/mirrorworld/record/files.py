"""Writing files so that they stay: the only place where the record touches a disk for writing.

Everything durable goes through `Files`; the tests put a layer in its place that forgets every
byte not yet fsynced and refuses on demand (`mirrorworld.testing.faults`).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Protocol


class Appender(Protocol):
    """A file that grows at its end."""

    def write(self, data: bytes) -> None:
        """Adds bytes. They are not durable before `sync`."""
        ...

    def sync(self) -> None:
        """Makes everything written so far durable (fdatasync)."""
        ...

    def close(self) -> None:
        """Lets go of the file; does not sync."""
        ...


class Files:
    """The real disk."""

    def create(self, path: Path) -> Appender:
        """A new, empty file for appending; one that is there already is emptied."""
        return _OsAppender(path)

    def replace(self, source: Path, target: Path) -> None:
        """Gives a file another name, in one step; durable after `sync_directory`."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        """Removes a file that may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)

    def sync_file(self, path: Path) -> None:
        """Makes the content of a file durable that something else has written."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_directory(self, path: Path) -> None:
        """Makes names made, changed and removed in a directory durable."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path) -> None:
        """Makes a directory and its parents durable, if they are not there."""
        if path.is_dir():
            return
        self.make_directory(path.parent)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
        self.sync_directory(path.parent)


class _OsAppender:
    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        getattr(os, "fdatasync", os.fsync)(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def write_whole(files: Files, path: Path, data: bytes) -> None:
    """Puts a file in place in one step: after a crash there is the old or the new one."""
    temporary = path.with_name(path.name + ".part")
    appender = files.create(temporary)
    try:
        appender.write(data)
        appender.sync()
    finally:
        appender.close()
    files.replace(temporary, path)
    files.sync_directory(path.parent)
