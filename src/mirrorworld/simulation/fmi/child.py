"""A process that runs foreign code and is asked over two pipes: it may die, hang or grow, and then
one exception says which.

Knows processes, deadlines and frames (`wire.py`); refuses to know what is asked.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Final

import psutil

from mirrorworld.simulation.fmi.archive import discard
from mirrorworld.simulation.fmi.wire import Answer, Op, receive, send

ROWS_BYTES: Final = 4 << 20
"""Size of the memory that a run's outputs pass through."""
LOOKS_EVERY_S: Final = 0.05
NONSENSE: Final = "what it answers is nonsense; its process was ended"
LOG_BYTES_SHOWN: Final = 500
RESIDENT_BEYOND_BYTES: Final = 256 << 20
"""What the interpreter itself may take beside the unit's share."""

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Gone(Exception):
    """The process failed or refused; the message says how."""


class Child:
    """A worker process, with its own folder to work and write in.

    Args:
        folder: removed with the process.
        n_columns: of one row of a run.
    """

    def __init__(self, folder: Path, memory_bytes: int, n_columns: int) -> None:
        with (folder / "rows").open("w+b") as stream:
            stream.truncate(max(ROWS_BYTES, 8 + 8 * n_columns))
            self.rows = mmap.mmap(stream.fileno(), 0)
        self._log = folder / "log"
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
        environment |= {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "OPENBLAS_NUM_THREADS": "1",
        }
        with self._log.open("wb") as log:
            # -P: what lies in the unit's folder must not pass for a module of ours.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mirrorworld.simulation.fmi.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env=environment,
                bufsize=0,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._watch = _Watch(self._process, memory_bytes, self.rows)
        self._finalizer = weakref.finalize(self, _end, self._process, self._watch, folder)

    def send(self, op: Op, *parts: bytes, timeout_s: float) -> None:
        """Asks; each answer has to come in its time, in a run each step."""
        self._watch.begin(timeout_s, counts=op is Op.RUN)
        try:
            send(self._to, op, *parts)
        except OSError:
            raise Gone(self._why()) from None

    def receive(self) -> bytes:
        """The answer; Gone if none comes, or it is a failure."""
        try:
            code, payload = receive(self._from)
        except (EOFError, OSError):
            raise Gone(self._why()) from None
        except ValueError:
            raise Gone(NONSENSE) from None
        self._watch.end()
        if code == Answer.DONE:
            return payload
        try:
            said = json.loads(payload)
            call, why = str(said["call"]), str(said["why"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Gone(NONSENSE) from None
        raise Gone(f"{call}: {why}{self._said()}" if call else f"{why}{self._said()}")

    @property
    def steps_done(self) -> int:
        """How many steps of a run are done, also if the process is gone."""
        return int.from_bytes(self.rows[:8], sys.byteorder)

    def end(self) -> None:
        """Ends the process and removes its folder."""
        self._finalizer()

    def _why(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        code = self._process.poll()
        if self._watch.reason:
            why = self._watch.reason
        elif code is None:
            why = "it no longer answers; its process was ended"
        elif code < 0:
            try:
                why = f"its process died of {signal.Signals(-code).name}"
            except ValueError:
                why = f"its process died of signal {-code}"
        else:
            why = f"its process ended with status {code}"
        return why + self._said()

    def _said(self) -> str:
        """The end of what the unit printed."""
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_BYTES_SHOWN))
            text = " ".join(log.read().decode(errors="replace").split())
            return f"; it said: {text}" if text else ""
        return ""


def _end(process: subprocess.Popen[bytes], watch: _Watch, folder: Path) -> None:
    watch.stop()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(0.05 if watch.is_waiting else 0.5)
    process.kill()
    process.wait()
    discard(folder)


class _Watch:
    """Ends a process when an answer takes too long, or it takes too much memory."""

    def __init__(
        self, process: subprocess.Popen[bytes], memory_bytes: int, rows: mmap.mmap
    ) -> None:
        self.reason = ""
        self._process = process
        self._rows = rows
        self._memory_bytes = memory_bytes
        self._deadline_s: float | None = None
        self._timeout_s = 0.0
        self._counts = False
        self._counted = 0
        self._stopped = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is due."""
        return self._deadline_s is not None

    def begin(self, timeout_s: float, *, counts: bool) -> None:
        """An answer is due; with `counts`, each step of a run has its own time."""
        self._timeout_s, self._counts, self._counted = timeout_s, counts, 0
        self._deadline_s = time.monotonic() + timeout_s

    def end(self) -> None:
        """It has come."""
        self._deadline_s = None

    def stop(self) -> None:
        """Looks no more."""
        self._stopped.set()

    def _look(self) -> None:
        looks = 0
        while not self._stopped.wait(LOOKS_EVERY_S):
            deadline_s = self._deadline_s
            if deadline_s is None:
                continue
            now_s = time.monotonic()
            if self._counts:
                counted = int.from_bytes(self._rows[:8], sys.byteorder)
                if counted != self._counted:
                    self._counted = counted
                    self._deadline_s = deadline_s = now_s + self._timeout_s
            if now_s > deadline_s:
                self._end_with(f"no answer within {self._timeout_s:g} s; its process was ended")
                return
            looks += 1
            if looks % 10 == 0 and self._resident() > self._memory_bytes + RESIDENT_BEYOND_BYTES:
                self._end_with("it takes more memory than it may; its process was ended")
                return

    def _resident(self) -> int:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self._process.pid).memory_info().rss
        return 0

    def _end_with(self, reason: str) -> None:
        self.reason = reason
        self._process.kill()
