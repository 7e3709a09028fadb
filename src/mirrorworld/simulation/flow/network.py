"""Models without choices, as the recurrence sees them: stations, and buffers between them.

Reads a model's links and names the first thing that the recurrence does not cover. Knows nothing
of times.
"""

# pyright: basic

from __future__ import annotations

from dataclasses import dataclass

from mirrorworld.simulation.flow.model import (
    ANY,
    UNBOUNDED,
    Basis,
    Buffer,
    Drain,
    FlowError,
    FlowModel,
    Link,
    Node,
    Rule,
    Source,
    Station,
)


@dataclass(frozen=True, slots=True)
class Network:
    """A model as the recurrence sees it; stations in an order in which edges lead upwards."""

    model: FlowModel
    stations: tuple[int, ...]
    """Nodes of the model."""
    edges: tuple[tuple[int, int, int], ...]
    """(station, station, capacity between), numbered by `stations`."""
    through: tuple[int, ...]
    """[E] the buffer's node, -1: none."""
    heads: tuple[tuple[int, int, int, int], ...]
    """(station, source's node, buffer's node or -1, its capacity) for those that sources feed."""
    tails: tuple[tuple[int, int], ...]
    """(station, drain's node)."""
    leads: tuple[int, ...]
    """[K] the edge over which the part comes that goes on; -1: from a source."""
    is_serial: bool
    limit: int
    """Parts of each source."""
    servers: tuple[int, ...]


def network(model: FlowModel) -> Network:
    """A model's network.

    Raises:
        FlowError: with the first thing that the recurrence does not cover.
    """
    for what, some in (
        ("people or tools", model.pools),
        ("a fleet", model.fleets),
        ("a loop", model.loops),
        ("several part types", model.part_types[1:]),
        ("hot parts", [p for p in model.part_types if p.hot_share > 0]),
    ):
        if some:
            raise beyond(model.name, what)
    for node in model.nodes:
        reason = _reason(node)
        if reason:
            raise beyond(f"{model.name}/{node.name}", reason)
    for link in model.links:
        if link.is_scrap or link.is_rework or link.becomes:
            raise beyond(f"{model.name}/{link.source}→{link.target}", "scrap, rework or a change")
    return _Reader(model).read()


def beyond(place: str, what: str) -> FlowError:
    """What says that a model has something that only events can follow."""
    return FlowError(f"{place}: the recurrence does not cover {what}; use the event kernel")


def _reason(node: Node) -> str:
    """What a node has that is beyond the recurrence."""
    match node:
        case Source():
            if node.queue != UNBOUNDED or node.batch != 1:
                return "a queue with a limit or arrivals in batches"
        case Buffer():
            if node.rule is not Rule.FIFO or node.stay is not None:
                return "a buffer that does not keep the order or holds parts for a time"
        case Station():
            if node.setup or node.maintenance or node.needs or node.calendar:
                return "set-ups, maintenance, people or calendars"
            if node.scrap or node.rework or node.process_by_type or node.is_batch:
                return "scrap, rework, part types or batches"
            if any(count != 1 for _, count in node.takes) or any(
                count != 1 or part != ANY for _, count, part in node.gives
            ):
                return "jobs that take or give more than one part of a kind"
            if any(b.basis is not Basis.OPERATING or b.needs for b in node.breakdowns):
                return "breakdowns on calendar time or repaired by people"
            if node.breakdowns and node.servers > 1:
                return "breakdowns of several servers"
        case Drain():
            if node.is_scrap:
                return "scrap"
        case _:
            return "a conveyor"
    return ""


class _Reader:
    """Follows the links of a model that has passed `_reason`."""

    def __init__(self, model: FlowModel) -> None:
        self.model = model
        self.at = {node.name: i for i, node in enumerate(model.nodes)}

    def read(self) -> Network:
        model = self.model
        order = self.order()
        number = {node: i for i, node in enumerate(order)}
        edges: list[tuple[int, int, int]] = []
        through: list[int] = []
        heads: list[tuple[int, int, int, int]] = []
        tails: list[tuple[int, int]] = []
        leads = [-1] * len(order)
        for i, node in enumerate(model.nodes):
            if not isinstance(node, Source | Station):
                continue
            for link in self.out(i):
                target, buffer, capacity = self.follow(link)
                if isinstance(model.nodes[target], Drain):
                    tails += [(number[i], target)] if isinstance(node, Station) else []
                    continue
                if isinstance(node, Source):
                    heads.append((number[target], i, buffer, capacity))
                    continue
                station = model.nodes[target]
                entry = model.nodes[buffer].name if buffer >= 0 else node.name
                if not station.takes or station.takes[0][0] == entry:  # pyright: ignore
                    leads[number[target]] = len(edges)
                edges.append((number[i], number[target], capacity))
                through.append(buffer)
        stations = [model.nodes[i] for i in order]
        servers = tuple(s.servers for s in stations if isinstance(s, Station))
        is_serial = [(a, b) for a, b, _ in edges] == [(i, i + 1) for i in range(len(order) - 1)]
        is_serial = is_serial and [h[0] for h in heads] == [0]
        if not is_serial and max(servers) > 1:
            raise beyond(model.name, "several servers where parts are joined or parted")
        if not is_serial and (
            any(model.nodes[source].interarrival for _, source, _, _ in heads)  # pyright: ignore
            or any(buffer >= 0 for _, _, buffer, _ in heads)
        ):
            raise beyond(model.name, "arrivals where parts are joined or parted")
        if not is_serial and any(p.material_cost or p.material_carbon_kg for p in model.part_types):
            raise beyond(model.name, "material where parts are joined or parted")
        limits = {model.nodes[source].limit for _, source, _, _ in heads}  # pyright: ignore
        if len(limits) != 1:
            raise beyond(model.name, "sources of different limits")
        return Network(
            model, tuple(order), tuple(edges), tuple(through), tuple(heads), tuple(tails),
            tuple(leads), is_serial, limits.pop(), servers,
        )  # fmt: skip

    def out(self, node: int) -> list[Link]:
        """Links that leave a node, after a check that it leaves no choice."""
        one = self.model.nodes[node]
        links = list(self.model.out_of(one.name))
        given = len(one.gives) if isinstance(one, Station) and one.gives else 1
        if len(links) != given:
            raise beyond(f"{self.model.name}/{one.name}", "a choice between links")
        return links

    def follow(self, link: Link) -> tuple[int, int, int]:
        """(node that works on the part or lets it go, buffer before it or -1, its capacity)."""
        target = self.at[link.target]
        node = self.model.nodes[target]
        into = sum(1 for _ in self.model.into(node.name))
        if isinstance(node, Buffer):
            if into != 1:
                raise beyond(f"{self.model.name}/{node.name}", "roads that meet")
            after, second, _ = self.follow(self.out(target)[0])
            if second >= 0:
                raise beyond(f"{self.model.name}/{node.name}", "a buffer behind a buffer")
            if isinstance(self.model.nodes[after], Drain):
                raise beyond(f"{self.model.name}/{node.name}", "a buffer before a drain")
            return after, target, node.capacity
        if isinstance(node, Station) and into != (len(node.takes) or 1):
            raise beyond(f"{self.model.name}/{node.name}", "roads that meet")
        return target, -1, 0

    def order(self) -> list[int]:
        """Stations, each behind all that feed it; FlowError if they go round."""
        before: dict[int, set[int]] = {
            i: set() for i, node in enumerate(self.model.nodes) if isinstance(node, Station)
        }
        for i in before:
            for link in self.out(i):
                target, _, _ = self.follow(link)
                if target in before:
                    before[target].add(i)
        done: list[int] = []
        while len(done) < len(before):
            ready = [i for i in before if i not in done and before[i] <= set(done)]
            if not ready:
                raise beyond(self.model.name, "roads that lead back")
            done += ready
        if not done:
            raise beyond(self.model.name, "a line without a station")
        return done
