"""What people and fits write down about a line: sheets of kind `flow`.

A sheet names twins and says of each what its line needs to know. The sheet `fitted` is written by
a fit; every other one goes over it, so an engineer's word stands above what was measured. Times
are seconds. Knows no twin: whether one exists is seen when a line is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from mirrorworld.simulation.flow.distributions import Distribution, Kind
from mirrorworld.world.model import Sheet
from mirrorworld.world.structure import Structure

KIND: Final = "flow"
FITTED: Final = "fitted"
"""Name of the sheet that a fit writes."""
SCENARIO: Final = ("scenario", "parameters")
"""The sheet with a branch's scenario parameters."""
ROLES: Final = ("machine", "conveyor", "buffer", "none")


class Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A distribution as it is written: `{"kind": "weibull", "parameters": [2, 300]}`."""

    kind: str
    parameters: tuple[float, ...] = ()
    samples: tuple[float, ...] = ()
    parts: tuple[Time, ...] = ()

    def distribution(self) -> Distribution:
        """The distribution; ValueError where it is none."""
        try:
            kind = Kind[self.kind.upper()]
        except KeyError:
            names = ", ".join(one.name.lower() for one in Kind)
            raise ValueError(f"no distribution '{self.kind}'; there is {names}") from None
        parts = tuple(part.distribution() for part in self.parts)
        return Distribution(kind, self.parameters, self.samples, parts)


def written(one: Distribution) -> Time:
    """A distribution as it is written."""
    parts = tuple(written(part) for part in one.parts)
    return Time(one.kind.name.lower(), one.parameters, one.samples, parts)


class Stops(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One way to fail. A plain number is a mean: exponential between, constant for a repair."""

    name: str
    between: Time | float
    """Working time from a repair to the next failure."""
    repair: Time | float


class Said(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is said of one twin; what is left out is taken from elsewhere."""

    role: str | None = None
    """machine, conveyor, buffer, or none: no part of the line."""
    cycle: Time | float | None = None
    """Of one part."""
    servers: int | None = None
    inside: int | None = None
    """Parts that a machine holds on their way through it."""
    capacity: int | None = None
    length_m: float | None = None
    speed_m_s: float | None = None
    per_unit: int | None = None
    """Parts in each thing that it carries: 12 for a conveyor of cartons with twelve bottles."""
    scrap: float | None = None
    stops: list[Stops] | None = None
    busy_w: float | None = None
    idle_w: float | None = None
    blocked_w: float | None = None
    down_w: float | None = None
    cost_per_h: float | None = None
    points: dict[str, str] | None = None
    """What a point is for, if its name does not tell: `{"state": "Zustand"}`."""
    at: dict[str, float] | None = None
    """Set-points and properties as they were when this was fitted: who changes them changes the
    line in proportion."""
    rate_factor: float | None = None
    """On the machine's speed; likewise the others. They go over everything else."""
    failure_factor: float | None = None
    repair_factor: float | None = None
    capacity_factor: float | None = None


FACTORS: Final = ("rate_factor", "failure_factor", "repair_factor", "capacity_factor")


class Period(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a fit was made from."""

    start_ns: int
    end_ns: int
    clock_rate: float = 1.0
    """Seconds of the plant in each second of the record; 1 but for a plant that was sped up."""
    notes: tuple[str, ...] = ()


class Checked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a fit to the first part of a period did on the rest."""

    holds: bool
    """Whether the throughput was within its interval."""
    verdict: str
    """In a sentence, with its numbers."""
    drifted: tuple[str, ...] = ()
    """What no longer comes from what was fitted."""


class Flow(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A sheet of kind `flow`."""

    twins: dict[str, Said] = {}
    demand_per_h: float | None = None
    """Parts an hour that come to the line; else its first machine is never short of them."""
    carbon_kg_per_kwh: float | None = None
    energy_cost_per_kwh: float | None = None
    wip_cost_per_h: float | None = None
    period: Period | None = None
    pace: float | None = None
    """Share of their own fitted speeds that the machines of a line reach together."""
    checked: Checked | None = None
    """Of a fit; None: nobody has compared it with what it was not fitted on."""


def read(sheet: Sheet) -> Flow:
    """What a sheet says.

    Raises:
        ValueError: it cannot be read; the message names the sheet, the place and the mend.
    """
    place = f"{sheet.kind} '{sheet.name}'"
    try:
        flow = msgspec.json.decode(sheet.body, type=Flow)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{place}: {error}") from error
    for name, said in flow.twins.items():
        check(f"{place}: {name}", said)
    for name in ("demand_per_h", "carbon_kg_per_kwh", "energy_cost_per_kwh", "wip_cost_per_h"):
        _at_least(f"{place}: {name}", getattr(flow, name), 0.0)
    if flow.pace is not None and not 0.1 <= flow.pace <= 1.0:
        raise ValueError(f"{place}: pace is {flow.pace:g}; give a share from 0.1 to 1")
    if flow.demand_per_h == 0:
        raise ValueError(f"{place}: demand_per_h is 0; leave it out, or give parts an hour")
    return flow


def check(place: str, said: Said) -> None:
    """Raises ValueError, with the mend, if what is said of a twin makes no sense."""
    if said.role is not None and said.role not in ROLES:
        raise ValueError(f"{place}.role is '{said.role}'; give one of {', '.join(ROLES)}")
    for name in ("servers", "inside", "capacity", "per_unit"):
        _at_least(f"{place}.{name}", getattr(said, name), 1)
    for name in ("busy_w", "idle_w", "blocked_w", "down_w", "cost_per_h", "scrap"):
        _at_least(f"{place}.{name}", getattr(said, name), 0.0)
    if said.scrap is not None and said.scrap > 1:
        raise ValueError(f"{place}.scrap is {said.scrap:g}; give a share from 0 to 1")
    for name in ("length_m", "speed_m_s", *FACTORS):
        value = getattr(said, name)
        if value is not None and not (math.isfinite(value) and 1e-6 <= value <= 1e6):
            raise ValueError(f"{place}.{name} is {value:g}; give a number above 0")
    try:
        if said.cycle is not None and not time(said.cycle).mean() > 0:
            raise ValueError("it is 0; give seconds")
    except ValueError as error:
        raise ValueError(f"{place}.cycle: {error}") from error
    for one in said.stops or ():
        try:
            if not time(one.between, Distribution.exponential).mean() > 0:
                raise ValueError("it fails all the time")
            time(one.repair)
        except ValueError as error:
            raise ValueError(f"{place}.stops '{one.name}': {error}") from error


def time(said: Time | float, of_mean: Any = Distribution.constant) -> Distribution:
    """The distribution that is meant; a plain number is a mean."""
    return said.distribution() if isinstance(said, Time) else of_mean(float(said))


def _at_least(place: str, value: float | None, least: float) -> None:
    if value is not None and not (math.isfinite(value) and value >= least):
        raise ValueError(f"{place} is {value:g}; give {least:g} or more")


def merged(sheets: Iterable[Flow]) -> Flow:
    """One over the other, field by field; the later ones above."""
    whole = Flow(twins={})
    for sheet in sheets:
        for name in Flow.__struct_fields__:
            if name != "twins" and getattr(sheet, name) is not None:
                setattr(whole, name, getattr(sheet, name))
        for twin, said in sheet.twins.items():
            under = whole.twins.setdefault(twin, Said())
            for name in Said.__struct_fields__:
                value = getattr(said, name)
                if value is None:
                    continue
                if name == "at" or name == "points":
                    value = {**(getattr(under, name) or {}), **value}
                elif name in FACTORS:
                    value = value * (getattr(under, name) or 1.0)
                setattr(under, name, value)
    return whole


def of_structure(structure: Structure, fitted: Flow | None = None) -> Flow:
    """All sheets of a world as one, with the scenario's parameters on top.

    A parameter `demand_per_h` is the line's demand; one like `Filler.rate_factor` is a factor of
    a twin, by its id or, where only one has it, the last part of that.

    Args:
        fitted: stands for the sheet of that name.

    Raises:
        ValueError: a sheet or a parameter cannot be read.
    """
    found = [(name, sheet) for (kind, name), sheet in structure.sheets.items() if kind == KIND]
    found.sort(key=lambda entry: (entry[0] != FITTED, entry[0]))
    layers = [read(sheet) for name, sheet in found if fitted is None or name != FITTED]
    if fitted is not None:
        layers.insert(0, fitted)
    scenario = structure.sheets.get(SCENARIO)
    if scenario is not None:
        layers.append(_of_parameters(msgspec.json.decode(scenario.body), structure))
    return merged(layers)


def _of_parameters(given: dict[str, Any], structure: Structure) -> Flow:
    flow = Flow(twins={})
    for name, value in given.items():
        twin, _, what = name.rpartition(".")
        if name != "demand_per_h" and what not in FACTORS:
            continue  # of another model
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ValueError(f"parameter {name} is {value!r:.40}; give a number above 0")
        if name == "demand_per_h":
            flow.demand_per_h = float(value)
        else:
            said = flow.twins.setdefault(twin_named(twin, structure.twins), Said())
            setattr(said, what, float(value))
    for twin, said in flow.twins.items():
        check(f"parameters of {twin}", said)
    return flow


def of_assignments(text: str, structure: Structure) -> Flow:
    """What `Filler.rate_factor=1.1,Capper.repair_factor=0.5` says.

    Raises:
        ValueError: it says nothing of the kind; the message names the part and the mend.
    """
    given: dict[str, Any] = {}
    for part in text.split(","):
        name, sign, value = part.strip().partition("=")
        what = name.rpartition(".")[2]
        if not sign or (name != "demand_per_h" and what not in FACTORS):
            raise ValueError(
                f"'{part.strip()}': write demand_per_h=NUMBER or TWIN.FACTOR=NUMBER, with one of "
                f"{', '.join(FACTORS)}"
            )
        try:
            given[name] = float(value)
        except ValueError:
            raise ValueError(f"'{part.strip()}': '{value}' is no number") from None
    return _of_parameters(given, structure)


def twin_named(name: str, twins: Iterable[str]) -> str:
    """The twin of an id, or the only one whose id ends so; ValueError says what there is."""
    twins = list(twins)
    if name in twins:
        return name
    ends = [twin for twin in twins if twin.rpartition("/")[2] == name]
    if len(ends) != 1:
        many = f"several twins end so: {', '.join(ends[:5])}" if ends else "there is no such twin"
        raise ValueError(f"'{name[:100]}': {many}; give the whole id")
    return ends[0]
