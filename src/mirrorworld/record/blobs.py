"""Blobs beside the log: pictures, documents, geometry, each named after its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mirrorworld.record.files import Files, write_whole
from mirrorworld.record.segments import CorruptRecordError


class Blobs:
    """A store of blobs by SHA-256. The same content is kept once."""

    def __init__(self, directory: Path, files: Files) -> None:
        self.directory = directory
        self._files = files

    def put(self, content: bytes) -> str:
        """Keeps a blob and returns its SHA-256 in hex; durable on return."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            self._files.make_directory(path.parent)
            write_whole(self._files, path, content)
        return sha256

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
