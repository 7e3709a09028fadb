"""Blobs beside the log: pictures, documents, geometry, each named after its content.

A blob is written into `incoming/` and takes its name only when it is whole and on disk, so that
whatever has a name is complete. Knows nothing of what a blob means.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mirrorworld.record.files import Files
from mirrorworld.record.segments import CorruptRecordError

FORGOTTEN_S: Final = 86_400.0
"""What has lain in `incoming/` for so long is nobody's any more."""


class Incoming:
    """A blob while it comes. `keep` it or `discard` it; used from one thread at a time."""

    def __init__(self, blobs: Blobs, files: Files, path: Path) -> None:
        self.path = path
        """Where what has come so far can be read, once `sync` has returned."""
        self.size_bytes = 0
        self._blobs, self._files = blobs, files
        self._hash = hashlib.sha256()
        self._appender = files.create(path)
        self._is_open = True

    @property
    def sha256(self) -> str:
        """Of what has come so far, in hex."""
        return self._hash.hexdigest()

    def write(self, part: bytes) -> None:
        """Takes the next part. It is not durable before `keep`."""
        self._appender.write(part)
        self._hash.update(part)
        self.size_bytes += len(part)

    def sync(self) -> None:
        """Makes what has come durable under no name yet, and takes no more."""
        if self._is_open:
            self._appender.sync()
            self._close()

    def keep(self) -> str:
        """Gives it its name and returns that; durable on return. Content that is there already is
        kept once."""
        self.sync()
        sha256 = self.sha256
        target = self._blobs.path(sha256)
        if target.exists() and target.stat().st_size == self.size_bytes:
            self._files.remove(self.path)
            os.utime(target)  # so that no sweep takes for forgotten what was just sent again
        else:
            self._files.make_directory(target.parent)
            self._files.replace(self.path, target)
            self._files.sync_directory(target.parent)
        return sha256

    def discard(self) -> None:
        """Leaves nothing of it, if it was not kept."""
        self._close()
        self._files.remove(self.path)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._appender.close()


class Blobs:
    """A store of blobs by SHA-256. The same content is kept once."""

    def __init__(self, directory: Path, files: Files) -> None:
        self.directory = directory
        self._files = files

    def receive(self) -> Incoming:
        """A new blob, to be written part by part."""
        incoming = self.directory / "incoming"
        self._files.make_directory(incoming)
        for path in incoming.glob("*.part"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < time.time() - FORGOTTEN_S:
                    self._files.remove(path)
        return Incoming(self, self._files, incoming / f"{secrets.token_hex(16)}.part")

    def put(self, content: bytes) -> str:
        """Keeps a blob and returns its SHA-256 in hex; durable on return."""
        incoming = self.receive()
        try:
            incoming.write(content)
            return incoming.keep()
        finally:
            incoming.discard()

    def get(self, sha256: str) -> bytes:
        """The blob of a name.

        Raises:
            KeyError: it is not here.
            CorruptRecordError: it is not what its name says.
        """
        try:
            content = self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise KeyError(f"no blob {sha256} in {self.directory}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise CorruptRecordError(
                f"{self.path(sha256)}: the blob is damaged; restore it from a backup"
            )
        return content

    def path(self, sha256: str) -> Path:
        """Where a blob lies.

        Raises:
            ValueError: the name is not a SHA-256 in lower-case hex.
        """
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ValueError(f"'{sha256:.80}' is not the SHA-256 of a blob")
        return self.directory / sha256[:2] / sha256[2:]

    def names(self) -> Iterator[str]:
        """The SHA-256 of every blob that is kept."""
        for path in sorted(self.directory.glob("[0-9a-f][0-9a-f]/*")):
            name = path.parent.name + path.name
            if len(name) == 64:
                yield name

    @property
    def total_bytes(self) -> int:
        """How much all that is kept takes."""
        return sum(self.path(name).stat().st_size for name in self.names())
