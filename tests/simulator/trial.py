"""One trial: plants, people and viewers around a node, while everything fails by chance.

All chance comes from the seed, and all time is simulated, so the same seed gives the same trial to
the last commit. What is asked of the node are the laws of ARCHITECTURE.md; `LawBroken` names the
law, the moment and the command that shows it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mirrorworld.live.guard import ENGINEER, OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import CorruptRecordError, compaction
from mirrorworld.world.changes import Arm, Command, CommandState, Edits, PutProperty
from mirrorworld.world.model import Property
from tests.simulator import laws
from tests.simulator.clock import SimulatedLoop
from tests.simulator.network import Weather
from tests.simulator.node import Node, crash, start, twin_of
from tests.simulator.plant import Plant
from tests.simulator.viewer import Viewer

START_NS: Final = 1_790_000_000_000_000_000
QUIET_S_MAX: Final = 600.0
"""In so many simulated seconds without faults everything measured must be acknowledged."""

ANN = principal("ann", ENGINEER, OWNER)


class LawBroken(AssertionError):
    """A law does not hold; the message says which, when, and how to see it again."""


@dataclass
class Trial:
    """What happened in a trial; `faults` counts what the node was put through."""

    seed: int
    seconds: float
    chance: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    plants: list[Plant] = field(default_factory=list)
    viewers: list[Viewer] = field(default_factory=list)
    node: Node | None = None
    lives: int = 0
    skew_ns: int = 0
    slowness_s: float = 0.002
    notes: dict[str, int] = field(default_factory=dict)
    """By twin: the number of the latest note whose writing was acknowledged."""
    n_notes: int = 0
    n_commands: int = 0
    commands: set[str] = field(default_factory=set)
    """Ids of commands whose request was acknowledged."""
    sent: list[str] = field(default_factory=list)
    remembered: list[tuple[Any, str]] = field(default_factory=list)
    """(position, hash of the world's state there), for as-of."""
    story: Any = field(default_factory=hashlib.sha256)

    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop: SimulatedLoop | None = None

    def watch(self, task: asyncio.Task[Any]) -> None:
        """Whatever ends a task before its time ends the trial."""

        def ended(task: asyncio.Task[Any]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self.failures.append(task.exception() or AssertionError())

        task.add_done_callback(ended)

    @property
    def now_s(self) -> float:
        """Simulated seconds since the start."""
        return self.loop.time() if self.loop is not None else 0.0

    def now_ns(self) -> int:
        """The node's clock, which may be off."""
        return START_NS + int(self.now_s * 1e9) + self.skew_ns

    def true_ns(self) -> int:
        """The clock on the wall."""
        return START_NS + int(self.now_s * 1e9)

    def broken(self, what: str) -> None:
        """Ends the trial, also where the node's own code catches what is raised."""
        error = LawBroken(
            f"seed {self.seed}, {self.now_s:.3f} s, life {self.lives} of the node: {what}\n"
            f"again: python -m tests.simulator --seed {self.seed} --seconds {self.seconds:g}"
        )
        self.failures.append(error)
        raise error

    def tell(self, *what: object) -> None:
        """A line of the story, by which two runs of a seed are compared."""
        self.story.update(repr((round(self.now_s, 9), *what)).encode())

    @property
    def digest(self) -> str:
        """A hash of all that happened."""
        return self.story.hexdigest()[:16]


def run(seed: int, *, seconds: float = 60.0, directory: Path | None = None) -> Trial:
    """Runs one trial.

    Args:
        seconds: simulated ones of trouble; then there is quiet until all is acknowledged.

    Raises:
        LawBroken: a law of the brief does not hold.
    """
    trial = Trial(seed, seconds, random.Random(seed))
    random.seed(seed)  # of `Sources`, which spreads its attempts by chance
    with contextlib.ExitStack() as stack:
        root = directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(_silence())
        trial.loop = loop = SimulatedLoop(lambda: _work_s(trial))
        try:
            loop.run_until_complete(_live(trial, root / "world"))
        finally:
            loop.run_until_complete(_end())
            loop.close()
            if trial.node is not None:
                trial.node.release()
    return trial


async def _end() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _live(trial: Trial, root: Path) -> None:
    chance = trial.chance
    for i in range(chance.randint(1, 4)):
        weather = Weather(
            drop=chance.choice((0.0, 0.01, 0.2)),
            double=chance.choice((0.0, 0.05, 0.3)),
            jitter_s=chance.choice((0.0, 0.02, 0.5)),
        )
        plant = Plant(
            f"plant{i}", chance.randint(2, 12), chance.random() < 0.6,
            random.Random(chance.getrandbits(64)), weather,
        )  # fmt: skip
        trial.plants.append(plant)
    trial.viewers = [Viewer(f"viewer{i}") for i in range(3)]
    rates_s = [chance.choice((0.05, 0.2, 1.0)) for _ in trial.plants]
    outside = [
        asyncio.create_task(plant.live(trial.true_ns, rate_s=rate_s))
        for plant, rate_s in zip(trial.plants, rates_s, strict=True)
    ]
    keep: set[asyncio.Task[Any]] = {*outside}
    current = asyncio.current_task()
    assert current is not None
    keep.add(current)
    await _begin(trial, root)
    while trial.now_s < trial.seconds:
        await _trouble(trial)
        if trial.node is None or trial.node.disk.is_dead or trial.node.mirror.pipeline.failure:
            await _fall(trial, keep, root)
        _check_outside(trial, outside)
    await _calm(trial, root, keep, outside)


async def _begin(trial: Trial, root: Path) -> None:
    """Starts a life of the node and lets people and viewers at it."""
    trial.lives += 1
    try:
        node = await start(
            trial.lives, root, trial.plants, trial.now_ns, trial.broken, trial.chance
        )
    except CorruptRecordError as error:
        trial.broken(f"law 2: what a fault left cannot be opened: {error}")
        raise
    trial.node = node
    assert trial.loop is not None
    trial.loop.on_cut = lambda: None
    world = node.mirror.world
    trial.tell("begins", str(world.position), world.state_hash())
    laws.check_restored(trial, node)
    for viewer in trial.viewers:
        viewer.join(world)
        trial.watch(asyncio.create_task(viewer.watch(trial.chance)))
    trial.watch(asyncio.create_task(_people(trial, node.mirror)))


async def _fall(trial: Trial, keep: set[asyncio.Task[Any]], root: Path) -> None:
    """The node's process ends, with the machine or without, and another begins."""
    node, chance = trial.node, trial.chance
    assert node is not None and trial.loop is not None
    loses_power = chance.random() < 0.6
    seed = chance.getrandbits(32) if chance.random() < 0.7 else None
    trial.faults["power losses" if loses_power else "kills"] += 1
    trial.sent += node.sent
    await crash(node, trial.loop, keep, seed=seed, loses_power=loses_power)
    trial.tell("falls", loses_power)
    trial.remembered = [
        r for r in trial.remembered if r[0].sequence <= node.store.position.sequence
    ]
    await asyncio.sleep(chance.choice((0.1, 1.0, 20.0)))
    await _begin(trial, root)


async def _trouble(trial: Trial) -> None:
    """One fault, after a while."""
    chance, node = trial.chance, trial.node
    await asyncio.sleep(chance.expovariate(1 / 3.0))
    if node is None or node.disk.is_dead:
        return
    plant = chance.choice(trial.plants)
    fault = chance.choice(
        ("kill", "cut", "cut", "refuse", "full", "slow", "fast", "part", "part", "skew", "clock",
         "restart", "compact", "keyframe", "branch", "remember", "remember")
    )  # fmt: skip
    trial.faults[fault] += 1
    trial.tell("trouble", fault)
    match fault:
        case "kill":
            node.disk.is_dead = True
        case "cut":
            node.disk.calls_until_cut = chance.randint(0, 6)
        case "refuse":
            setattr(node.disk, chance.choice(("fail_sync", "fail_write")), chance.choice((5, 28)))
        case "full":
            node.disk.room_bytes = chance.randint(0, 20_000)
        case "slow":
            trial.slowness_s = chance.choice((0.2, 2.0, 10.0))
        case "fast":
            trial.slowness_s = 0.002
        case "part":
            parted = not plant.up.is_parted
            plant.up.is_parted = parted
            plant.down.is_parted = parted if chance.random() < 0.8 else not parted
        case "skew":
            plant.skew_ns = int(chance.choice((0, 90, -90, 3600, -86_400)) * 1e9)
        case "clock":
            trial.skew_ns = int(chance.choice((0, 30, -30, -3600)) * 1e9)
        case "restart":
            plant.restart()
        case "compact":
            _compact(trial, node)
        case "keyframe":
            with contextlib.suppress(OSError):
                node.mirror.record.keyframe(node.mirror.world.snapshot())
        case "branch":
            laws.check_branch(trial, node)
        case _:
            world = node.mirror.world
            trial.remembered.append((world.position, world.state_hash()))


def _compact(trial: Trial, node: Node) -> None:
    """A compaction, as its own process would do it, on the same failing disk."""
    with contextlib.suppress(OSError):
        if trial.chance.random() < 0.5:
            node.store.log.roll()
        compaction.compact(node.store.directory, files=node.disk)


async def _people(trial: Trial, mirror: Mirror) -> None:
    """A person who arms, edits and commands, and remembers what was acknowledged."""
    chance, number = trial.chance, trial.lives
    armed = trial.plants[::2]
    with contextlib.suppress(OSError, ValueError):
        while True:
            await asyncio.sleep(chance.expovariate(1.0))
            plant = chance.choice(trial.plants)
            twin = twin_of(plant)
            if twin.id not in mirror.world.structure.twins:
                continue
            if plant in armed and (twin.id, "setpoint") not in mirror.world.structure.arms:
                await mirror.edit(ANN, Edits((Arm(twin.id, "setpoint"),)))
            if chance.random() < 0.5:
                trial.n_notes += 1
                number_of_note = trial.n_notes
                note = Property("note", number_of_note)
                await mirror.edit(ANN, Edits((PutProperty(twin.id, note),)))
                trial.notes[twin.id] = number_of_note
                continue
            trial.n_commands += 1
            asked = Command(
                f"c{number}-{trial.n_commands}", twin.id, "setpoint",
                value=float(chance.randint(1, 1000)), timeout_ms=chance.choice((1, 500, 20_000)),
            )  # fmt: skip
            placed = await mirror.command(ANN, asked)
            trial.commands.add(placed.id)
            if plant not in armed and placed.state is not CommandState.REFUSED:
                trial.broken(f"command {placed.id} to a point that is not armed was taken")


def _check_outside(trial: Trial, outside: list[asyncio.Task[None]]) -> None:
    if trial.failures:
        raise trial.failures[0]
    for task in outside:
        if task.done() and not task.cancelled():
            task.result()
    for viewer in trial.viewers:
        if viewer.failure:
            trial.broken(viewer.failure)


async def _calm(
    trial: Trial, root: Path, keep: set[asyncio.Task[Any]], outside: list[asyncio.Task[None]]
) -> None:
    """Faults end; what was measured must be acknowledged, and then all laws hold."""
    node = trial.node
    assert node is not None
    trial.slowness_s, trial.skew_ns = 0.002, 0
    for plant in trial.plants:
        plant.weather.drop = plant.weather.double = 0.0
        plant.up.is_parted = plant.down.is_parted = False
    if node.disk.is_dead or node.disk.calls_until_cut is not None:
        node.disk.is_dead = True
        await _fall(trial, keep, root)
    elif node.mirror.pipeline.failure or node.disk.room_bytes is not None:
        await _fall(trial, keep, root)
    for task in outside:
        task.cancel()
    until_s = trial.now_s + QUIET_S_MAX
    while any(plant.waiting for plant in trial.plants):
        for plant in trial.plants:
            plant.resend()
        await asyncio.sleep(5.0)
        assert trial.node is not None
        if trial.node.mirror.pipeline.failure:  # a fault that was set before and struck now
            await _fall(trial, keep, root)
        if trial.now_s > until_s:
            waiting = {p.name: len(p.waiting) for p in trial.plants if p.waiting}
            trial.broken(f"not acknowledged after {QUIET_S_MAX:g} s without faults: {waiting}")
    node = trial.node
    assert node is not None
    _check_outside(trial, outside)
    trial.sent += node.sent
    laws.check_all(trial, node)
    await node.mirror.stop()
    laws.check_closed(trial, node, root)
    trial.tell("ends", node.mirror.world.state_hash(), sorted(trial.faults.items()))


def _work_s(trial: Trial) -> tuple[float, float]:
    """How long the disk takes, and how long until that is told."""
    slow_s = trial.slowness_s
    return trial.chance.expovariate(1 / slow_s), trial.chance.expovariate(1 / slow_s) * 0.2


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Failures of disks are meant to be: they are not news."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


__all__ = ["LawBroken", "Trial", "run"]
