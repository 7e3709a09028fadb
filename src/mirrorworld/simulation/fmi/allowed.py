"""Which units may run here: exactly the bytes that an owner has allowed, by their SHA-256.

The list is one JSON file in a directory of the owner's, beside the world or given by name. Nothing
is on it by default, and a file that others own or may write is not believed.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mirrorworld.simulation.fmi.archive import FmiError, sha256_of

NAME: Final = "fmu-allowed.json"
SIZE_BYTES_MAX: Final = 4 << 20


class NotAllowedError(FmiError):
    """A unit that nobody has allowed to run; the message says how its owner would."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """The units that may run, kept in `directory`."""

    directory: Path

    @property
    def path(self) -> Path:
        """The file."""
        return self.directory / NAME

    def entries(self) -> dict[str, dict[str, Any]]:
        """SHA-256 in hex -> {name, by, at}.

        Raises:
            FmiError: the file is damaged, or others than its owner may write it.
        """
        try:
            with self.path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                data = stream.read(SIZE_BYTES_MAX + 1)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise FmiError(f"{self.path}: {error.strerror}") from None
        if os.name == "posix" and found.st_uid not in (0, os.geteuid()):
            raise FmiError(f"{self.path}: another user's file, so it allows nothing")
        if os.name == "posix" and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise FmiError(
                f"{self.path}: others may write it, so it allows nothing; chmod go-w mends it"
            )
        try:
            plain: Any = json.loads(data)
            rows = dict(plain["allowed"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise FmiError(f"{self.path}: damaged; remove it and allow the units again") from None
        return {str(sha256): row for sha256, row in rows.items() if isinstance(row, dict)}

    def require(self, sha256: str, path: Path) -> None:
        """Raises NotAllowedError, with the mend, unless these bytes are on the list."""
        if sha256 in self.entries():
            return
        raise NotAllowedError(
            f"{path} (SHA-256 {sha256[:16]}…): an FMU is native code, and nobody has allowed this"
            f" one in {self.directory}; look at it: mirrorworld fmu describe {path}; then its owner"
            f" may: mirrorworld fmu allow {path} --dir {self.directory}"
        )

    def allow(self, path: Path, *, by: str, at: str) -> str:
        """Puts a file's bytes on the list; returns their SHA-256.

        Args:
            by: who allows it.
            at: when, as ISO 8601.
        """
        sha256 = sha256_of(path)
        rows = self.entries()
        rows[sha256] = {"name": path.name, "by": by, "at": at}
        self._write(rows)
        return sha256

    def forget(self, sha256: str) -> bool:
        """Takes bytes off the list; whether they were on it."""
        rows = self.entries()
        was = rows.pop(sha256, None) is not None
        if was:
            self._write(rows)
        return was

    def _write(self, rows: dict[str, dict[str, Any]]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f".{NAME}.{os.getpid()}")
        text = json.dumps({"allowed": rows}, indent=1, sort_keys=True)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            part.replace(self.path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise FmiError(f"{self.path}: {error.strerror}") from None
