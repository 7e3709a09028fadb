"""The laws under faults, for some seeds; and that the trial would notice if one did not hold.

More seeds, for as long as you like: make soak ARGS="--minutes 60".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from mirrorworld.live.commands import CommandRoad
from mirrorworld.live.pipeline import Pipeline
from mirrorworld.testing.faults import FaultyAppender
from mirrorworld.world.world import World
from tests.simulator.node import SimulatedSource
from tests.simulator.trial import LawBroken, run

SEEDS = range(1, 13)
SEEDS_TO_FIND = range(1, 30)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", SEEDS)
def test_all_laws_hold(seed: int) -> None:
    trial = run(seed)
    assert trial.lives > 1 or trial.faults
    assert sum(len(plant.batches) for plant in trial.plants) > 50


def test_a_seed_is_the_same_trial_each_time() -> None:
    first, again = run(3, seconds=30), run(3, seconds=30)
    assert first.digest == again.digest
    assert run(4, seconds=30).digest != first.digest


async def _resends(self: CommandRoad) -> None:
    """As it would be wrong: what a restart has interrupted is sent after all."""

    async def go_on() -> None:
        await asyncio.sleep(2.0)
        for command in list(self._world.commands.values()):
            source = self._sources.of_twin(command.twin)
            if not command.state.is_final and source is not None:
                with contextlib.suppress(LawBroken):  # the trial has noted it
                    await source.connector.write(command)

    self._tasks.add(asyncio.create_task(go_on()))


async def _never_waits(self: Pipeline, sequence: int) -> None:
    """As it would be wrong: nobody waits for the disk."""


DEFECTS: dict[str, tuple[Any, str, Any, str]] = {
    "acknowledged before it is durable": (
        SimulatedSource, "acknowledges_early", True, "acknowledged and is gone|there is",
    ),
    "nothing is synced": (
        FaultyAppender, "sync", lambda self: None, "law 2|damaged|cannot be opened",
    ),
    "people are told too early": (
        Pipeline, "until_durable", _never_waits, "law 2|before it was durable",
    ),
    "repetitions are taken": (World, "_is_repeated", lambda self, change: False, "there twice"),
    "a position of a lost life is believed": (
        World, "_is_ours", lambda self, position: True, "law 1|cannot follow",
    ),
    "a command of an earlier life is sent": (CommandRoad, "start", _resends, "was sent"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_found(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that cannot fail would be worth nothing."""
    owner, name, wrong, said = DEFECTS[defect]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(LawBroken, match=said) as found:
        _run_until_found(run)
    assert "again: python -m tests.simulator --seed" in str(found.value)


def _run_until_found(run: Callable[..., object]) -> None:
    for seed in SEEDS_TO_FIND:
        run(seed, seconds=40)
    pytest.fail(f"{len(SEEDS_TO_FIND)} trials did not notice it")
