"""The runs of branches: each a process whose changes are applied here, noted in the branch's log,
and seen by whoever looks. People's changes come between them: the run holds while one is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from mirrorworld.branches import wire
from mirrorworld.branches.book import Branches
from mirrorworld.branches.branch import Branch
from mirrorworld.branches.process import Process
from mirrorworld.protocol.branches import AttachedModel, ControlRequest, RunRequest, RunState
from mirrorworld.world.changes import Change
from mirrorworld.world.frames import Frame

log = logging.getLogger(__name__)

PROCESSES_MAX: Final = max(4, (os.cpu_count() or 1))
"""Runs and evaluations at once; further ones wait or are refused."""
COMMIT_S: Final = 0.1
ROWS_WAITING_MAX: Final = 500_000
LOG_BYTES_MAX: Final = 4 << 30
"""Of one branch."""
HOLD_S: Final = 30.0
TIME_LIMIT_S_MAX: Final = 86_400.0 * 7
SOURCE: Final = "run"
STEP_S_MIN: Final = 1e-6
YEAR_S: Final = 366 * 86_400.0


class Running:
    """The run of one branch that goes on now."""

    def __init__(self, book: Branches, branch: Branch, state: RunState) -> None:
        self.state = state
        self.is_over = asyncio.Event()
        self._book, self._branch = book, branch
        self.process: Process | None = None
        self._incarnation = time.time_ns() // 1_000_000
        self._n = 0
        self._rows = 0
        self._committed_at = time.monotonic()
        self._held = asyncio.Event()
        self._holding = asyncio.Lock()
        self._is_stopped = False
        self.task: asyncio.Task[None] | None = None

    async def go(self, task: dict[str, Any]) -> None:
        """Runs until it is over; how it went is in `state`, and kept."""
        try:
            self.process = await Process.start(task)
            await self._hear(self.process)
        except TimeoutError:
            self._fail("its time limit is over, and it did not end itself")
        except asyncio.CancelledError:
            self._say(state="failed", detail="the world was stopped while it ran; run on")
            raise
        except (ValueError, KeyError, IndexError, OSError) as error:
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._end())

    async def _end(self) -> None:
        if self.process is not None:
            said = await self.process.end()
            if self.state.state in ("starting", "running", "paused"):
                if self._is_stopped:
                    self._say(state="idle")
                else:
                    self._fail(said)
        self._branch.clock_ns = max(self._branch.clock_ns, self.state.now_ns)
        with contextlib.suppress(OSError, KeyError):
            await self._book.commit(self._branch)
            await self._book.save_run(self._branch.head.id, self.state)
        self._held.set()
        self.is_over.set()

    async def _hear(self, process: Process) -> None:
        async for said in process.heard():
            if isinstance(said, Change):
                await self._take(said)
                continue
            now_ns = int(said.get("now_ns") or self.state.now_ns)
            self._branch.clock_ns = max(self._branch.clock_ns, now_ns)
            await self._keep()  # whoever hears how it stands finds what it has made
            match said["say"]:
                case "at":
                    was = self.state.state
                    self._say(state=said["state"], now_ns=now_ns, speed=said["speed"], detail="")
                    if was != said["state"]:
                        await self._book.save_run(self._branch.head.id, self.state)
                case "held":
                    self._say(now_ns=now_ns)
                    self._held.set()
                case "ended":
                    self._say(state="ended", now_ns=now_ns, detail="")
                case "stopped":
                    self._say(state="idle", now_ns=now_ns, detail="")
                case "failed":
                    self._say(state="failed", now_ns=now_ns, detail=str(said["detail"]))
                case _:
                    log.warning("run of %s says %r", self._branch.head.id, said["say"])

    async def _take(self, change: Change) -> None:
        """Applies a change of a model; waits for the disk when much is not on it."""
        self._n += 1
        numbered = dataclasses.replace(
            change, source=SOURCE, incarnation=self._incarnation, source_seq=self._n
        )
        if not self._branch.is_ready:  # its log has rested for others
            await self._book.ready(self._branch)
        self._branch.apply(numbered)
        rows = len(change.body) if isinstance(change.body, Frame) else 0
        self._rows += rows
        self._say(changes=self.state.changes + 1, samples=self.state.samples + rows)
        self._branch.clock_ns = max(self._branch.clock_ns, change.received_ns)
        is_late = time.monotonic() - self._committed_at > COMMIT_S
        if is_late or self._rows > ROWS_WAITING_MAX:
            await self._keep()
            if self._branch.size_bytes > LOG_BYTES_MAX:
                raise ValueError(f"the branch's log has {LOG_BYTES_MAX >> 20} MiB, all it may have")
        elif self._n % 50 == 0:
            await asyncio.sleep(0)  # others have their turn

    async def _keep(self) -> None:
        await self._book.commit(self._branch)
        self._rows, self._committed_at = 0, time.monotonic()

    def _say(self, **otherwise: Any) -> None:
        self.state = dataclasses.replace(self.state, **otherwise)
        self._book.entry(self._branch.head.id).run = self.state

    def _fail(self, why: str) -> None:
        self._say(state="failed", detail=why)

    # --- what people want of it ---

    async def control(self, asked: ControlRequest) -> None:
        """Pauses, resumes, steps, or changes the speed; `stop` ends it and waits for that."""
        told: dict[str, Any] = {"do": asked.act}
        match asked.act:
            case "step":
                told["duration_ns"] = None
                if asked.duration_s is not None:
                    if not 0 < asked.duration_s <= YEAR_S * 100:
                        raise ValueError(f"a step of {asked.duration_s} s; give more than 0")
                    told["duration_ns"] = int(asked.duration_s * 1e9)
            case "speed":
                told["speed"] = speed_of(asked.speed)
            case "pause" | "resume":
                pass
            case "stop":
                await self.stop()
                return
            case _:
                raise ValueError(
                    f"a run cannot '{asked.act[:40]}'; it can pause, resume, step, speed or stop"
                )
        if self.process is not None:
            await self.process.tell(wire.message(told))

    async def stop(self) -> None:
        """Ends it; what it has made stays."""
        self._is_stopped = True
        if self.process is not None:
            await self.process.tell(wire.message({"do": "stop"}))
        try:
            async with asyncio.timeout(2):
                await self.is_over.wait()
        except TimeoutError:
            # A model that does not come back does not hear either.
            if self.process is not None:
                await self.process.end()
            await self.is_over.wait()

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keeps the run from changing anything while a person does; then it is told what."""
        process = self.process
        if process is None or self.is_over.is_set():
            yield
            return
        async with self._holding:
            self._held.clear()
            await process.tell(wire.message({"do": "hold"}))
            try:
                async with asyncio.timeout(HOLD_S):
                    await self._held.wait()
            except TimeoutError:
                await process.tell(wire.message({"do": "go on"}))
                raise ValueError(
                    "the run is in the middle of a long step; pause or stop it, then change"
                ) from None
            n = len(self._branch.made)
            try:
                yield
            finally:
                for made in self._branch.made[n:]:
                    await process.tell(wire.change(made.change))
                await process.tell(wire.message({"do": "go on"}))


class Runs:
    """The runs of all branches of a world."""

    def __init__(self, book: Branches, record: Path | None) -> None:
        self._book, self._record = book, record
        self._running: dict[str, Running] = {}

    def of(self, branch_id: str) -> Running | None:
        """The run of a branch that goes on; None: there is none."""
        running = self._running.get(branch_id)
        return None if running is None or running.is_over.is_set() else running

    @property
    def n_running(self) -> int:
        """How many go on."""
        return sum(not running.is_over.is_set() for running in self._running.values())

    async def start(self, branch_id: str, asked: RunRequest) -> RunState:
        """Starts a run from where the branch's clock stands.

        Raises:
            ValueError: it runs already, too many do, or what was asked makes no sense.
        """
        entry = self._book.entry(branch_id)
        before = self.of(branch_id)
        if before is not None and before.state.state in ("ended", "failed", "idle"):
            await before.is_over.wait()  # it has said so itself; its process is about to end
        if self.of(branch_id) is not None:
            raise ValueError(f"{entry.head.name} runs already; pause, step or stop it")
        if self.n_running >= PROCESSES_MAX:
            raise ValueError(f"{self.n_running} branches run, as many as may; stop one first")
        models = [AttachedModel(m.name, dict(m.options)) for m in entry.head.models]
        if not models:
            raise ValueError(f"{entry.head.name} has no model to run with; attach one to it")
        if not STEP_S_MIN <= asked.step_s <= YEAR_S:
            raise ValueError(f"steps of {asked.step_s} s; give {STEP_S_MIN:g} to {YEAR_S:g}")
        if not 0 < asked.time_limit_s <= TIME_LIMIT_S_MAX:
            raise ValueError(f"a time limit of {asked.time_limit_s} s; give up to a week")
        duration_s = asked.duration_s
        if duration_s is not None and not 0 < duration_s <= YEAR_S * 100:
            raise ValueError(f"a run of {duration_s} s; give more than 0, up to 100 years")
        speed = speed_of(asked.speed)
        branch = await self._book.opened(branch_id)
        await self._book.ready(branch)
        now_ns = branch.clock_ns
        until_ns = None if duration_s is None else now_ns + int(duration_s * 1e9)
        state = RunState("starting", now_ns, until_ns, speed)
        running = self._running[branch_id] = Running(self._book, branch, state)
        await self._book.settle(branch_id)
        await self._book.save_run(branch_id, state)
        task = {
            "do": "run",
            "folder": str(self._book.directory),
            "record": str(self._record),
            "branch": branch_id,
            "models": [{"name": m.name, "options": m.options} for m in models],
            "now_ns": now_ns,
            "until_ns": until_ns,
            "speed": speed,
            "step_ns": max(int(asked.step_s * 1e9), 1),
            "is_paused": asked.is_paused,
            "seed": asked.seed,
            "time_limit_s": asked.time_limit_s,
        }
        running.task = asyncio.create_task(running.go(task), name=f"run of {branch_id}")
        return state

    async def control(self, branch_id: str, asked: ControlRequest) -> RunState:
        """See `Running.control`; ValueError where the branch does not run."""
        running = self.of(branch_id)
        if running is None:
            name = self._book.entry(branch_id).head.name
            raise ValueError(f"{name} does not run")
        await running.control(asked)
        return running.state

    async def stop(self, branch_id: str) -> None:
        """Stops the run of a branch, if there is one."""
        running = self._running.pop(branch_id, None)
        if running is not None and not running.is_over.is_set():
            await running.stop()

    async def close(self) -> None:
        """Ends all runs; each can be run on later."""
        tasks = [r.task for r in self._running.values() if r.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def speed_of(speed: float | None) -> float:
    """A speed that can be run at; ValueError else."""
    if speed is None or not 0 <= speed <= 1e9:
        raise ValueError(f"speed {speed}; 0 is as fast as it goes, 1 is real time, up to 1e9")
    return float(speed)
