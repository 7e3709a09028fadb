"""Child processes of a world: started, waited for, brought back when they fall, ended by pid.

Knows nothing of what they are. A child ends with its parent, also when that is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

log = logging.getLogger(__name__)

READY_TIMEOUT_S: Final = 60.0
END_TIMEOUT_S: Final = 5.0
RESTART_S: Final = 1.0
RESTART_S_MAX: Final = 30.0
LINES_KEPT: Final = 20


class StartError(Exception):
    """A process did not start; the message says which and what it said last."""


@dataclass(slots=True)
class Child:
    """One kept process."""

    name: str
    command: Sequence[str]
    is_ready: Callable[[str], bool]
    restarts: int = 0
    pid: int = 0
    said: deque[str] = field(default_factory=lambda: deque[str](maxlen=LINES_KEPT))
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _keeper: asyncio.Task[None] | None = None


class Processes:
    """Keeps children running until `stop`."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    @property
    def restarts(self) -> Mapping[str, int]:
        """How often each child had to be brought back."""
        return {child.name: child.restarts for child in self.children}

    async def start(
        self,
        name: str,
        command: Sequence[str],
        is_ready: Callable[[str], bool],
        timeout_s: float = READY_TIMEOUT_S,
    ) -> Child:
        """Starts a child and returns when a line of its output passes `is_ready`.

        Raises:
            StartError: it ended, or said nothing of the kind in time.
        """
        child = Child(name, command, is_ready)
        self.children.append(child)
        child._keeper = asyncio.create_task(self._keep(child), name=f"keeps {name}")
        ready = asyncio.create_task(child._ready.wait())
        done, _ = await asyncio.wait(
            {ready, child._keeper}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if ready in done:
            return child
        ready.cancel()
        why = "ended" if done else f"was not ready in {timeout_s:g} s"
        await self._end(child)
        self.children.remove(child)
        last = "; ".join(child.said) or "nothing"
        raise StartError(f"{name} {why}; it said: {last}")

    async def stop(self) -> None:
        """Ends all children, the last one first."""
        while self.children:
            await self._end(self.children.pop())

    async def _end(self, child: Child) -> None:
        if child._keeper is not None:
            child._keeper.cancel()
            await asyncio.gather(child._keeper, return_exceptions=True)

    async def _keep(self, child: Child) -> None:
        wait_s = RESTART_S
        while True:
            process = await asyncio.create_subprocess_exec(
                *_launched(child.command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl-C in a terminal goes to the whole group; ending children is ours to do.
                start_new_session=True,
            )
            child.pid = process.pid
            assert process.stdout is not None
            try:
                async for line in process.stdout:
                    text = line.decode(errors="replace").rstrip()
                    child.said.append(text)
                    log.debug("%s: %s", child.name, text)
                    if not child._ready.is_set() and child.is_ready(text):
                        child._ready.set()
                status = await process.wait()
            except asyncio.CancelledError:
                await _terminate(process)
                raise
            if not child._ready.is_set():
                return
            child.restarts += 1
            log.warning("%s ended with status %s; starting it again", child.name, status)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RESTART_S_MAX)


async def _terminate(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(END_TIMEOUT_S):
            # Read on, or a child that says much at its end would wait for us for ever.
            assert process.stdout is not None
            while await process.stdout.read(65536):
                pass
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def free_port() -> int:
    """A port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _launched(command: Sequence[str]) -> list[str]:
    """The command, asked to end with its parent where the system can do that (Linux)."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-S", "-E", __file__, str(os.getpid()), *command]


def _launch(arguments: Sequence[str]) -> None:
    """Asks the kernel for SIGTERM at the parent's death, then becomes the command."""
    parent, *command = arguments
    set_parent_death_signal: Final = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the parent is gone already")
    os.execvp(command[0], command)


if __name__ == "__main__":
    _launch(sys.argv[1:])
