"""The node under trial: a real mirror over a real record, on a disk and a network that fail.

Only the ends are simulated: `SimulatedSource` speaks to a plant over two wires, as a connector
does over sockets, and `TrialDisk` stands below the record.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorworld.live.mirror import Mirror
from mirrorworld.record.store import Store, open_record, restore
from mirrorworld.testing.faults import FaultyAppender, FaultyDisk
from mirrorworld.world.changes import Command, CommandState, Edits, PutTwin
from mirrorworld.world.frames import Frame, frame
from mirrorworld.world.model import Kind, PointType, Twin
from mirrorworld.world.ports import Finding, Link, LinkState, Sink, SourceConfig
from tests.simulator.clock import PowerCut, SimulatedLoop
from tests.simulator.plant import Batch, Plant

SEGMENT_BYTES = 6_000
INBOX_MAX = 256


class TrialDisk(FaultyDisk):
    """A disk that can lose its power in the middle of a call, and is dead from then on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.calls_until_cut: int | None = None
        self.is_dead = False
        self.appenders: list[FaultyAppender] = []

    def create(self, path: Path) -> FaultyAppender:
        made = super().create(path)
        self.appenders.append(made)
        return made

    def _refuse(self, switch: str) -> None:
        if self.calls_until_cut is not None:
            self.calls_until_cut -= 1
            self.is_dead |= self.calls_until_cut < 0
        if self.is_dead:
            raise PowerCut
        super()._refuse(switch)


@dataclass
class Node:
    """One life of the node, from a start to a crash or an orderly end."""

    number: int
    mirror: Mirror
    disk: TrialDisk
    sent: list[str] = field(default_factory=list)
    """Ids of commands that its connectors sent."""
    pushed: Counter[str] = field(default_factory=Counter)
    """Samples that its connectors handed over, by source."""
    counted_before: dict[str, int] = field(default_factory=dict)
    """Samples that the replay at its start counted, by source."""

    @property
    def store(self) -> Store:
        record = self.mirror.record
        assert isinstance(record, Store)
        return record

    def release(self) -> None:
        """Lets go of what the system would take back from a process that is gone."""
        self.mirror.pipeline._thread.shutdown()
        for appender in self.disk.appenders:
            appender.close()
        if self.store._lock is not None:
            self.store._lock.close()


class SimulatedSource:
    """A connector over simulated wires. It acknowledges what is durable, and nothing else."""

    schemes = ("sim",)
    acknowledges_early = False
    """For tests of the trial itself: a defect that it has to find."""

    def __init__(self, config: SourceConfig, plant: Plant, broken: Callable[[str], None]) -> None:
        self.config, self.plant, self._broken = config, plant, broken
        self.link = Link(LinkState.CONNECTING)
        self.node: Node | None = None
        self._inbox: asyncio.Queue[Batch] = asyncio.Queue()
        self._expected: tuple[int, int] | None = None

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        return []

    async def run(self, sink: Sink) -> None:
        twin = twin_of(self.plant)
        await sink.declare(Edits((PutTwin(twin),)))
        handles = sink.handles([(twin.id, point.name) for point in twin.points])
        self.plant.up.listener = lambda message: self._hear(message, sink)
        self.link = Link(LinkState.LIVE)
        async with asyncio.TaskGroup() as group:
            while True:
                batch = await self._inbox.get()
                if self.plant.is_numbered and not self._is_next(batch):
                    sink.count("out_of_order")
                    continue
                rows = dataclasses.replace(
                    frame(handles[batch.point], batch.cell, batch.source_ns), cell=batch.cell
                )
                assert isinstance(rows, Frame)
                numbers = (
                    {"incarnation": batch.incarnation, "source_seq": batch.seq}
                    if self.plant.is_numbered
                    else {}
                )
                assert self.node is not None
                self.node.pushed[self.plant.name] += len(rows)
                ticket = await sink.push(rows, **numbers)
                group.create_task(self._acknowledge(sink, batch, ticket))

    async def write(self, command: Command) -> Command:
        assert self.node is not None
        self._check_may_be_sent(command, self.node)
        self.node.sent.append(command.id)
        assert isinstance(command.value, float)
        self.plant.down.send(("set", (command.id, command.value)))
        return dataclasses.replace(command, state=CommandState.SENT)

    def _hear(self, message: Any, sink: Sink) -> None:
        if self._inbox.qsize() >= INBOX_MAX:
            sink.count("inbox_full")
            return
        self._inbox.put_nowait(message[1])

    def _is_next(self, batch: Batch) -> bool:
        """Whether a numbered batch follows the one before, or was seen; a gap waits."""
        incarnation, seq = self._expected or (0, 0)
        if batch.incarnation < incarnation:
            return False
        if batch.incarnation > incarnation or self._expected is None:
            # A new session: the plant says from where on it sends.
            if batch.seq > self.plant.first_waiting():
                return False
            self._expected = (batch.incarnation, batch.seq + 1)
            return True
        if batch.seq > max(seq, self.plant.first_waiting()):
            return False  # what the plant waits for no more was acknowledged, by a life before
        self._expected = (incarnation, max(seq, batch.seq + 1))
        return True

    async def _acknowledge(self, sink: Sink, batch: Batch, ticket: int) -> None:
        if not self.acknowledges_early:
            await sink.durable(ticket)
        self.plant.down.send(("acknowledged", batch))

    def _check_may_be_sent(self, command: Command, node: Node) -> None:
        mirror = node.mirror
        if (command.twin, command.point) not in mirror.world.structure.arms:
            self._broken(f"command {command.id} was sent though its point is not armed")
        if mirror.now_ns() >= command.expires_ns:
            self._broken(f"command {command.id} was sent after its end")
        durable = {
            change.body.id
            for change in node.store.log.changes(0, frames=False)
            if isinstance(change.body, Command)
        }
        if command.id not in durable:
            self._broken(f"command {command.id} was sent before it was durable")
        if not command.id.startswith(f"c{node.number}-"):
            self._broken(f"command {command.id} was sent by life {node.number} of the node")


def twin_of(plant: Plant) -> Twin:
    """What a plant's source declares: point 0 can be set, the others are measured."""
    points = [PointType("setpoint", Kind.FLOAT, is_writable=True)]
    points += [PointType(f"p{i}", Kind.FLOAT) for i in range(1, plant.n_points)]
    return Twin(f"{plant.name}/unit", points=tuple(points))


async def start(
    number: int,
    root: Path,
    plants: Sequence[Plant],
    now_ns: Callable[[], int],
    broken: Callable[[str], None],
    chance: random.Random,
) -> Node:
    """Opens the record and lives on from there."""
    disk = TrialDisk(root)
    store = open_record(
        root / "record", "w", files=disk, segment_bytes=SEGMENT_BYTES, compacts=False
    )
    by_name = {plant.name: plant for plant in plants}

    def source(config: SourceConfig) -> SimulatedSource:
        made = SimulatedSource(config, by_name[config.name], broken)
        made.node = node
        return made

    # A queue so short that sources feel its end.
    world = restore(store)
    counted = {
        name: tally.accepted + tally.duplicate + tally.unknown
        for name, tally in world.tallies.items()
    }
    mirror = Mirror(world, store, {"sim": source}, now_ns=now_ns)
    mirror.pipeline.pending_rows_max = chance.choice((100, 4_000_000))
    node = Node(number, mirror, disk, counted_before=counted)
    await mirror.start()
    for plant in plants:
        mirror.feeds.add(SourceConfig("sim://", plant.name))
    return node


async def crash(node: Node, loop: SimulatedLoop, keep: set[asyncio.Task[Any]], *, seed: int | None,
                loses_power: bool) -> None:  # fmt: skip
    """Ends the node's process at once; with `loses_power` the machine too.

    What a thread was doing is dropped, tasks are cancelled with a disk and wires that are dead,
    so that nothing that they do while they end has an effect.
    """
    node.disk.is_dead = True
    loop.drop_work()
    for source in node.mirror.feeds:
        assert isinstance(source.connector, SimulatedSource)
        source.connector.plant.up.listener = None
        source.connector.plant = _Gone(source.connector.plant)
    tasks = [t for t in asyncio.all_tasks() if t not in keep]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    node.release()
    if loses_power:
        node.disk.lose_power(seed=seed)


class _Gone:
    """What a dead process holds of a plant: nothing that it sends arrives."""

    def __init__(self, plant: Plant) -> None:
        self.name, self.is_numbered, self.n_points = plant.name, plant.is_numbered, plant.n_points
        self.down = self.up = self

    def send(self, message: Any) -> None:
        """Sends nothing."""

    def first_waiting(self) -> int:
        """Nothing waits."""
        return 0
