"""Lines of every element of the vocabulary, drawn at random, for engines that have to agree.

Times are often whole, so that many things happen at once and every tie rule is tried.
"""

from __future__ import annotations

import itertools
import random

from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.model import (
    ANY,
    UNBOUNDED,
    Basis,
    Breakdown,
    Buffer,
    Calendar,
    Conveyor,
    Drain,
    Energy,
    Fleet,
    FlowModel,
    Link,
    Loop,
    Maintenance,
    Need,
    Node,
    PartType,
    Pool,
    Route,
    Rule,
    Segment,
    Setup,
    Source,
    Station,
)

SKILLS = ("mend", "run")


def random_model(rng: random.Random) -> FlowModel:
    """Anything that may be written."""
    return _Maker(rng).made()


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.types = [f"t{i}" for i in range(rng.choice((0, 0, 1, 2, 3)))]
        self.calendars = [
            Calendar(f"shift {i}", 40.0, rng.choice((((0, 20), (25, 40)), ((5, 30),), ((0, 40),))))
            for i in range(rng.choice((0, 0, 1, 2)))
        ]
        self.pools = [
            Pool(
                f"pool {i}",
                rng.choice((((1, ()),), ((1, ("mend",)), (1, ("run", "mend"))), ((2, ("run",)),))),
                calendar=self.maybe([c.name for c in self.calendars], ""),
                cost_per_h=5.0,
            )
            for i in range(rng.choice((0, 0, 1, 2)))
        ]
        self.fleets = [self.fleet(i) for i in range(rng.choice((0, 0, 1, 2)))]
        self.nodes: list[Node] = []
        self.links: list[Link] = []

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def maybe(self, values: list, otherwise):
        return self.rng.choice(values) if values and self.chance(0.4) else otherwise

    def time(self, scale: float = 1.0) -> Distribution:
        value = self.rng.choice((1, 1, 2, 3)) * scale
        match self.rng.randrange(6):
            case 0 | 1:
                return Distribution.constant(value)
            case 2:
                return Distribution.exponential(value)
            case 3:
                return Distribution.uniform(0.5 * value, 1.5 * value)
            case 4:
                return Distribution.gamma(value, 0.5)
            case _:
                a, b = Distribution.constant(value), Distribution.constant(2 * value)
                return Distribution.mixture([(1, a), (1, b)])

    def needs(self, p: float) -> tuple[Need, ...]:
        found = []
        for pool in self.pools:
            if self.chance(p):
                has = [s for s in SKILLS if any(s in group for _, group in pool.members)]
                found.append(Need(pool.name, 1, self.maybe(has, "")))
        return tuple(found)

    def fleet(self, i: int) -> Fleet:
        rng = self.rng
        times = {
            "load": Distribution.constant(0.5) if self.chance(0.5) else None,
            "unload": Distribution.constant(0.25) if self.chance(0.5) else None,
            "vehicles": rng.choice((1, 2, 3)),
            "picks_nearest": self.chance(0.5),
            "energy_busy_w": 100.0,
            "energy_idle_w": 10.0,
            "cost_per_h": 2.0,
        }
        if self.chance(0.5):
            return Fleet(f"fleet {i}", travel=self.time(0.5), **times)
        stops = [f"p{j}" for j in range(rng.choice((2, 3, 4)))]
        if self.chance(0.5):
            segments = [
                Segment(a, b, rng.choice((1.0, 2.0)), rng.choice((1, 1, 2)), True)
                for a, b in itertools.pairwise(stops)
            ]
        else:
            segments = [
                Segment(a, b, rng.choice((1.0, 2.0)), rng.choice((1, 2)))
                for a, b in zip(stops, [*stops[1:], stops[0]], strict=True)
            ]
        return Fleet(
            f"fleet {i}",
            segments=tuple(segments),
            speed_m_s=rng.choice((1.0, 2.0)),
            home=rng.choice(stops) if self.chance(0.5) else "",
            **times,
        )

    def station(self, name: str) -> Station:
        rng, types = self.rng, self.types
        setup = None
        if types and self.chance(0.4):
            rows = [(ANY, ANY, self.time(0.5))]
            if len(types) > 1:
                rows += [
                    (types[0], types[1], self.time(0.25)),
                    (ANY, types[0], self.time(0.25)),
                    (types[-1], types[-1], Distribution.constant(0.5)),
                ]
            setup = Setup(tuple(rows[rng.randrange(len(rows)) :]), self.needs(0.3))
        breakdowns = tuple(
            Breakdown(
                f"b{i}",
                self.time(8),
                self.time(2),
                rng.choice(tuple(Basis)),
                self.needs(0.3),
            )
            for i in range(rng.choice((0, 0, 1, 2)))
        )
        maintenance = tuple(
            Maintenance(
                f"m{i}",
                self.time(),
                every_s=rng.choice((0.0, 15.0)) if i else 12.5,
                every_parts=rng.choice((3, 5)) if i else rng.choice((0, 7)),
                needs=self.needs(0.3),
            )
            for i in range(rng.choice((0, 0, 0, 1, 2)))
        )
        return Station(
            name,
            self.time(),
            process_by_type=tuple((t, self.time()) for t in types if self.chance(0.3)),
            servers=rng.choice((1, 1, 2, 3)),
            rule=rng.choice(tuple(Rule)),
            route=rng.choice(tuple(Route)),
            setup=setup,
            breakdowns=breakdowns,
            maintenance=maintenance,
            scrap=rng.choice((0.0, 0.0, 0.2)),
            needs=self.needs(0.3),
            calendar=self.maybe([c.name for c in self.calendars], ""),
            energy=Energy(1000, 100, 200, 500, 50, 5),
            cost_per_h=20.0,
        )

    def buffer(self, name: str) -> Buffer:
        rng = self.rng
        return Buffer(
            name,
            rng.choice((1, 2, 3, 5, UNBOUNDED)),
            rng.choice(tuple(Rule)),
            stay=self.time() if self.chance(0.25) else None,
            route=rng.choice(tuple(Route)),
        )

    def conveyor(self, name: str) -> Conveyor:
        return Conveyor(
            name,
            self.rng.choice((1.0, 2.0, 4.0)),
            self.rng.choice((0.5, 1.0)),
            self.rng.choice((0.5, 1.0)),
            power_w=300.0,
            route=self.rng.choice(tuple(Route)),
        )

    def link(self, a: Node, b: Node, **how) -> None:
        rng = self.rng
        takes = isinstance(b, Conveyor) or (isinstance(b, Station) and b.takes)
        fleet = "" if takes else self.maybe([f.name for f in self.fleets], "")
        self.links.append(
            Link(
                a.name,
                b.name,
                types=tuple(how.pop("types", ())),
                share=rng.choice((0.5, 1.0, 2.0)),
                fleet=fleet,
                becomes=rng.choice(self.types) if self.types and self.chance(0.1) else "",
                **how,
            )
        )

    def source(self, i: int) -> Source:
        rng = self.rng
        mix = tuple((t, rng.choice((1.0, 2.0))) for t in self.types) or ((ANY, 1.0),)
        return Source(
            f"source {i}",
            self.time() if self.chance(0.6) else None,
            mix,
            batch=rng.choice((1, 1, 1, 3)),
            limit=rng.choice((UNBOUNDED, UNBOUNDED, 20)),
            queue=rng.choice((UNBOUNDED, 1, 4)),
            route=rng.choice(tuple(Route)),
        )

    def made(self) -> FlowModel:
        rng = self.rng
        stages: list[list[Node]] = [[self.source(i) for i in range(rng.choice((1, 1, 2)))]]
        for depth in range(rng.randrange(1, 6)):
            before = stages[-1]
            stage: list[Node] = []
            for j in range(rng.choice((1, 1, 2))):
                name = f"n{depth}{'ab'[j]}"
                kind = rng.randrange(8)
                if kind < 4:
                    one: Node = self.station(name)
                    if all(isinstance(n, Buffer) and n.capacity >= 3 for n in before):
                        one = self.joined(one, before)
                    stage.append(one)
                else:
                    stage.append(self.buffer(name) if kind < 7 else self.conveyor(name))
            stages.append(stage)
        # A source that is never stopped must come to something that takes time.
        if not any(isinstance(n, Station | Conveyor) for stage in stages[1:] for n in stage):
            stages.append([self.station("last")])
        stages.append([Drain("drain")])
        for k, (stage, following) in enumerate(itertools.pairwise(stages)):
            for a in stage:
                for b in following:
                    types = [t for t in self.types if self.chance(0.8)]
                    self.link(a, b, types=types if self.chance(0.2) else ())
            stages[k] = [self.parted(n, following) for n in stage]
        self.nodes = [n for stage in stages for n in stage]
        self.scrap_and_rework(stages)
        loops = []
        inner = [n.name for stage in stages[1:-1] for n in stage if not getattr(n, "takes", ())]
        if inner and self.chance(0.3):
            first = rng.randrange(len(inner))
            chosen = inner[first : first + rng.choice((1, 2, 4))]
            limited = tuple(t for t in self.types if self.chance(0.5))
            loops.append(Loop("loop", tuple(chosen), rng.choice((1, 2, 4)), limited))
        names = [n.name for n in self.nodes]
        fleets = []
        for fleet in self.fleets:
            stops = list(dict.fromkeys(e for s in fleet.segments for e in (s.source, s.target)))
            places = tuple((name, rng.choice(stops)) for name in names) if stops else ()
            fleets.append(
                Fleet(**{**{f: getattr(fleet, f) for f in fleet.__slots__}, "places": places})
            )
        return FlowModel(
            "random",
            tuple(self.nodes),
            tuple(self.links),
            tuple(
                PartType(t, 1.5, 0.25, rng.choice((0.0, 0.3)), rng.choice((5.0, 20.0)))
                for t in self.types
            ),
            tuple(self.pools),
            tuple(fleets),
            tuple(loops),
            tuple(self.calendars),
            carbon_kg_per_kwh=0.4,
            energy_cost_per_kwh=0.2,
            wip_cost_per_h=0.1,
        )

    def changed(self, one: Station, **what) -> Station:
        return Station(**{**{f: getattr(one, f) for f in one.__slots__}, **what})

    def joined(self, one: Station, before: list[Node]) -> Station:
        """Perhaps an assembly of what comes from several, or a batch of one."""
        names = [n.name for n in before]
        if len(names) == 1 and self.chance(0.4):
            least = self.rng.choice((0, 1, 2))
            return self.changed(one, takes=((names[0], 3),), is_batch=True, least_batch=least)
        if self.chance(0.5):
            return self.changed(one, takes=tuple((n, self.rng.choice((1, 2))) for n in names))
        return one

    def parted(self, one: Node, following: list[Node]) -> Node:
        """Perhaps a station that takes its jobs apart."""
        if not isinstance(one, Station) or one.is_batch or not self.chance(0.2):
            return one
        gives = tuple(
            (n.name, self.rng.choice((1, 2)), self.rng.choice((ANY, *self.types)))
            for n in following
        )
        return self.changed(one, gives=gives)

    def scrap_and_rework(self, stages: list[list[Node]]) -> None:
        backs = [n for stage in stages[1:-1] for n in stage if isinstance(n, Buffer)]
        backs += [n for stage in stages[1:-1] for n in stage if isinstance(n, Station)]
        backs = [n for n in backs if not getattr(n, "takes", ())]
        scrapped = False
        for i, node in enumerate(self.nodes):
            if not isinstance(node, Station):
                continue
            if node.scrap and self.chance(0.5):
                self.link(node, Drain("bin"), is_scrap=True)
                scrapped = True
            others = [n for n in backs if n.name != node.name]
            if others and self.chance(0.3):
                self.nodes[i] = self.changed(node, rework=0.2)
                self.link(node, self.rng.choice(others), is_rework=True)
        if scrapped:
            self.nodes.append(Drain("bin", is_scrap=True))
