"""What a line of discrete events is made of: the planner's words, and what they may not mean.

A model is data: frozen values that every engine reads and none changes. Times are seconds from
the start of a run, lengths metres, powers watts. Nodes hold parts, links say where parts go next,
pools, fleets and loops say what else a part must wait for. The order of nodes and links in the
model is the last tie-break, so the same model always runs the same way.

Knows no clock, no chance (streams are given to engines) and no twin.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mirrorworld.simulation.flow.distributions import Distribution

ANY: Final = ""
"""Stands for every part type."""

UNBOUNDED: Final = 2**31 - 1


class FlowError(ValueError):
    """A model that cannot be run as written; the message names the element and the mend."""


class Rule(enum.Enum):
    """Which of several waiting parts goes first. Hot parts go before others under every rule."""

    FIFO = "fifo"
    """Who has waited longest at this node."""
    LIFO = "lifo"
    SHORTEST = "shortest"
    """Shortest mean process time at the node that takes it."""
    DUE = "due"
    """Earliest due time."""
    LEAST_SETUP = "least_setup"
    """Smallest mean set-up from what the server was last set up for; then FIFO."""


class Route(enum.Enum):
    """Which of several links a part takes."""

    FIRST_FREE = "first_free"
    """The first, in the model's order, whose target has room; the part waits for any."""
    ROUND_ROBIN = "round_robin"
    """Each in turn; the part waits for the one whose turn it is."""
    SHARE = "share"
    """Drawn by the links' shares when the part is ready; it waits for that one."""
    SHORTEST_QUEUE = "shortest_queue"
    """Of those with room, the target that holds fewest parts."""


class Basis(enum.Enum):
    """On what time a machine ages."""

    OPERATING = "operating"
    """Only while it works on a part."""
    CALENDAR = "calendar"
    """Always; it may fail while idle or blocked."""


@dataclass(frozen=True, slots=True)
class Need:
    """So many of a pool's members, while something lasts."""

    pool: str
    count: int = 1
    skill: str = ""
    """Only members that have it; "": any."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One way to fail. A part under work stays, and its work goes on after the repair."""

    name: str
    between: Distribution
    """Time to failure on `basis`."""
    repair: Distribution
    basis: Basis = Basis.OPERATING
    needs: tuple[Need, ...] = ()
    """Who repairs; the machine waits down until they are free."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Planned work on a machine, begun between two parts, never in one."""

    name: str
    duration: Distribution
    every_s: float = 0.0
    """Calendar time from the end of one to the next; 0: not by time."""
    every_parts: int = 0
    """Jobs from the end of one to the next; 0: not by count."""
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """Change-over from one part type to another. Pairs that are not named take none."""

    times: tuple[tuple[str, str, Distribution], ...]
    """(from, to, time); ANY as from or to stands for every other type; exact pairs go first."""
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True)
class Energy:
    """Electric power in each state of a server."""

    busy_w: float = 0.0
    idle_w: float = 0.0
    """Starved, or waiting for people or tools."""
    blocked_w: float = 0.0
    setup_w: float = 0.0
    down_w: float = 0.0
    """Failed or in maintenance."""
    off_w: float = 0.0
    """Outside its calendar."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """When something works: intervals of a cycle that repeats."""

    name: str
    cycle_s: float
    works: tuple[tuple[float, float], ...]
    """(from, to) within the cycle, ascending, not overlapping."""


@dataclass(frozen=True, slots=True)
class PartType:
    """A kind of part."""

    name: str
    material_cost: float = 0.0
    material_carbon_kg: float = 0.0
    hot_share: float = 0.0
    """Share of the parts that go before all others everywhere."""
    due_s: float = math.inf
    """Allowance from entering to leaving."""


# --- nodes ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """Where parts enter."""

    name: str
    interarrival: Distribution | None = None
    """None: saturated, a part is ready whenever the last has left."""
    mix: tuple[tuple[str, float], ...] = ((ANY, 1.0),)
    """(part type, weight); drawn per arrival."""
    batch: int = 1
    """Parts per arrival, all of the drawn type."""
    limit: int = UNBOUNDED
    """Parts in all."""
    queue: int = UNBOUNDED
    """Parts that may wait here; what arrives beyond that is lost and counted."""
    route: Route = Route.FIRST_FREE


@dataclass(frozen=True, slots=True)
class Drain:
    """Where parts leave."""

    name: str
    is_scrap: bool = False
    """Whether what comes here counts as scrap."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """A place to wait. Zero capacity is written by leaving the buffer out."""

    name: str
    capacity: int = UNBOUNDED
    rule: Rule = Rule.FIFO
    stay: Distribution | None = None
    """Least time in it (curing, cooling); None: none."""
    route: Route = Route.FIRST_FREE


@dataclass(frozen=True, slots=True)
class Conveyor:
    """An accumulating conveyor: parts keep their order, move while there is room before them, and
    queue up at the end with `pitch_m` each."""

    name: str
    length_m: float
    speed_m_s: float
    pitch_m: float
    power_w: float = 0.0
    """While it carries anything."""
    route: Route = Route.FIRST_FREE

    @property
    def capacity(self) -> int:
        """Parts that it holds when full."""
        return max(1, int(self.length_m / self.pitch_m + 1e-9))

    @property
    def travel_s(self) -> float:
        """From end to end with nothing in the way."""
        return self.length_m / self.speed_m_s

    @property
    def spacing_s(self) -> float:
        """Least time between two parts that enter."""
        return self.pitch_m / self.speed_m_s


@dataclass(frozen=True, slots=True)
class Station:
    """Machines or work places that share a name: each of `servers` takes one job at a time.

    It has no queue of its own: parts wait where they come from. A finished part keeps its server
    until its next place takes it (blocking after service).

    Assembly: `takes` names from which node how many parts make a job; the part of the first
    goes on, the others end in it. Batching: one entry with a count above 1 and `is_batch`: all
    go through together and leave one by one. Disassembly: `gives` says what a job becomes.
    """

    name: str
    process: Distribution
    process_by_type: tuple[tuple[str, Distribution], ...] = ()
    servers: int = 1
    takes: tuple[tuple[str, int], ...] = ()
    """(node that feeds it, parts per job); (): one part from any."""
    is_batch: bool = False
    least_batch: int = 0
    """With `is_batch`: starts with this many when no more is waiting; 0: only when full."""
    gives: tuple[tuple[str, int, str], ...] = ()
    """(target node, parts, part type or ANY for the same); (): the part itself."""
    rule: Rule = Rule.FIFO
    route: Route = Route.FIRST_FREE
    setup: Setup | None = None
    breakdowns: tuple[Breakdown, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    scrap: float = 0.0
    """Probability that a finished part goes over the link marked `is_scrap` (or, without such a
    link, leaves the line and is counted)."""
    rework: float = 0.0
    """Probability that a part which is not scrap takes the link marked `is_rework`."""
    needs: tuple[Need, ...] = ()
    """People and tools, from the start of a job (set-up included) to its end."""
    calendar: str = ""
    """Outside it no job starts, and one under work is interrupted. "": always."""
    energy: Energy = field(default_factory=Energy)
    cost_per_h: float = 0.0
    """While not off."""


Node = Source | Drain | Buffer | Conveyor | Station


@dataclass(frozen=True, slots=True)
class Link:
    """That parts go from one node to another, and how."""

    source: str
    target: str
    types: tuple[str, ...] = ()
    """Only parts of these types; (): of all."""
    share: float = 1.0
    """Weight under Route.SHARE."""
    fleet: str = ""
    """Carried by this fleet; "": at once."""
    is_scrap: bool = False
    is_rework: bool = False
    becomes: str = ""
    """The part type that a part takes on as it passes; "": it keeps its own."""


# --- what else is waited for ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pool:
    """People or tools. Requests are served hot parts first, then in the order in which they
    were made; one that cannot be served in full takes none (no one is held waiting)."""

    name: str
    members: tuple[tuple[int, tuple[str, ...]], ...]
    """(how many, their skills)."""
    calendar: str = ""
    """Outside it none begins anything; who is at work stays until the job is done."""
    cost_per_h: float = 0.0
    """Of each, at work or not, within the calendar."""

    @property
    def size(self) -> int:
        """How many there are."""
        return sum(count for count, _ in self.members)


@dataclass(frozen=True, slots=True)
class Segment:
    """One zone of a track, from one place to another; at most `capacity` vehicles in it."""

    source: str
    target: str
    length_m: float
    capacity: int = 1
    is_two_way: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """Vehicles, cranes or robots that carry parts over links.

    Without segments every trip takes `travel` and nothing is in the way. With segments a vehicle
    takes the shortest way, enters a segment only when there is room in it, and stands where it
    put its last part down (or goes `home`, if that is set, when nothing is to be carried).
    """

    name: str
    vehicles: int
    travel: Distribution | None = None
    speed_m_s: float = 1.0
    load: Distribution | None = None
    unload: Distribution | None = None
    segments: tuple[Segment, ...] = ()
    places: tuple[tuple[str, str], ...] = ()
    """(node, place of the track) where its parts are picked up and put down."""
    home: str = ""
    """Place; all vehicles start there, or at the first place."""
    picks_nearest: bool = False
    """Whether a free vehicle takes the nearest waiting part; else the one that waits longest."""
    energy_busy_w: float = 0.0
    """Of each vehicle that drives or handles."""
    energy_idle_w: float = 0.0
    cost_per_h: float = 0.0
    """Of each vehicle."""


@dataclass(frozen=True, slots=True)
class Loop:
    """At most `limit` parts at once in these nodes and on the way between them: a CONWIP loop
    around many, a kanban loop around one."""

    name: str
    nodes: tuple[str, ...]
    limit: int
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FlowModel:
    """A line, ready for any engine that its elements allow.

    Raises:
        FlowError: on making one whose elements do not fit together.
    """

    name: str
    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    part_types: tuple[PartType, ...] = ()
    pools: tuple[Pool, ...] = ()
    fleets: tuple[Fleet, ...] = ()
    loops: tuple[Loop, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    carbon_kg_per_kwh: float = 0.0
    energy_cost_per_kwh: float = 0.0
    wip_cost_per_h: float = 0.0
    """Of each part in the line, per hour."""

    def __post_init__(self) -> None:
        """Checks that what is named exists, once, and makes sense."""
        from mirrorworld.simulation.flow.checking import check

        check(self)

    def node(self, name: str) -> Node:
        """A node by name; KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def out_of(self, name: str) -> Iterator[Link]:
        """Links that leave a node, in the model's order."""
        return (link for link in self.links if link.source == name)

    def into(self, name: str) -> Iterator[Link]:
        """Links that lead to a node, in the model's order."""
        return (link for link in self.links if link.target == name)

    @property
    def stations(self) -> tuple[Station, ...]:
        """The nodes that work on parts."""
        return tuple(node for node in self.nodes if isinstance(node, Station))

    @property
    def types(self) -> tuple[str, ...]:
        """All part types by name; of a model that names none, the one that has no name."""
        return tuple(t.name for t in self.part_types) or (ANY,)


def line(
    name: str,
    stations: tuple[Station, ...],
    buffers: tuple[int, ...],
    *,
    interarrival: Distribution | None = None,
) -> FlowModel:
    """A serial line: saturated or fed at intervals, `buffers[i]` places after station i.

    Raises:
        FlowError: the counts do not fit.
    """
    if len(buffers) != len(stations) - 1:
        raise FlowError(
            f"{name}: {len(stations)} stations have {len(stations) - 1} buffers between them, "
            f"not {len(buffers)}"
        )
    nodes: list[Node] = [Source("source", interarrival)]
    for i, station in enumerate(stations):
        nodes.append(station)
        if i < len(buffers) and buffers[i] > 0:
            nodes.append(Buffer(f"buffer {i + 1}", buffers[i]))
    nodes.append(Drain("drain"))
    links = tuple(Link(a.name, b.name) for a, b in itertools.pairwise(nodes))
    return FlowModel(name, tuple(nodes), links)


Scales = Mapping[str, float]
"""Element name -> factor on its mean time; what searches and gradients vary."""
