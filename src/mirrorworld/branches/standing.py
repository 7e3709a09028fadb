"""Figures of a branch as it stands: what its points say, without any model."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Final

import numpy as np

from mirrorworld.simulation.ports import Kpi, Progress
from mirrorworld.world.model import Kind
from mirrorworld.world.quality import severity
from mirrorworld.world.world import World

POINTS_MAX: Final = 200


class Standing:
    """The latest values of chosen points, as they stand in the branch; all replications are alike.

    So what a run has come to is compared between branches in the same table as everything else.
    """

    def __init__(self, points: str = "*", better: str = "higher") -> None:
        if better not in ("higher", "lower"):
            raise ValueError(f"standing: better is '{better}'; say higher or lower")
        self._pattern = points
        self._better = better

    def evaluate(
        self, world: World, *, replications: int, seed: int, progress: Progress
    ) -> Sequence[Kpi]:
        """See Evaluator. Nothing is drawn, so `seed` changes nothing.

        Raises:
            ValueError: no number fits the pattern, or too many do.
        """
        found: list[Kpi] = []
        for twin_id in world.structure.twins:
            for point in world.structure.points_of(twin_id):
                name = f"{twin_id}.{point.name}"
                if point.type.kind not in (Kind.FLOAT, Kind.INT):
                    continue
                if not fnmatch.fnmatchcase(name, self._pattern):
                    continue
                if len(found) == POINTS_MAX:
                    raise ValueError(f"standing: more than {POINTS_MAX} points; name fewer")
                one = world.read(np.array([point.handle], np.uint32))
                value = world.value(point.handle)
                is_good = value is not None and severity(int(one.quality[0])) != "bad"
                number = float(value) if is_good else np.nan  # pyright: ignore[reportArgumentType]
                values = np.full(replications, number)
                better = "higher" if self._better == "higher" else "lower"
                found.append(Kpi(name, point.type.unit, better, values))
        if not found:
            raise ValueError(f"standing: no number is called '{self._pattern}'")
        progress(1.0, found)
        return found
