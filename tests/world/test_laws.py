"""The laws of the brief that the kernel alone must hold, on changes drawn from seeds."""

from __future__ import annotations

import numpy as np
import pytest

from mirrorworld.world.changes import Change
from mirrorworld.world.compiled import HAS_NUMBA
from mirrorworld.world.frames import Frame
from mirrorworld.world.plain import from_tagged, to_plain
from mirrorworld.world.world import World
from tests.world.worlds_at_random import run

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_replay_of_the_log_gives_the_same_world(seed: int) -> None:
    world = World("w")
    log = run(world, seed, 120)
    again = World("w")
    for change in log:
        again.replay(change)
    assert len(log) > 20
    assert again.state_hash() == world.state_hash()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_snapshot_and_the_changes_after_it_give_the_same_world(seed: int) -> None:
    world = World("w")
    log = run(world, seed, 60)
    later = World.from_snapshot(world.snapshot())
    assert later.state_hash() == world.state_hash()
    more = run(world, seed + 1000, 60)
    for change in more:
        later.replay(change)
    assert log
    assert more
    assert later.state_hash() == world.state_hash()


@pytest.mark.skipif(not HAS_NUMBA, reason="numba (extra `compiled`) is not installed")
@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_and_plain_loops_agree(seed: int) -> None:
    fast, plain = World("w", compiled=True), World("w", compiled=False)
    logs = [run(world, seed, 120) for world in (fast, plain)]
    assert len(logs[0]) == len(logs[1])
    assert fast.state_hash() == plain.state_hash()
    assert fast.tallies == plain.tallies


@pytest.mark.parametrize("seed", SEEDS)
def test_edits_commands_and_events_survive_their_plain_form(seed: int) -> None:
    n = 0
    for change in run(World("w"), seed, 120):
        if not isinstance(change.body, Frame):
            assert from_tagged(to_plain(change.body, tagged=True)) == change.body
            n += 1
    assert n > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_subscriber_adds_up_is_a_fresh_snapshot(seed: int) -> None:
    world = World("w")
    subscription = world.subscribe()
    cells: dict[int, tuple[int, int, int]] = {}
    mirror: World | None = None
    for part in range(10):
        run(world, seed * 100 + part, 15)
        delta = subscription.read()
        if delta.changes is None:
            mirror = World.from_snapshot(world.snapshot())
        else:
            assert mirror is not None
            for change in delta.changes:
                mirror.replay(change)
        columns = delta.columns
        for row, handle in enumerate(delta.handles.tolist()):
            cells[handle] = (
                int(columns.cell[row]),
                int(columns.quality[row]),
                int(columns.source_ns[row]),
            )
        state = world.state
        fresh = {
            int(h): (int(state.cell[h]), int(state.quality[h]), int(state.source_ns[h]))
            for h in np.flatnonzero(state.changed >= 0)
        }
        assert cells == fresh
        assert mirror is not None
        assert mirror.structure.twins == world.structure.twins
        assert mirror.structure.relations == world.structure.relations


@pytest.mark.parametrize("seed", SEEDS)
def test_a_branch_and_its_parent_go_their_own_ways(seed: int) -> None:
    world = World("w")
    run(world, seed, 60)
    branch = world.branch("what-if")
    assert branch.parent == ("w", world.position)
    at_fork = branch.state_hash()
    run(world, seed + 1, 60)
    assert branch.state_hash() == at_fork
    now = world.state_hash()
    changes: list[Change] = run(branch, seed + 2, 60)
    assert changes
    assert world.state_hash() == now
    second = branch.branch("what-if of it")
    run(branch, seed + 3, 30)
    assert second.parent is not None
    assert second.parent[0] == "what-if"
