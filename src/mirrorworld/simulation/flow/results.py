"""What a run of a line tells: the same for every engine.

Arrays have one row a replication. Shares of time are of the time after the warm-up and add up to
one for each server; a node with several servers gives their mean.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class Doing(enum.IntEnum):
    """What a server, a buffer's mouth or a vehicle does. Every instant is exactly one of these."""

    STARVED = 0
    BUSY = 1
    BLOCKED = 2
    SETUP = 3
    DOWN = 4
    MAINTENANCE = 5
    WAITING = 6
    """For people, tools or a repairer's arrival; down while waiting for repair counts as DOWN."""
    OFF = 7


class Ending(enum.Enum):
    """Why a run ended."""

    HORIZON = "horizon"
    EXHAUSTED = "exhausted"
    """Sources are at their limit and the line is empty."""
    DEADLOCK = "deadlock"
    """Nothing can happen any more and parts are still in the line; `detail` names who waits."""
    EVENTS = "events"
    """It made more events than allowed: it would never have ended."""
    NOT_A_NUMBER = "not_a_number"
    """A drawn time was NaN or infinite; `detail` names the element."""


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What each server did and when, for Gantt charts and animation. Columns of equal length,
    ordered by time; a row holds until the next one of the same (node, server)."""

    time_s: NDArray[np.float64]
    node: NDArray[np.int32]
    """Index into the model's nodes; vehicles of fleets follow the nodes, fleet by fleet."""
    server: NDArray[np.int32]
    doing: NDArray[np.uint8]
    part: NDArray[np.int64]
    """Serial number of the part; -1: none."""
    held: NDArray[np.int32]
    """Parts that the node holds after this."""
    is_cut: bool = False
    """Whether more happened than was asked to be kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A run of R replications of a model with N nodes, P pools, F fleets and T part types."""

    model: str
    engine: str
    seed: int
    horizon_s: float
    warm_up_s: float
    ending: tuple[Ending, ...]
    detail: tuple[str, ...]
    nodes: tuple[str, ...]
    events: NDArray[np.int64]
    """[R] events executed."""
    made: NDArray[np.int64]
    """[R, T] sound parts that left after the warm-up, by type."""
    scrapped: NDArray[np.int64]
    """[R]"""
    lost: NDArray[np.int64]
    """[R] arrivals that found no room."""
    throughput_per_s: NDArray[np.float64]
    """[R] sound parts a second after the warm-up."""
    wip: NDArray[np.float64]
    """[R] mean parts in the line (waiting before the line at a source not included)."""
    lead_time_s: NDArray[np.float64]
    """[R] mean time from entering the first node after the source to leaving."""
    lead_time_p95_s: NDArray[np.float64]
    """[R]"""
    late: NDArray[np.int64]
    """[R] sound parts that left after their due time."""
    shares: NDArray[np.float64]
    """[R, N, 8] of time, by Doing; zero for nodes without servers."""
    content: NDArray[np.float64]
    """[R, N] mean parts held."""
    jobs: NDArray[np.int64]
    """[R, N] jobs finished (for buffers and conveyors: parts that left)."""
    moved: NDArray[np.int64]
    """[R, L] parts that came to their next node over each link, in the model's order. Those that
    a vehicle carries count when they are put down."""
    scrapped_at: NDArray[np.int64]
    """[R, N] parts that left the line as scrap: at a drain for it, or at the station where no
    link leads to one. Together they are `scrapped`."""
    pool_use: NDArray[np.float64]
    """[R, P] mean share of members at work."""
    fleet_use: NDArray[np.float64]
    """[R, F] mean share of vehicles driving or handling."""
    energy_j: NDArray[np.float64]
    """[R]"""
    carbon_kg: NDArray[np.float64]
    """[R] of energy and of the material of all parts that left."""
    cost: NDArray[np.float64]
    """[R]"""
    trace: Trace | None = None
    """Of the first replication, if it was asked for."""
    extra: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])

    @property
    def is_complete(self) -> bool:
        """Whether every replication ended as it should."""
        return all(end in (Ending.HORIZON, Ending.EXHAUSTED) for end in self.ending)
