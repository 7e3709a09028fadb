"""A line's model from a world: twins and their `feeds`, what was fitted, what people said.

For each number, from the highest down: factors of a scenario, a property that has changed since
the fit or a set-point against what it was then, the sheets of kind `flow`, properties of the twin,
its points as they are now, an assumption. Where each came from is listed, with what would mend
an assumption. Knows no record: what was measured is in the sheet `fitted`.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Final

from mirrorworld import units
from mirrorworld.simulation.flow import sheet as sheets
from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.model import (
    Breakdown,
    Buffer,
    Conveyor,
    Drain,
    Energy,
    FlowError,
    FlowModel,
    Link,
    Node,
    Source,
    Station,
)
from mirrorworld.simulation.flow.roles import Place, Used, places
from mirrorworld.simulation.flow.sheet import Flow, Said
from mirrorworld.units import UnitError
from mirrorworld.world.model import FEEDS, Property
from mirrorworld.world.world import World

SUPPLY: Final = "supply"
OUTPUT: Final = "output"
CHECK: Final = "check of the fit"
"""What the ground that tells of it is called."""
PROPERTIES: Final = {
    # Name in small letters without '_' -> (what it says, unit)
    "cycletime": ("cycle", "s"),
    "speed": ("rate", "/s"),
    "nominalspeed": ("rate", "/s"),
    "rate": ("rate", "/s"),
    "capacity": ("capacity", "1"),
    "length": ("length_m", "m"),
    "mtbf": ("mtbf", "s"),
    "mttr": ("mttr", "s"),
    "scrap": ("scrap", "1"),
    "scraprate": ("scrap", "1"),
    "servers": ("servers", "1"),
}
"""Properties that say something of a line, whatever fitted them."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where one number of a model comes from."""

    twin: str
    what: str
    value: str
    by: str
    """measured, sheet, property, point, scenario or assumed."""
    mend: str = ""
    """What would replace an assumption."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line's model, and what it stands on."""

    model: FlowModel
    grounds: tuple[Ground, ...]
    places: tuple[Place, ...]
    nodes: dict[str, str]
    """Node -> twin; supply and output have none."""
    flow: Flow
    """All sheets as one."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """What speaks against the fit, in sentences; what people should see beside each figure."""
        return tuple(
            f"{ground.what}: {ground.value}"
            for ground in self.grounds
            if ground.what in (CHECK, "drift") and ground.mend
        )

    @property
    def assumed(self) -> tuple[Ground, ...]:
        """What nobody measured or said."""
        return tuple(ground for ground in self.grounds if ground.by == "assumed")


def from_world(world: World, over: Flow | None = None, fitted: Flow | None = None) -> Drawn:
    """The model of a world's line.

    Args:
        over: a sheet that goes over all others, as a what-if does.
        fitted: stands for the world's own sheet `fitted`.

    Raises:
        FlowError: the world does not make a line; the message names the twin and the mend.
        ValueError: a sheet cannot be read.
    """
    if fitted is None:
        sheet = world.structure.sheets.get((sheets.KIND, sheets.FITTED))
        fitted = sheets.read(sheet) if sheet is not None else Flow(twins={})
    flow = sheets.of_structure(world.structure, fitted)
    if over is not None:
        flow = sheets.merged([flow, over])
    return _Drawing(world, flow, fitted).drawn()


@dataclass(slots=True)
class _Drawing:
    world: World
    flow: Flow
    fitted: Flow
    grounds: list[Ground] = field(default_factory=list[Ground])

    def drawn(self) -> Drawn:
        found = places(self.world.structure, self.flow)
        nodes: list[Node] = []
        links: list[Link] = []
        twins: dict[str, str] = {}
        first, last = {}, {}
        for place in found:
            made = self.nodes(place)
            for a, b in itertools.pairwise(made):
                links.append(Link(a.name, b.name))
            nodes += made
            twins |= {node.name: place.twin for node in made}
            first[place.twin], last[place.twin] = made[0].name, made[-1].name
        fed: set[str] = set()
        feeding: set[str] = set()
        for relation in self.world.structure.relations.values():
            a, b = relation.source, relation.target
            if relation.kind == FEEDS and a in last and b in first:
                links.append(Link(last[a], first[b]))
                feeding.add(a)
                fed.add(b)
        starts = [place for place in found if place.twin not in fed]
        ends = [place for place in found if place.twin not in feeding]
        if not starts:
            raise FlowError(
                "nothing comes from outside: every twin is fed by another; "
                "take out the 'feeds' that leads back to the beginning"
            )
        interarrival = None
        if self.flow.demand_per_h:
            interarrival = Distribution.constant(3600.0 * len(starts) / self.flow.demand_per_h)
            self.say("", "demand", f"{self.flow.demand_per_h:g}/h", "sheet")
        else:
            mend = "a sheet of kind flow with `demand_per_h`"
            self.say("", "supply", "never short of parts", "assumed", mend)
        self.say_checked()
        for i, place in enumerate(starts):
            name = SUPPLY if len(starts) == 1 else f"{SUPPLY} {i + 1}"
            nodes.insert(i, Source(name, interarrival))
            links.append(Link(name, first[place.twin]))
        nodes.append(Drain(OUTPUT))
        links += [Link(last[place.twin], OUTPUT) for place in ends]
        model = FlowModel(
            self.world.id or "line",
            tuple(nodes),
            tuple(links),
            carbon_kg_per_kwh=self.flow.carbon_kg_per_kwh or 0.0,
            energy_cost_per_kwh=self.flow.energy_cost_per_kwh or 0.0,
            wip_cost_per_h=self.flow.wip_cost_per_h or 0.0,
        )
        return Drawn(model, tuple(self.grounds), tuple(found), twins, self.flow)

    def say(self, twin: str, what: str, value: str, by: str, mend: str = "") -> None:
        self.grounds.append(Ground(twin, what, value, by, mend))

    def say_checked(self) -> None:
        """What is known of how right the fit is."""
        if self.fitted.period is None:
            return
        checked = self.fitted.checked
        if checked is None:
            mend = "`flow fit --write` without --no-check, or `flow validate`"
            self.say("", CHECK, "nobody has compared the fit with other times", "assumed", mend)
            return
        mend = "" if checked.holds else "correct it by a sheet of kind flow; see `flow validate`"
        self.say("", CHECK, checked.verdict, "measured", mend)
        for one in checked.drifted:
            self.say("", "drift", one, "measured", "`flow fit --write` on the latest record")

    def nodes(self, place: Place) -> list[Node]:
        """What a twin is in the model, in the order in which parts pass."""
        said = self.flow.twins.get(place.twin, Said())
        for note in place.notes:
            self.say(place.twin, "point", note, "assumed", "correct the point's unit")
        if place.role == "machine":
            return self.machine(place, said)
        return self.way(place, said)

    # --- machines ---

    def machine(self, place: Place, said: Said) -> list[Node]:
        cycle = self.cycle(place, said)
        stops = self.stops(place, said)
        watts = [getattr(said, name) for name in ("busy_w", "idle_w", "blocked_w", "down_w")]
        if any(value is not None for value in watts):
            self.say(place.twin, "power", f"{watts[0] or 0:.0f} W at work", "measured")
        busy, idle, blocked, down = (value or 0.0 for value in watts)
        station = Station(
            place.label,
            cycle,
            servers=said.servers or round(self.property(place, said, "servers") or 1),
            breakdowns=stops,
            scrap=self.number(place, said, "scrap", 0.0) or 0.0,
            energy=Energy(busy, idle, blocked, busy, down),
            cost_per_h=said.cost_per_h or 0.0,
        )
        if said.inside is not None and said.inside > 1:
            pace_s = cycle.mean() / station.servers
            self.say(place.twin, "inside", f"{said.inside} parts", "measured")
            way = Conveyor(f"{place.label} inside", float(said.inside), 1 / pace_s, 1.0)
            return [way, station]
        return [station]

    def cycle(self, place: Place, said: Said) -> Distribution:
        own = self.property(place, said, "cycle")
        rate = self.property(place, said, "rate")
        speed = self.value(place.points.get("setpoint")) or self.value(place.points.get("speed"))
        if said.cycle is not None:
            cycle, by = sheets.time(said.cycle), self.by(place, said, "cycle")
            cycle = cycle.scaled(1 / self.pace(place, said))
            if by == "measured" and self.flow.pace is not None and isinstance(said.cycle, float):
                cycle = cycle.scaled(1 / self.flow.pace)
                by = f"measured, × {self.flow.pace:.3f} lost by the line"
        elif own:
            cycle, by = Distribution.constant(own), "property"
        elif rate:
            cycle, by = Distribution.constant(1 / rate), "property"
        elif speed:
            cycle, by = Distribution.constant(1 / speed), "point"
        else:
            raise FlowError(
                f"{place.twin}: no cycle time; fit a record in which it has a speed or a counter, "
                "or write `cycle` (seconds) for it in a sheet of kind flow, "
                "or give it a property cycle_time"
            )
        self.say(place.twin, "cycle", f"{cycle.mean():.4g} s, {cycle.kind.name.lower()}", by)
        if said.rate_factor is not None:
            cycle = cycle.scaled(1 / said.rate_factor)
            self.say(place.twin, "cycle", f"speed × {said.rate_factor:g}", "scenario")
        return cycle

    def pace(self, place: Place, said: Said) -> float:
        """What has become of the speed since the fit: by a set-point, or by a property."""
        at = said.at or {}
        pace = 1.0
        setpoint = place.points.get("setpoint")
        if setpoint is not None and setpoint.name in at:
            now, then = self.value(setpoint), at[setpoint.name]
            if now and then and not math.isclose(now, then, rel_tol=1e-9):
                pace *= now / then
                self.say(place.twin, "cycle", f"set-point × {now / then:.4g}", "point")
        for name, (what, _) in PROPERTIES.items():
            if what not in ("cycle", "rate"):
                continue
            now = self.named(place, name)
            then = at.get(f"property {name}")
            if now is None or (then is not None and math.isclose(now, then, rel_tol=1e-9)):
                continue
            if then is None:
                if said.at is None:  # the sheet is no fit: it stands above properties
                    continue
                # It was not there at the fit: it says the whole.
                cycle_s = sheets.time(said.cycle or 0.0).mean()
                ratio = cycle_s / now if what == "cycle" else now * cycle_s
            else:
                ratio = then / now if what == "cycle" else now / then
            pace *= ratio
            self.say(place.twin, "cycle", f"property {name}: × {ratio:.4g}", "property")
        return pace

    def stops(self, place: Place, said: Said) -> tuple[Breakdown, ...]:
        mtbf, mttr = self.property(place, said, "mtbf"), self.property(place, said, "mttr")
        found: list[Breakdown] = []
        if said.stops is not None:
            for one in said.stops:
                between = sheets.time(one.between, Distribution.exponential)
                found.append(Breakdown(one.name, between, sheets.time(one.repair)))
            by = self.by(place, said, "stops")
            if not found:
                self.say(place.twin, "stops", "none seen", by)
        elif mtbf and mttr:
            by = "property"
            repair = Distribution.exponential(mttr)
            found.append(Breakdown("failure", Distribution.exponential(mtbf), repair))
        else:
            why = "no state is measured" if "state" not in place.points else "nothing was fitted"
            mend = "fit a record, or write `stops` in a sheet of kind flow, or mtbf and mttr"
            self.say(place.twin, "stops", f"never fails: {why}", "assumed", mend)
            return ()
        fails, repairs = said.failure_factor or 1.0, said.repair_factor or 1.0
        changed: list[Breakdown] = []
        for one in found:
            between, repair = one.between, one.repair
            if said.stops is not None and mtbf:
                between = between.scaled(mtbf / between.mean())
            if said.stops is not None and mttr and repair.mean() > 0:
                repair = repair.scaled(mttr / repair.mean())
            between, repair = between.scaled(1 / fails), repair.scaled(repairs)
            text = f"{one.name}: every {between.mean():.0f} s of work, {repair.mean():.1f} s long"
            self.say(place.twin, "stops", text, by)
            changed.append(replace(one, between=between, repair=repair))
        for name, factor in (("failures", fails), ("repairs", repairs)):
            if factor != 1.0:
                self.say(place.twin, name, f"× {factor:g}", "scenario")
        return tuple(changed)

    # --- ways and places to wait ---

    def way(self, place: Place, said: Said) -> list[Node]:
        per_unit = said.per_unit or 1
        capacity = self.number(place, said, "capacity", None)
        if capacity is None:
            capacity = self.by_occupancy(place)
        more = said.capacity_factor or 1.0
        if more != 1.0:
            self.say(place.twin, "capacity", f"× {more:g}", "scenario")
        length = self.number(place, said, "length_m", None)
        speed = self.value(place.points.get("setpoint")) or self.value(place.points.get("speed"))
        if said.speed_m_s is not None:
            speed = said.speed_m_s
            setpoint = place.points.get("setpoint")
            then = (said.at or {}).get(setpoint.name) if setpoint is not None else None
            now = self.value(setpoint)
            speed *= now / then if now and then else 1.0
        if length and speed:
            if capacity is None:
                pitch_m = min(1.0, length)
                mend = "fit a record, or give `capacity` in a sheet of kind flow or as a property"
                self.say(place.twin, "capacity", "a part each metre", "assumed", mend)
            else:
                pitch_m = length / max(1.0, capacity * per_unit)
                by = self.by(place, said, "capacity")
                self.say(place.twin, "capacity", f"{capacity * per_unit:.0f} parts", by)
            # A larger table is a longer one at the same pitch.
            text = f"{length * more:.3g} m at {speed:.3g} m/s"
            self.say(place.twin, "way", text, self.by(place, said, "speed_m_s"))
            return [Conveyor(place.label, length * more, speed, pitch_m, said.busy_w or 0.0)]
        if capacity is None:
            mend = "give `capacity` in a sheet of kind flow or as a property"
            self.say(place.twin, "capacity", "as many as come", "assumed", mend)
            return [Buffer(place.label)]
        places_ = max(1, round(capacity * per_unit * more))
        self.say(place.twin, "capacity", f"{places_} parts", self.by(place, said, "capacity"))
        return [Buffer(place.label, places_)]

    def by_occupancy(self, place: Place) -> float | None:
        count = self.value(place.points.get("content"))
        share = self.value(place.points.get("occupancy"))
        return float(round(100 * count / share)) if count and share and count >= 5 else None

    # --- where numbers come from ---

    def by(self, place: Place, said: Said, what: str) -> str:
        """Whether the fit said it, a sheet over it, or else the twin itself."""
        value = getattr(said, what)
        if value is None:
            return "property"
        fitted = self.fitted.twins.get(place.twin)
        return "measured" if fitted is not None and getattr(fitted, what) == value else "sheet"

    def number(self, place: Place, said: Said, what: str, default: float | None) -> float | None:
        """A property if it has changed since the fit, else the sheet, else the property."""
        own, changed = self.property(place, said, what), False
        for name, (means, _) in PROPERTIES.items():
            if means == what and said.at is not None and (now := self.named(place, name)):
                then = said.at.get(f"property {name}")
                changed = changed or then is None or not math.isclose(now, then)
        written = getattr(said, what)
        if own is not None and (written is None or changed):
            return own
        return written if written is not None else default

    def property(self, place: Place, said: Said, what: str) -> float | None:
        for name, (means, _) in PROPERTIES.items():
            if means == what and (value := self.named(place, name)) is not None:
                return value
        return None

    def named(self, place: Place, name: str) -> float | None:
        """A property by its name, in the unit that PROPERTIES gives it."""
        for one in self.world.structure.twins[place.twin].properties:
            if one.name.lower().replace("_", "") == name:
                return self.converted(place, one, name)
        return None

    def converted(self, place: Place, one: Property, name: str) -> float | None:
        what, unit = PROPERTIES[name]
        value = one.value
        where = f"{place.twin}.{one.name}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # Name plates give pieces an hour.
        unit_said = one.unit or ("/h" if what == "rate" else unit)
        try:
            number = float(units.convert(float(value), unit_said, unit))
        except UnitError as error:
            raise FlowError(f"{where}: {error}; correct its unit") from error
        if not math.isfinite(number) or number < 0 or (number == 0 and what != "scrap"):
            raise FlowError(f"{where}: {value} cannot be; give a number above 0")
        return number

    def value(self, used: Used | None) -> float | None:
        """What a point says now, in the model's unit; None while it says nothing usable."""
        if used is None:
            return None
        value = self.world.value(used.handle)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) * used.factor if math.isfinite(value) else None


def references(world: World, place: Place) -> dict[str, float]:
    """Set-points and properties as they are now, for a fit to remember."""
    drawing = _Drawing(world, Flow(twins={}), Flow(twins={}))
    found: dict[str, float] = {}
    setpoint = place.points.get("setpoint")
    if setpoint is not None and (now := drawing.value(setpoint)):
        found[setpoint.name] = now
    for name in PROPERTIES:
        if (value := drawing.named(place, name)) is not None:
            found[f"property {name}"] = value
    return found
