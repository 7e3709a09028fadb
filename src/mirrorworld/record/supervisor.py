"""Keeps at most one compaction of a record running, as a process beside the world's."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

_LOG: Final = logging.getLogger(__name__)


class Compactor:
    """Starts compactions of a record, one at a time, and never waits for one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._wanted = False
        self.failures = 0
        """Runs that ended with an error; what they said is in history/compaction.log."""

    @property
    def is_running(self) -> bool:
        """Whether a compaction runs now."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> bool:
        """Starts one unless it runs; a wish while it runs is met by the next `start`."""
        with self._lock:
            if self.is_running:
                return False
            self._collect()
            folder = self._directory / "history"
            folder.mkdir(exist_ok=True)
            with open(folder / "compaction.log", "wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "mirrorworld.record.compaction", str(self._directory)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            return True

    def wait(self, timeout_s: float) -> None:
        """Waits for the running compaction; raises TimeoutExpired if it takes longer."""
        if self._process is not None:
            self._process.wait(timeout_s)
            self._collect()

    def close(self) -> None:
        """Ends a running compaction: it is harmless at any moment."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()
                self._process.wait()
            elif self._process is not None:
                self._collect()
            self._process = None

    def _collect(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll():
            self.failures += 1
            _LOG.warning(
                "a compaction of %s failed with status %s; see history/compaction.log",
                self._directory,
                process.returncode,
            )
