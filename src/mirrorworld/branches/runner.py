"""The process in which a branch runs, or is evaluated: `python -m mirrorworld.branches.runner`.

It reads its task and what it is to do from stdin, and tells what comes of it on stdout (`wire.py`).
It has the branch as it is on the disk, and writes nothing: the server applies what it says. It ends
when the server does, when a model takes too long, and when its memory is used up.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from mirrorworld import units
from mirrorworld.branches import doors, wire
from mirrorworld.branches.checking import ModelFault, check_change, check_units
from mirrorworld.branches.rebuilt import rebuilt
from mirrorworld.simulation.ports import DrawsChance, Evaluator, FollowsRecord, Kpi
from mirrorworld.world.changes import Change
from mirrorworld.world.ports import Model
from mirrorworld.world.world import World

MEMORY_BYTES: Final = 4 << 30
STEP_LIMIT_S: Final = 60.0
"""How long one step of one model may take."""
CHANGES_A_STEP_MAX: Final = 100_000
TELL_S: Final = 0.2
NICENESS: Final = 10


class Outside:
    """The server, as this process sees it."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def say(self, what: str, **more: Any) -> None:
        """Tells something."""
        self.send(wire.message({"say": what, **more}))

    def send(self, data: bytes) -> None:
        """Sends bytes; waits while the server is busy."""
        with self._lock:
            self._pipe.write(data)
            self._pipe.flush()


class Watch:
    """Ends this process when a model does not come back in time, saying which and when."""

    def __init__(self, outside: Outside, end_at: float, limit_s: float) -> None:
        self._outside, self._end_at, self._limit_s = outside, end_at, limit_s
        self._now: tuple[str, int, float] | None = None
        threading.Thread(target=self._look, daemon=True).start()

    @contextlib.contextmanager
    def over(self, name: str, until_ns: int) -> Iterator[None]:
        """Watches while a model works."""
        self._now = (name, until_ns, time.monotonic())
        try:
            yield
        finally:
            self._now = None

    def _look(self) -> None:
        while True:
            time.sleep(0.05)
            now, at = self._now, time.monotonic()
            if now is None:
                continue
            name, until_ns, began = now
            if at - began > self._limit_s or at > self._end_at:
                detail = f"{name} did not come back from its work within {at - began:.1f} s"
                self._outside.say("failed", detail=detail, now_ns=until_ns, model=name)
                os._exit(3)


class Clock:
    """The branch's own clock, and when it may move."""

    def __init__(self, now_ns: int, until_ns: int | None, speed: float, is_paused: bool) -> None:
        self.now_ns, self.until_ns, self.speed, self.is_paused = now_ns, until_ns, speed, is_paused
        self.pause_at_ns: int | None = None
        self.pauses_at_change = False
        self._anchor()

    def _anchor(self) -> None:
        self._from_ns, self._from_s = self.now_ns, time.monotonic()

    def next_ns(self, step_ns: int) -> int:
        """Where the next step ends."""
        ends = [self.now_ns + step_ns]
        ends += [e for e in (self.until_ns, self.pause_at_ns) if e is not None]
        return min(ends)

    def wait_s(self, until_ns: int) -> float:
        """How long to wait before a time comes."""
        if self.speed <= 0:
            return 0.0
        due_s = self._from_s + (until_ns - self._from_ns) / 1e9 / self.speed
        return due_s - time.monotonic()

    def hear(self, asked: dict[str, Any]) -> None:
        """Does what a person wants of the clock."""
        match asked["do"]:
            case "pause":
                self.is_paused = True
            case "resume":
                self.is_paused, self.pause_at_ns, self.pauses_at_change = False, None, False
            case "step":
                duration_ns = asked.get("duration_ns")
                self.pause_at_ns = None if duration_ns is None else self.now_ns + duration_ns
                self.pauses_at_change = duration_ns is None
                self.is_paused = False
            case "speed":
                self.speed = float(asked["speed"])
        self._anchor()

    def came(self, at_ns: int, has_changed: bool) -> None:
        """A step has been made."""
        self.now_ns = at_ns
        if self.pause_at_ns is not None and at_ns >= self.pause_at_ns:
            self.is_paused, self.pause_at_ns = True, None
        if self.pauses_at_change and has_changed:
            self.is_paused, self.pauses_at_change = True, False

    @property
    def is_over(self) -> bool:
        """Whether the run has come to its end."""
        return self.until_ns is not None and self.now_ns >= self.until_ns


class Run:
    """Models over a branch's world."""

    def __init__(
        self, world: World, models: Sequence[Model], clock: Clock, outside: Outside, watch: Watch,
        asked: queue.Queue[dict[str, Any] | Change], step_ns: int, end_at: float,
    ) -> None:  # fmt: skip
        self._world, self._models, self._clock = world, models, clock
        self._outside, self._watch, self._asked = outside, watch, asked
        self._step_ns, self._end_at = step_ns, end_at
        self._told_at = 0.0
        self._told: tuple[str, int] = ("", 0)

    def go(self) -> None:
        """Runs until the end, or until it is stopped."""
        while not self._clock.is_over:
            if not self._listen():
                return
            if time.monotonic() > self._end_at:
                self._outside.say(
                    "failed", detail="its time limit is over", now_ns=self._clock.now_ns
                )
                return
            at_ns = self._clock.next_ns(self._step_ns)
            if (wait_s := self._clock.wait_s(at_ns)) > 0:
                self._tell()
                if not self._take(min(wait_s, TELL_S)):
                    return
                continue
            self._clock.came(at_ns, self._step(at_ns))
            self._tell()
        self._outside.say("ended", now_ns=self._clock.now_ns)

    def _step(self, until_ns: int) -> bool:
        n = 0
        for model in self._models:
            changes: list[Change] = []
            with self._watch.over(f"model {model.name}", until_ns):
                for change in model.step(self._world, until_ns):
                    changes.append(change)
                    if len(changes) > CHANGES_A_STEP_MAX:
                        raise ModelFault(
                            model.name, until_ns, f"made more than {CHANGES_A_STEP_MAX} changes"
                        )
            for change in changes:
                check_change(self._world, model, change, until_ns)
                try:
                    self._world.apply(change)
                except (ValueError, KeyError, IndexError) as error:
                    raise ModelFault(model.name, until_ns, f"the world refused: {error}") from error
                self._outside.send(wire.change(change))
            n += len(changes)
        return n > 0

    def _listen(self) -> bool:
        """Does what was asked; waits while the run is paused. False: it is to stop."""
        while True:
            self._tell(is_due=self._clock.is_paused)
            if not self._take(None if self._clock.is_paused else 0.0):
                return False
            if not self._clock.is_paused and self._asked.empty():
                return True

    def _take(self, wait_s: float | None) -> bool:
        try:
            asked = self._asked.get(timeout=wait_s) if wait_s != 0 else self._asked.get_nowait()
        except queue.Empty:
            return True
        if isinstance(asked, Change):
            self._world.apply(asked)
        elif asked["do"] == "stop":
            self._outside.say("stopped", now_ns=self._clock.now_ns)
            return False
        elif asked["do"] == "hold":
            # Nothing of ours is under way now: what a person changes comes next.
            self._outside.say("held", now_ns=self._clock.now_ns)
            while True:
                asked = self._asked.get()
                if isinstance(asked, Change):
                    self._world.apply(asked)
                elif asked["do"] == "go on":
                    break
                else:
                    self._clock.hear(asked)
        else:
            self._clock.hear(asked)
        return True

    def _tell(self, *, is_due: bool = False) -> None:
        """Tells how it stands: at once where it pauses or goes on, else now and then."""
        state = "paused" if self._clock.is_paused else "running"
        told, now = (state, self._clock.now_ns), time.monotonic()
        if told == self._told:
            return
        if state == self._told[0] and not is_due and now - self._told_at < TELL_S:
            return
        self._told_at, self._told = now, told
        self._outside.say("at", state=state, now_ns=self._clock.now_ns, speed=self._clock.speed)


def main() -> None:
    """Does one task."""
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever models print, the pipe is for what is said here
    outside = Outside(pipe)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    task = wire.read_from(sys.stdin.buffer)
    if not isinstance(task, dict):
        return
    limit = int(task.get("memory_bytes") or MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    end_at = time.monotonic() + float(task["time_limit_s"])
    asked: queue.Queue[dict[str, Any] | Change] = queue.Queue()
    threading.Thread(target=_hear, args=(asked,), daemon=True).start()
    watch = Watch(outside, end_at, float(task.get("step_limit_s") or STEP_LIMIT_S))
    try:
        (_evaluate if task["do"] == "evaluate" else _run)(task, outside, watch, asked, end_at)
    except ModelFault as fault:
        outside.say("failed", detail=str(fault), now_ns=fault.at_ns, model=fault.model)
    except MemoryError:
        detail = f"{_names(task)} used up the {limit >> 20} MiB that it may have"
        outside.say("failed", detail=detail)
    except Exception as error:  # whatever goes wrong in here, the server is told and goes on
        detail = f"{_names(task)}: {type(error).__name__}: {error}"
        outside.say("failed", detail=detail[:2000])


def _names(task: dict[str, Any]) -> str:
    named = [model["name"] for model in task.get("models", ())] or [task.get("evaluator", "")]
    return ", ".join(named) or "the run"


def _hear(asked: queue.Queue[dict[str, Any] | Change]) -> None:
    while (said := wire.read_from(sys.stdin.buffer)) is not None:
        asked.put(said)
    os._exit(0)  # the server is gone: nobody would take what comes of this


def _run(
    task: dict[str, Any], outside: Outside, watch: Watch,
    asked: queue.Queue[dict[str, Any] | Change], end_at: float,
) -> None:  # fmt: skip
    branch, parent = rebuilt(Path(task["folder"]), Path(task["record"]), task["branch"])
    models: list[Model] = []
    for one in task["models"]:
        with watch.over(f"model {one['name']}", task["now_ns"]):
            model: Model = doors.make(doors.MODELS, one["name"], one["options"])
            check_units(branch.world, one["name"], model)
            if isinstance(model, FollowsRecord):
                model.follow(parent, branch.base.position)
            if isinstance(model, DrawsChance):
                model.draw_from(task["seed"])
        models.append(model)
    clock = Clock(task["now_ns"], task["until_ns"], task["speed"], task["is_paused"])
    step_ns = int(task["step_ns"])
    run = Run(branch.world, models, clock, outside, watch, asked, step_ns, end_at)
    with contextlib.suppress(BrokenPipeError):
        run.go()


def _evaluate(
    task: dict[str, Any], outside: Outside, watch: Watch,
    asked: queue.Queue[dict[str, Any] | Change], end_at: float,
) -> None:  # fmt: skip
    name, replications = task["evaluator"], task["replications"]
    branch, _ = rebuilt(Path(task["folder"]), Path(task["record"]), task["branch"])
    told_at = 0.0

    def progress(share: float, kpis: Sequence[Kpi] = ()) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TELL_S:
            told_at = time.monotonic()
            rows = _rows(name, kpis, replications)
            outside.say("progress", share=min(max(float(share), 0.0), 1.0), kpis=rows)

    with watch.over(f"evaluator {name}", task["now_ns"]):
        evaluator: Evaluator = doors.make(doors.EVALUATORS, name, task["options"])
        check_units(branch.world, name, evaluator)
        outside.say("progress", share=0.0, kpis=[])
        kpis = evaluator.evaluate(
            branch.world, replications=replications, seed=task["seed"], progress=progress
        )
    outside.say("done", kpis=_rows(name, kpis, replications))


def _rows(name: str, kpis: Sequence[Kpi], replications: int) -> list[dict[str, Any]]:
    """Figures as they are sent; ModelFault where one makes no sense."""
    rows: list[dict[str, Any]] = []
    for kpi in kpis:
        if len(kpi.values) > replications:
            why = f"'{kpi.name}' has {len(kpi.values)} values for {replications} replications"
            raise ModelFault(name, 0, why)
        try:
            units.check(kpi.unit, f"{name}: '{kpi.name}'")
        except ValueError as error:
            raise ModelFault(name, 0, str(error)) from error
        values = [v if np.isfinite(v) else None for v in kpi.values.astype(float).tolist()]
        rows.append({"name": kpi.name, "unit": kpi.unit, "better": kpi.better, "values": values})
    return rows


if __name__ == "__main__":
    main()
