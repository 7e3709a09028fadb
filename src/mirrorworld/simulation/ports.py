"""What figures a simulation is asked for, and who finds them: the door `mirrorworld.evaluators`.

An evaluator looks at a world as it stands, works out what would come of it by a model of its own,
and says figures (KPIs), each with one value a replication. Branches ask it in a process of its
own, end that process when it is cancelled or takes too long, and keep what it had told by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.changes import Position
from mirrorworld.world.ports import Record
from mirrorworld.world.world import World

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True, eq=False)
class Kpi:
    """One figure over replications.

    Raises:
        ValueError: it says neither `higher` nor `lower`, or its values are no row of numbers.
    """

    name: str
    """In words, without its unit; the same figure has the same name in every branch."""
    unit: str
    """UCUM; "1" for shares and counts."""
    better: Better
    values: NDArray[np.float64]
    """[replications], in the order of their numbers, so that two evaluations with the same seed
    pair. NaN: the replication came to no value."""

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise ValueError(f"{self.name}: better is '{self.better}'; say higher or lower")
        if self.values.ndim != 1:
            raise ValueError(f"{self.name}: values have {self.values.ndim} dimensions; give one")


class Progress(Protocol):
    """Hears how far an evaluation is."""

    def __call__(self, share: float, kpis: Sequence[Kpi] = ()) -> None:
        """Takes note of a share of the work, 0 to 1, and of what is known by now, over the
        replications done so far. Cheap; call it as often as you like."""
        ...


class Evaluator(Protocol):
    """Finds figures for a world. What an entry point of `mirrorworld.evaluators` names gives one
    when it is called: its parameters with defaults are the options, its docstring's first line
    is what people read."""

    def evaluate(
        self, world: World, *, replications: int, seed: int, progress: Progress
    ) -> Sequence[Kpi]:
        """The figures of a world as it stands.

        Args:
            world: is the evaluator's own; it may change it.
            replications: 1 or more.
            seed: of all chance. Replication i of one seed draws the same in every branch (common
                random numbers), as far as the model can.
            progress: told now and then.

        Raises:
            ValueError: the world does not make such a model; the message says where and what
                would mend it.
        """
        ...


@runtime_checkable
class StatesUnits(Protocol):
    """A model, or an evaluator, that says in which units it takes points to be. A world where one
    of them is in another unit contradicts it, and it is not started."""

    @property
    def units(self) -> Mapping[str, str]:
        """`twin.point`, or the bare name of a point wherever there is one -> UCUM."""
        ...


@runtime_checkable
class FollowsRecord(Protocol):
    """A model that looks at the past: it is given it once, before its first step."""

    def follow(self, record: Record, at: Position) -> None:
        """Takes note of the record of the parent, and of where the branch left it. Its samples
        go on after that, as far as they were durable when the run began."""
        ...


@runtime_checkable
class DrawsChance(Protocol):
    """A model that draws by chance: it is given the run's seed once, before its first step."""

    def draw_from(self, seed: int) -> None:
        """Draws from this seed alone: two runs with one seed are then the same run, and two with
        two seeds are not."""
        ...


__all__ = ["Better", "DrawsChance", "Evaluator", "FollowsRecord", "Kpi", "Progress", "StatesUnits"]
