"""Who waits for whom when a compiled run comes to a dead end, read from its memory."""

# The layout's words are untyped integers.
# pyright: basic

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow import kernel_layout as k
from mirrorworld.simulation.flow.kernel_layout import Layout
from mirrorworld.simulation.flow.plan import NONE, Plan, capacity


def who_waits(numbers: Plan, where: Layout, ints: NDArray[np.int64]) -> list[tuple[str, str]]:
    """(who, for whom), in the order of `reference.Line.who_waits`."""
    return [
        *_parts(numbers, where, ints),
        *_loops(numbers, where, ints),
        *_requests(numbers, where, ints),
        *_fleets(numbers, where, ints),
    ]


def _waiting(ints: NDArray[np.int64], node: int) -> Iterator[int]:
    part = int(ints[node + k.N_HEAD])
    while part != NONE:
        yield part
        part = int(ints[part + k.P_NEXT])


def _parts(numbers: Plan, where: Layout, ints: NDArray[np.int64]) -> Iterator[tuple[str, str]]:
    model = numbers.model
    names = [node.name for node in model.nodes]
    out = {
        way.index: int(ints[ints[where.nodes[way.source] + k.N_OUT] + place])
        for ways in numbers.out
        for place, way in enumerate(ways)
    }
    nodes = [{i for i, n in enumerate(model.nodes) if n.name in x.nodes} for x in model.loops]
    kinds = [
        {i for i, t in enumerate(numbers.types) if not x.types or t in x.types} for x in model.loops
    ]
    for i, node in enumerate(where.nodes):
        for part in _waiting(ints, node):
            kind, fixed = int(ints[part + k.P_KIND]), int(ints[part + k.P_WAY])
            for way in numbers.out[i]:
                if way.sort != ints[part + k.P_SORT] or kind not in way.types:
                    continue
                if fixed not in (NONE, out[way.index]):
                    continue
                after = kind if way.becomes == NONE else way.becomes
                full = [
                    x
                    for x in way.loops
                    if way.target in nodes[x]
                    and after in kinds[x]
                    and not (way.source in nodes[x] and kind in kinds[x])
                    and ints[where.loops[x] + k.L_COUNT] >= model.loops[x].limit
                ]
                yield from ((names[i], model.loops[x].name) for x in full)
                if not full:
                    yield names[i], names[way.target]
        shop = numbers.shops[i]
        if shop is None:
            continue
        servers = where.servers[shop.first_server : shop.first_server + capacity(model.nodes[i])]
        if ints[node + k.N_OPEN] and any(
            ints[s + k.S_PHASE] == k.EMPTY and ints[s + k.S_TROUBLE] == 0 for s in servers
        ):
            for source, count in shop.takes:
                if sum(1 for _ in _waiting(ints, where.nodes[source])) < count:
                    yield names[i], names[source]


def _loops(numbers: Plan, where: Layout, ints: NDArray[np.int64]) -> Iterator[tuple[str, str]]:
    for loop, address in zip(numbers.model.loops, where.loops, strict=True):
        if ints[address + k.L_COUNT] >= loop.limit:
            for node, at in zip(numbers.model.nodes, where.nodes, strict=True):
                if node.name in loop.nodes and ints[at + k.N_HELD]:
                    yield loop.name, node.name


def _requests(numbers: Plan, where: Layout, ints: NDArray[np.int64]) -> Iterator[tuple[str, str]]:
    model = numbers.model
    request = int(ints[k.REQUEST_HEAD])
    while request != NONE:
        server = int(ints[request + k.R_SERVER])
        row = int(ints[server + k.S_ROW])
        shop = numbers.shops[row]
        assert shop is not None
        if ints[request + k.R_HELD] == k.FOR_JOB:
            needs = list(shop.needs)
            needs += shop.setup_needs if ints[server + k.S_SETUP] != NONE else []
        elif ints[server + k.S_TROUBLE] == k.DOWN:
            needs = shop.failures[ints[server + k.S_MODE]].needs
        else:
            needs = shop.upkeep[ints[server + k.S_MODE]].needs
        for pool, _, _ in needs:
            yield model.nodes[row].name, model.pools[pool].name
        request = int(ints[request + k.R_NEXT])
    groups = int(ints[k.GROUPS])
    pools = [i for i, found in enumerate(numbers.pool_groups) for _ in found]
    for server in where.servers:
        row = int(ints[server + k.S_ROW])
        for held in range(3):
            for group in range(groups):
                if ints[ints[server + k.S_HOLD] + held * groups + group]:
                    yield model.pools[pools[group]].name, model.nodes[row].name


def _fleets(numbers: Plan, where: Layout, ints: NDArray[np.int64]) -> Iterator[tuple[str, str]]:
    model = numbers.model
    for fleet, address in zip(model.fleets, where.fleets, strict=True):
        part = int(ints[address + k.F_CALLS])
        while part != NONE:
            node = int(ints[part + k.P_PLACE])
            yield model.nodes[ints[node + k.N_INDEX]].name, fleet.name
            part = int(ints[part + k.P_CALL])
        names = [f"{fleet.name} {s.source}→{s.target}" for s in fleet.segments]
        first = int(ints[address + k.F_ZONE0])
        for i, name in enumerate(names):
            vehicle = int(ints[first + i * k.Z_WORDS + k.Z_HEAD])
            while vehicle != NONE:
                yield fleet.name, name
                if ints[vehicle + k.V_ZONE] != NONE:
                    yield names[(ints[vehicle + k.V_ZONE] - first) // k.Z_WORDS], name
                vehicle = int(ints[vehicle + k.V_QUEUE])
