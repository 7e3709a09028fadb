"""The server's end of a run's process: started, spoken to, heard, and ended whatever it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

from mirrorworld.branches import wire
from mirrorworld.world.changes import Change

GRACE_S: Final = 5.0
"""How long a process has beyond its time limit to say itself that it is over."""
SAID_BYTES: Final = 4_000
"""Of what it prints, kept for the message if it dies."""


class Process:
    """One process that runs or evaluates a branch."""

    def __init__(self, process: asyncio.subprocess.Process, time_limit_s: float) -> None:
        """Use `start`."""
        self._process = process
        self._limit_s = time_limit_s
        self._said = b""
        self._errors = asyncio.create_task(self._read_errors(), name="run, what it prints")

    @classmethod
    async def start(cls, task: dict[str, Any]) -> Process:
        """Starts a process with its task.

        Raises:
            OSError: the machine has no room for one.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # its own directory is no place to take modules from
            "-m",
            "mirrorworld.branches.runner",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # so that what it starts ends with it
        )
        started = cls(process, float(task["time_limit_s"]))
        await started.tell(wire.message(task))
        return started

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def tell(self, data: bytes) -> None:
        """Says something to it; nothing happens if it is gone."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    async def heard(self) -> AsyncIterator[dict[str, Any] | Change]:
        """What it says, until it is gone or its time is over.

        Raises:
            TimeoutError: it did not end when its time was over.
            ValueError: it says nothing that makes sense.
        """
        out = self._process.stdout
        assert out is not None
        async with asyncio.timeout(self._limit_s + GRACE_S):
            while True:
                try:
                    length, kind = wire.HEAD.unpack(await out.readexactly(wire.HEAD.size))
                    if length > wire.BYTES_MAX:
                        raise ValueError(f"{length} bytes at once from a run")
                    payload = await out.readexactly(length)
                except asyncio.IncompleteReadError:
                    return
                yield wire.read(kind, payload)

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while part := await self._process.stderr.read(1 << 14):
            self._said = (self._said + part)[-SAID_BYTES:]

    async def end(self) -> str:
        """Ends it, if it has not ended itself; what it printed last, or how it died."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._errors
        self._errors.cancel()
        last = self._said.decode(errors="replace").strip().splitlines()[-1:]
        died = f"signal {signal.Signals(-code).name}" if code < 0 else f"code {code}"
        return " ".join([f"its process ended with {died}", *last])[:1_000]
