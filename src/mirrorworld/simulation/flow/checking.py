"""Whether a line's elements fit together; says which does not, and what would mend it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from mirrorworld.simulation.flow.model import (
    ANY,
    UNBOUNDED,
    Buffer,
    Conveyor,
    Drain,
    Energy,
    FlowError,
    FlowModel,
    Need,
    Route,
    Source,
    Station,
)


def check(model: FlowModel) -> None:
    """Raises FlowError with the first thing that is wrong."""
    _names(model)
    _links(model)
    for node in model.nodes:
        match node:
            case Source():
                _source(model, node)
            case Station():
                _station(model, node)
            case Buffer():
                _at_least(f"{model.name}/{node.name}.capacity", node.capacity, 1)
            case Conveyor():
                for name in ("length_m", "speed_m_s", "pitch_m"):
                    _positive(f"{model.name}/{node.name}.{name}", getattr(node, name))
                _not_negative(f"{model.name}/{node.name}.power_w", node.power_w)
            case Drain():
                pass
    _around(model)


def _names(model: FlowModel) -> None:
    for what, names in (
        ("node", [node.name for node in model.nodes]),
        ("pool", [pool.name for pool in model.pools]),
        ("fleet", [fleet.name for fleet in model.fleets]),
        ("calendar", [calendar.name for calendar in model.calendars]),
        ("part type", [part.name for part in model.part_types]),
        ("loop", [loop.name for loop in model.loops]),
    ):
        seen: set[str] = set()
        for name in names:
            if not name:
                raise FlowError(f"{model.name}: a {what} has no name; give it one")
            if name in seen:
                raise FlowError(f"{model.name}: two {what}s are called '{name}'; rename one")
            seen.add(name)
    if not any(isinstance(node, Source) for node in model.nodes):
        raise FlowError(f"{model.name}: no part ever enters; add a Source")
    if not any(isinstance(node, Drain) for node in model.nodes):
        raise FlowError(f"{model.name}: no part ever leaves; add a Drain")


def _links(model: FlowModel) -> None:
    nodes = {node.name: node for node in model.nodes}
    for link in model.links:
        place = f"{model.name}/{link.source}→{link.target}"
        _known(place, "node", link.source, nodes)
        _known(place, "node", link.target, nodes)
        if isinstance(nodes[link.source], Drain):
            raise FlowError(f"{place}: a Drain lets nothing go; end the link elsewhere")
        if isinstance(nodes[link.target], Source):
            raise FlowError(f"{place}: a Source takes nothing; link to the node behind it")
        if link.source == link.target:
            raise FlowError(f"{place}: a node cannot feed itself; put a Buffer between")
        if not (math.isfinite(link.share) and link.share >= 0):
            raise FlowError(f"{place}: share {link.share}; give a number of 0 or more")
        if link.fleet:
            _known(place, "fleet", link.fleet, [fleet.name for fleet in model.fleets])
            target = nodes[link.target]
            if isinstance(target, Conveyor) or (isinstance(target, Station) and target.takes):
                raise FlowError(
                    f"{place}: a vehicle cannot put a part down there; carry it to a Buffer before"
                )
        for name in (*link.types, *([link.becomes] if link.becomes else [])):
            _known(place, "part type", name, model.types)
        if (link.is_scrap or link.is_rework) and not isinstance(nodes[link.source], Station):
            raise FlowError(f"{place}: only a Station tells scrap and rework from sound parts")
    for node in model.nodes:
        place = f"{model.name}/{node.name}"
        out = [link for link in model.out_of(node.name) if not (link.is_scrap or link.is_rework)]
        if not isinstance(node, Drain) and not out:
            raise FlowError(f"{place}: nothing leaves it; link it to a node or a Drain")
        if not isinstance(node, Source) and not any(True for _ in model.into(node.name)):
            raise FlowError(f"{place}: nothing comes to it; link it, or take it out")
        is_shared = getattr(node, "route", None) is Route.SHARE
        if is_shared and sum(link.share for link in out) <= 0:
            raise FlowError(f"{place}: its links' shares add up to 0; give one a share")


def _source(model: FlowModel, node: Source) -> None:
    place = f"{model.name}/{node.name}"
    for name, weight in node.mix:
        if not (name == ANY and not model.part_types):
            _known(f"{place}.mix", "part type", name, model.types)
        _not_negative(f"{place}.mix {name}", weight)
    if not node.mix or sum(weight for _, weight in node.mix) <= 0:
        raise FlowError(f"{place}: its mix adds up to 0; give a part type a weight")
    _at_least(f"{place}.batch", node.batch, 1)
    _at_least(f"{place}.limit", node.limit, 0)
    _at_least(f"{place}.queue", node.queue, 1)


def _station(model: FlowModel, node: Station) -> None:
    place = f"{model.name}/{node.name}"
    _at_least(f"{place}.servers", node.servers, 1)
    for name, _ in node.process_by_type:
        _known(f"{place}.process_by_type", "part type", name, model.types)
    feeders = [link.source for link in model.into(node.name)]
    for name, count in node.takes:
        _known(f"{place}.takes", "node that feeds it", name, feeders)
        _at_least(f"{place}.takes {name}", count, 1)
    for name in feeders if node.takes else ():
        if name not in dict(node.takes):
            raise FlowError(f"{place}.takes: nothing of '{name}', which feeds it; name it")
    for name, count in node.takes:
        feeder = model.node(name)
        most = feeder.capacity if isinstance(feeder, Buffer) else UNBOUNDED
        if isinstance(feeder, Conveyor):
            most = 1
        elif isinstance(feeder, Station) and not (feeder.is_batch or feeder.gives):
            most = feeder.servers
        if count > most and not (node.is_batch and 0 < node.least_batch <= most):
            raise FlowError(
                f"{place}.takes: {count} of '{name}', which offers {most} at most; "
                "put a Buffer between that holds them"
            )
    if node.is_batch and len(node.takes) != 1:
        raise FlowError(f"{place}: a batch has one entry in `takes`, not {len(node.takes)}")
    if node.is_batch and node.least_batch > node.takes[0][1]:
        raise FlowError(f"{place}: least_batch {node.least_batch} is more than a full batch")
    if node.is_batch and node.gives:
        raise FlowError(f"{place}: a batch leaves part by part; take `gives` to a node behind it")
    followers = [link.target for link in model.out_of(node.name)]
    for name, count, part in node.gives:
        _known(f"{place}.gives", "node behind it", name, followers)
        _at_least(f"{place}.gives {name}", count, 1)
        if part != ANY:
            _known(f"{place}.gives {name}", "part type", part, model.types)
    for what in ("scrap", "rework"):
        share = getattr(node, what)
        if not 0 <= share <= 1:
            raise FlowError(f"{place}.{what}: {share} is no probability; give one from 0 to 1")
    if node.rework and not any(link.is_rework for link in model.out_of(node.name)):
        raise FlowError(f"{place}.rework: no link takes it; mark one with is_rework")
    _needs(model, f"{place}.needs", node.needs)
    for failure in node.breakdowns:
        _needs(model, f"{place}.{failure.name}", failure.needs)
        if failure.between.mean() <= 0:
            raise FlowError(f"{place}.{failure.name}: fails all the time; give a mean above 0")
    for work in node.maintenance:
        _needs(model, f"{place}.{work.name}", work.needs)
        if work.every_s <= 0 and work.every_parts <= 0:
            raise FlowError(f"{place}.{work.name}: never due; give every_s or every_parts")
    if node.setup is not None:
        _needs(model, f"{place}.setup", node.setup.needs)
        for before, after, _ in node.setup.times:
            for name in (before, after):
                if name != ANY:
                    _known(f"{place}.setup", "part type", name, model.types)
    if node.calendar:
        _known(place, "calendar", node.calendar, [c.name for c in model.calendars])
    for name in Energy.__slots__:
        _not_negative(f"{place}.energy.{name}", getattr(node.energy, name))


def _around(model: FlowModel) -> None:
    for pool in model.pools:
        place = f"{model.name}/{pool.name}"
        _at_least(f"{place}: members", pool.size, 1)
        if pool.calendar:
            _known(place, "calendar", pool.calendar, [c.name for c in model.calendars])
    for calendar in model.calendars:
        place = f"{model.name}/{calendar.name}"
        _positive(f"{place}.cycle_s", calendar.cycle_s)
        end = 0.0
        if not calendar.works:
            raise FlowError(f"{place}: never works; give an interval")
        for begin, until in calendar.works:
            if not end <= begin < until <= calendar.cycle_s:
                raise FlowError(
                    f"{place}: {begin}–{until} s; give ascending intervals within the cycle"
                )
            end = until
    for fleet in model.fleets:
        place = f"{model.name}/{fleet.name}"
        _at_least(f"{place}.vehicles", fleet.vehicles, 1)
        if fleet.segments:
            _positive(f"{place}.speed_m_s", fleet.speed_m_s)
            stops = {end for s in fleet.segments for end in (s.source, s.target)}
            carried = {
                n for k in model.links if k.fleet == fleet.name for n in (k.source, k.target)
            }
            at = dict(fleet.places)
            for node in sorted(carried):
                if node not in at:
                    raise FlowError(f"{place}: no place for '{node}'; name it in `places`")
                _known(f"{place}.places", "place of its track", at[node], stops)
            if fleet.home:
                _known(f"{place}.home", "place of its track", fleet.home, stops)
            for segment in fleet.segments:
                _positive(f"{place} {segment.source}→{segment.target}", segment.length_m)
                _at_least(f"{place} {segment.source}→{segment.target}", segment.capacity, 1)
        elif fleet.travel is None:
            raise FlowError(f"{place}: no way to travel; give `travel` or `segments`")
    nodes = [node.name for node in model.nodes]
    for loop in model.loops:
        place = f"{model.name}/{loop.name}"
        _at_least(f"{place}.limit", loop.limit, 1)
        for name in loop.nodes:
            _known(place, "node", name, nodes)
            node = model.node(name)
            if isinstance(node, Source | Drain):
                raise FlowError(f"{place}: '{name}' holds no part of the line; leave it out")
            outside = [k.source for k in model.into(name) if k.source not in loop.nodes]
            if isinstance(node, Station) and node.takes and outside:
                raise FlowError(
                    f"{place}: it begins at '{name}', which takes several parts at once; "
                    f"begin it at '{outside[0]}'"
                )
        for name in loop.types:
            _known(place, "part type", name, model.types)
    for name in ("carbon_kg_per_kwh", "energy_cost_per_kwh", "wip_cost_per_h"):
        _not_negative(f"{model.name}.{name}", getattr(model, name))


def _needs(model: FlowModel, place: str, needs: tuple[Need, ...]) -> None:
    pools = {pool.name: pool for pool in model.pools}
    for need in needs:
        _known(place, "pool", need.pool, pools)
        _at_least(f"{place} {need.pool}", need.count, 1)
        able = sum(
            count
            for count, skills in pools[need.pool].members
            if not need.skill or need.skill in skills
        )
        if able < need.count:
            skill = f" with skill '{need.skill}'" if need.skill else ""
            raise FlowError(
                f"{place}: needs {need.count} of '{need.pool}'{skill}, which has {able}; "
                "it would wait for ever"
            )


def _known(place: str, what: str, name: str, names: Iterable[str]) -> None:
    names = list(names)
    if name not in names:
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"there is {', '.join(names) or 'none'}"
        raise FlowError(f"{place}: no {what} '{name}'; {hint}")


def _at_least(place: str, value: int, least: int) -> None:
    if value < least:
        raise FlowError(f"{place}: {value}; give {least} or more")


def _positive(place: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise FlowError(f"{place}: {value}; give a number above 0")


def _not_negative(place: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise FlowError(f"{place}: {value}; give a number of 0 or more")
