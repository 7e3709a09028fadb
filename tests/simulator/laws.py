"""The laws, as checks on a node and its record. What plants and people know is the measure."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mirrorworld.record import open_record, restore
from mirrorworld.record.doctor import examine
from mirrorworld.world.changes import Change, Command, CommandState, Origin, OriginKind
from mirrorworld.world.frames import Frame
from mirrorworld.world.world import Snapshot, World
from tests.simulator.node import Node, twin_of
from tests.simulator.plant import Plant

if TYPE_CHECKING:
    from tests.simulator.trial import Trial

EVER = (-(1 << 63), (1 << 63) - 1)


def check_restored(trial: Trial, node: Node) -> None:
    """After a start: nothing acknowledged is gone, nothing is doubled, and replay from the very
    first change gives the same world."""
    _check_samples(trial, node)
    _check_people(trial, node)
    world = World(node.store.world, compiled=node.mirror.world.state.use_compiled)
    changes = list(node.store.log.changes(0))
    if changes and changes[0].position is not None and changes[0].position.sequence == 1:
        for change in changes:
            world.replay(change)
        # What is written at the start itself (interrupted commands expire) is in both.
        if world.state_hash() != _replayed(node).state_hash():
            trial.broken("law 3: replay from the first change and from a keyframe differ")


def _replayed(node: Node) -> World:
    world: World | None = None
    for part in node.store.replay():
        if isinstance(part, Snapshot):
            world = World.from_snapshot(part)
        else:
            world = world or World(node.store.world)
            world.replay(part)
    return world or World(node.store.world)


def check_all(trial: Trial, node: Node) -> None:
    """When all is quiet and acknowledged."""
    _check_samples(trial, node)
    _check_people(trial, node)
    for plant in trial.plants:
        left = [b for b in plant.batches if b in plant.waiting]
        if left:
            trial.broken(f"{plant.name}: {len(left)} batches are not acknowledged")
    for viewer in trial.viewers:
        differs = viewer.differs()
        if differs:
            trial.broken(f"law 1: {differs}")
    _check_counts(trial, node)
    doubled = [id for id, n in Counter(trial.sent).items() if n > 1]
    if doubled:
        trial.broken(f"commands were sent twice: {doubled}")
    obeyed = {id for plant in trial.plants for id, _ in plant.obeyed}
    if not obeyed <= set(trial.sent):
        trial.broken("a plant obeyed a command that no connector sent")
    pipeline = node.mirror.pipeline
    if pipeline.pending_rows > pipeline.pending_rows_max + 1_000:
        trial.broken(f"law 7: {pipeline.pending_rows} rows wait, over the bound")


def check_closed(trial: Trial, node: Node, root: Path) -> None:
    """After an orderly end: what is on disk is the world that was, at each remembered moment."""
    live = node.mirror.world
    with open_record(root / "record", read_only=True) as store:
        again = restore(store)
        if again.state_hash() != live.state_hash():
            trial.broken("law 3: the record gives another world than the one that was closed")
        for position, hashed in trial.remembered:
            if position.sequence == 0:
                continue
            then = World.from_snapshot(store.as_of(position))
            if then.state_hash() != hashed:
                trial.broken(f"as-of {position} is not the world that was there")
        for plant in trial.plants:
            _check_history(trial, plant, store, again)
    damage = examine(root / "record").damage
    if damage:
        trial.broken(f"the record is damaged: {damage[0]}")


def check_branch(trial: Trial, node: Node) -> None:
    """Law 9: a branch goes its own way, and has none to a plant."""
    world = node.mirror.world
    before, sent = world.state_hash(), len(node.sent)
    branch = world.branch("what if")
    plant = trial.plants[0]
    twin = twin_of(plant)
    if twin.id not in world.structure.twins:
        return
    handles = branch.handles([(twin.id, "setpoint")])
    rows = Frame(
        handles, np.array([1.5]).view(np.int64), np.zeros(1, np.uint32),
        np.array([trial.now_ns()], np.int64),
    )  # fmt: skip
    branch.apply(Change(rows, Origin(OriginKind.SIMULATED, "model"), trial.now_ns()))
    asked = Command("on a branch", twin.id, "setpoint", value=1.0, requested_ns=trial.now_ns())
    try:
        branch.apply(Change(asked, Origin(OriginKind.DESIRED, "ann"), trial.now_ns()))
    except ValueError:
        pass
    else:
        trial.broken("law 9: a branch took a command")
    if world.state_hash() != before or len(node.sent) != sent:
        trial.broken("law 9: a branch changed its parent")


def _check_samples(trial: Trial, node: Node) -> None:
    """Law 2: of each plant's samples, what was acknowledged is there once, the rest once at
    most, and nothing that it never measured."""
    frames: dict[str, list[Frame]] = {plant.name: [] for plant in trial.plants}
    for change in node.store.log.changes(0):
        if isinstance(change.body, Frame) and change.source in frames:
            frames[change.source].append(change.body)
    for plant in trial.plants:
        have = Counter[tuple[int, int, int]]()
        names = {p.name: i for i, p in enumerate(twin_of(plant).points)}
        index: dict[int, int] = {}
        for body in frames[plant.name]:
            for handle in set(body.point.tolist()) - set(index):
                index[handle] = names[node.mirror.world.point(handle)[1].name]
            points = [index[handle] for handle in body.point.tolist()]
            have.update(zip(points, body.source_ns.tolist(), body.cell.tolist(), strict=True))
        doubled = [row for row, n in have.items() if n > 1]
        if doubled:
            trial.broken(f"law 2: {plant.name}: {len(doubled)} samples are there twice")
        known = set[tuple[int, int, int]]()
        for batch in plant.batches:
            rows = list(_rows(batch))
            known.update(rows)
            if batch.is_acknowledged and not all(row in have for row in rows):
                trial.broken(
                    f"law 2: {plant.name}: batch {batch.incarnation}/{batch.seq} was acknowledged"
                    " and is gone"
                )
        if not have.keys() <= known:
            trial.broken(f"{plant.name}: samples are there that it never measured")


def _rows(batch: Any) -> Any:
    return zip(batch.point.tolist(), batch.source_ns.tolist(), batch.cell.tolist(), strict=True)


def _check_people(trial: Trial, node: Node) -> None:
    """Edits and commands that were acknowledged are in the log."""
    twins = node.mirror.world.structure.twins
    for twin, number in trial.notes.items():
        known = twins[twin].property("note") if twin in twins else None
        value = known.value if known is not None else None
        if not isinstance(value, int) or value < number:
            trial.broken(f"law 2: note {number} of {twin} was acknowledged, there is {value}")
    logged = {
        c.body.id: c.body.state
        for c in node.store.log.changes(0, frames=False)
        if isinstance(c.body, Command)
    }
    gone = trial.commands - logged.keys()
    if gone:
        trial.broken(f"law 2: commands were acknowledged and are gone: {sorted(gone)[:3]}")
    if trial.lives > 1 and not node.sent:
        early = [
            c.id
            for c in node.mirror.world.commands.values()
            if c.state is CommandState.REQUESTED and not c.id.startswith(f"c{trial.lives}-")
        ]
        if early:
            trial.broken(f"commands of an earlier life are still open: {early[:3]}")  # fmt: skip


def _check_counts(trial: Trial, node: Node) -> None:
    """Law 7: what connectors handed over is accepted, repeated or refused, and counted."""
    for plant in trial.plants:
        source = node.mirror.feeds.get(plant.name)
        if source.counts["connector_failures"]:
            trial.broken(f"source {plant.name} failed on a sound disk: {source.link.detail}")
        tally = source.tally
        counted = tally.accepted + tally.duplicate + tally.unknown
        restored = node.counted_before.get(plant.name, 0)  # by the replay at this start
        if counted - restored != node.pushed[plant.name]:
            trial.broken(
                f"law 7: {plant.name}: {node.pushed[plant.name]} samples were handed over,"
                f" {counted - restored} were counted"
            )


def _check_history(trial: Trial, plant: Plant, store: Any, world: World) -> None:
    """What is read of a point, from Parquet and log together, is what was measured of it."""
    twin = twin_of(plant)
    for i, point in enumerate(twin.points):
        if twin.id not in world.structure.twins:
            continue
        handle = int(world.handles([(twin.id, point.name)])[0])
        series = store.read(handle, *EVER)
        read = Counter(zip(series.source_ns.tolist(), series.cell.tolist(), strict=True))
        wanted = {
            (ns, cell) for batch in plant.batches if batch.is_acknowledged
            for p, ns, cell in _rows(batch) if p == i
        }  # fmt: skip
        if max(read.values(), default=1) > 1:
            trial.broken(f"history of {twin.id}.{point.name} has samples twice")
        if not wanted <= read.keys():
            trial.broken(f"history of {twin.id}.{point.name} lacks samples that were acknowledged")
        if len(series.source_ns) > 1 and bool(np.any(np.diff(series.source_ns) < 0)):
            trial.broken(f"history of {twin.id}.{point.name} is not in order")
