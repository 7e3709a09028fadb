"""One writer at a time: a lock file that names who holds it."""

from __future__ import annotations

import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: the file is held open exclusively instead
    fcntl = None


class WorldInUseError(Exception):
    """Another process, or another part of this one, has the world open for writing."""


class Lock:
    """Holds a lock file until closed or until the process ends, however it ends."""

    def __init__(self, path: Path, what: str) -> None:
        """Takes the lock.

        Raises:
            WorldInUseError: someone holds it; the message names the process.
        """
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:  # pragma: no cover - Windows
                import msvcrt

                msvcrt.locking(self._descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            holder = os.read(self._descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise WorldInUseError(
                f"{what} is open in process {holder}. Stop that process first, or use it through"
                f" its address"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)

    def close(self) -> None:
        """Lets go. The file stays: removing it would let two holders in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
