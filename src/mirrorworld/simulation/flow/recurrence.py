"""The recurrence as an engine: which models it covers, their samples, and what a run tells.

It covers lines without choices: saturated or fed sources, stations, buffers that keep the order,
assembly and disassembly one by one, breakdowns on operating time, several servers in serial
lines. `why_not` names the first thing of a model that it does not cover. It draws the same
variates from the same streams as the event engines, so that a run is the same run. Where nothing
fails the times are the same bits; repairs are added to the work that they interrupt, so there
times may differ in the last digit, and those that fall into a job that begins or ends outside the
counted window are shared out by time.
"""

# pyright: basic

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.distributions import Distribution, Packed, draw, pack, sample
from mirrorworld.simulation.flow.max_plus import (
    Times,
    fork_join_times,
    serial_times,
    server_times,
)
from mirrorworld.simulation.flow.model import UNBOUNDED, FlowError, FlowModel
from mirrorworld.simulation.flow.network import Network, beyond, network
from mirrorworld.simulation.flow.plan import plan
from mirrorworld.simulation.flow.results import Doing, Ending, Result
from mirrorworld.simulation.flow.streams import Purpose, compiled, stream_key, uniform
from mirrorworld.simulation.flow.summary import Counted, summarise

MOST_OPERATIONS: Final = 50_000_000
"""Part-operations kept at once: 1.2 GB of times."""


def why_not(model: FlowModel) -> str:
    """What of a model the recurrence does not cover; "" if it covers all of it."""
    try:
        network(model)
    except FlowError as error:
        return str(error)
    return ""


def line_samples(
    names: Sequence[str],
    distributions: Sequence[Distribution],
    parts: int,
    *,
    seed: int,
    replication: int = 0,
    purpose: Purpose = Purpose.PROCESS,
) -> NDArray[np.float64]:
    """[parts, K] times of the first parts of each stream, as every engine draws them; seconds."""
    out = np.empty((parts, len(names)))
    keys = np.array([stream_key(seed, replication, name, purpose) for name in names], np.uint64)
    _fill(pack(distributions), keys, out)
    return out


def run(
    model: FlowModel,
    *,
    seed: int,
    replications: int = 1,
    horizon_s: float = math.inf,
    warm_up_s: float = 0.0,
) -> Result:
    """Runs a model as the event engines do; counts what happens after the warm-up.

    Raises:
        FlowError: the recurrence does not cover the model, the run would not end or is too long
            for it, or the times contradict each other.
    """
    if not 0 <= warm_up_s < horizon_s:
        raise FlowError(f"warm-up {warm_up_s} s, horizon {horizon_s} s; give 0 ≤ warm-up < horizon")
    net = network(model)
    numbers = plan(model)
    counted = [
        _Replication(net, seed, replication, horizon_s, warm_up_s).counted()
        for replication in range(replications)
    ]
    return summarise(
        numbers, counted, engine="recurrence", seed=seed, horizon_s=horizon_s, warm_up_s=warm_up_s
    )


# --- runs ---------------------------------------------------------------------------------------


class _Replication:
    def __init__(
        self, net: Network, seed: int, replication: int, horizon_s: float, warm_up_s: float
    ) -> None:
        self.net, self.seed, self.replication = net, seed, replication
        self.horizon_s, self.warm_up_s = horizon_s, warm_up_s
        self.nodes = [net.model.nodes[i] for i in net.stations]

    def counted(self) -> Counted:
        net = self.net
        parts = self.first_guess()
        while True:
            if parts * len(self.nodes) > MOST_OPERATIONS:
                raise beyond(
                    net.model.name,
                    f"more than {MOST_OPERATIONS // len(self.nodes)} parts in a run",
                )
            work, repairs = self.samples(parts)
            arrivals = self.arrivals(parts)
            times = self.times(work + repairs, arrivals)
            came = [self.came(times, head, arrivals) for head in net.heads]
            latest = [one[-1] for one in came] if arrivals is None else [arrivals[-1]]
            if parts == net.limit or min(latest) > self.horizon_s:
                return self.count(times, work, repairs, arrivals, came)
            parts = min(2 * parts, net.limit)

    def first_guess(self) -> int:
        """Parts that should be enough."""
        if self.net.limit == UNBOUNDED and math.isinf(self.horizon_s):
            raise FlowError(
                f"{self.net.model.name}: never ends; give a horizon, or sources a limit"
            )
        if math.isinf(self.horizon_s):
            return self.net.limit
        slowest_s = max(node.process.mean() / node.servers for node in self.nodes)  # pyright: ignore
        for _, source, _, _ in self.net.heads:
            between = self.net.model.nodes[source].interarrival  # pyright: ignore
            slowest_s = max(slowest_s, between.mean() if between else 0.0)
        if slowest_s <= 0:
            raise FlowError(f"{self.net.model.name}: no time passes; give a station some work")
        return int(min(self.net.limit, 100 + 1.05 * self.horizon_s / slowest_s))

    def samples(self, parts: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[N, K] work and repairs in it."""
        names = [node.name for node in self.nodes]
        work = line_samples(
            names,
            [node.process for node in self.nodes],  # pyright: ignore
            parts,
            seed=self.seed,
            replication=self.replication,
        )
        if not np.isfinite(work).all():
            column = int(np.argwhere(~np.isfinite(work))[0, 1])
            raise FlowError(f"{self.net.model.name}/{names[column]}: a time that is no number")
        repairs = np.zeros_like(work)
        for i, node in enumerate(self.nodes):
            ways = node.breakdowns  # pyright: ignore
            if ways:
                keys = np.array(
                    [
                        [
                            stream_key(self.seed, self.replication, f"{node.name}/{way.name}", p)
                            for p in (Purpose.FAIL, Purpose.REPAIR)
                        ]
                        for way in ways
                    ],
                    np.uint64,
                )
                both = [how for way in ways for how in (way.between, way.repair)]
                column = np.ascontiguousarray(work[:, i])
                mended = np.zeros(parts)
                _break(pack(both), keys, column, mended)
                repairs[:, i] = mended
        return work, repairs

    def arrivals(self, parts: int) -> NDArray[np.float64] | None:
        """[N] times at the source; None: saturated."""
        _, source, _, _ = self.net.heads[0]
        node = self.net.model.nodes[source]
        between = node.interarrival  # pyright: ignore
        if between is None:
            return None
        gaps = line_samples(
            [node.name], [between], parts,
            seed=self.seed, replication=self.replication, purpose=Purpose.ARRIVE,
        )  # fmt: skip
        return np.add.accumulate(gaps[:, 0])

    def times(self, samples: NDArray[np.float64], arrivals: NDArray[np.float64] | None) -> Times:
        net = self.net
        if not net.is_serial:
            return fork_join_times(samples, net.edges)
        buffers = [capacity for _, _, capacity in net.edges]
        if max(net.servers) > 1:
            return server_times(samples, buffers, net.servers, arrivals)
        return serial_times(samples, buffers, arrivals)

    def count(
        self,
        times: Times,
        work: NDArray[np.float64],
        repairs: NDArray[np.float64],
        arrivals: NDArray[np.float64] | None,
        came: list[NDArray[np.float64]],
    ) -> Counted:
        net, model = self.net, self.net.model
        last_s = max(float(times.departure[:, i].max()) for i, _ in net.tails)
        is_over = len(work) == net.limit and last_s <= self.horizon_s
        end_s = last_s if is_over else self.horizon_s
        begin_s = min(self.warm_up_s, end_s)

        def inside(at: NDArray[np.float64]) -> float:
            return float(np.clip(at, begin_s, end_s).sum())

        def counts(at: NDArray[np.float64]) -> NDArray[np.bool_]:
            # Also what happens in the very instant at which a run begins.
            return np.asarray((at <= end_s) & ((at > begin_s) | (begin_s == 0)))

        doing: list[NDArray[np.float64]] = []
        content = np.zeros(len(model.nodes))
        waiting = np.zeros(len(model.nodes))
        jobs = np.zeros(len(model.nodes), np.int64)
        moved = self.moved(times)
        events = 0
        for i, at in enumerate(net.stations):
            node = self.nodes[i]
            span_s = np.clip(times.finish[:, i], begin_s, end_s) - np.clip(
                times.start[:, i], begin_s, end_s
            )
            total = work[:, i] + repairs[:, i]
            share = np.divide(repairs[:, i], total, out=np.zeros(len(work)), where=total > 0)
            down_s = float((span_s * share).sum())
            row = np.zeros(len(Doing))
            row[Doing.DOWN] = down_s
            row[Doing.BUSY] = float(span_s.sum()) - down_s
            row[Doing.BLOCKED] = inside(times.departure[:, i]) - inside(times.finish[:, i])
            servers = net.servers[i]
            row[Doing.STARVED] = max(0.0, (end_s - begin_s) * servers - row.sum())
            doing += [row / servers] * servers
            jobs[at] = int(counts(times.finish[:, i]).sum())
            events += int((times.finish[:, i] <= end_s).sum())
            # Parts of a job, then what it has become.
            content[at] += float(span_s.sum()) * max(1, len(node.takes))  # pyright: ignore
            outs = [moved[e] for e, edge in enumerate(net.edges) if edge[0] == i]
            for gone in outs or [times.departure[:, i]]:
                content[at] += inside(gone) - inside(times.finish[:, i])
        passed: dict[tuple[int, int], int] = {}
        for e, (a, b, _) in enumerate(net.edges):
            into = net.through[e] if net.through[e] >= 0 else net.stations[b]
            passed[net.stations[a], into] = int(counts(moved[e]).sum())
            if net.through[e] >= 0:
                gone = times.start[:, b]
                passed[net.through[e], net.stations[b]] = int(counts(gone).sum())
                content[net.through[e]] += inside(gone) - inside(moved[e])
                jobs[net.through[e]] = int(counts(gone).sum())
        entered = [times.start[:, i] for i in range(len(self.nodes))]
        for (i, source, buffer, _), enters in zip(net.heads, came, strict=True):
            if buffer >= 0:
                content[buffer] += inside(times.start[:, i]) - inside(enters)
                jobs[buffer] = int(counts(times.start[:, i]).sum())
                passed[buffer, net.stations[i]] = jobs[buffer]
            passed[source, buffer if buffer >= 0 else net.stations[i]] = int(counts(enters).sum())
            entered[i] = enters
            jobs[source] = int(counts(enters).sum())
            # A saturated source holds its next part as soon as the last has left.
            ready = np.concatenate(([0.0], enters[:-1])) if arrivals is None else arrivals
            waiting[source] = inside(enters) - inside(ready)
        for i, edge in enumerate(net.leads):
            if edge >= 0:
                entered[i] = entered[net.edges[edge][0]]
        leads: list[NDArray[np.float64]] = []
        lefts: list[NDArray[np.float64]] = []
        for i, drain in net.tails:
            since = entered[i] if times.order is None else entered[i][times.order]
            is_made = counts(times.departure[:, i])
            jobs[drain] += int(is_made.sum())
            passed[net.stations[i], drain] = int(is_made.sum())
            lefts.append(times.departure[is_made, i])
            leads.append(lefts[-1] - since[is_made])
        lead_s = np.concatenate(leads)[np.argsort(np.concatenate(lefts), kind="stable")]
        parts = model.part_types[:1]
        return Counted(
            ending=Ending.EXHAUSTED if is_over else Ending.HORIZON,
            detail="",
            end_s=end_s,
            events=events,
            made=np.array([len(lead_s)], np.int64),
            scrapped=0,
            lost=0,
            late=int(sum((lead_s > part.due_s).sum() for part in parts)),
            lead_s=lead_s,
            doing_s=np.array(doing),
            content=content + waiting,
            wip=float(content.sum()),
            jobs=jobs,
            moved=self.over_links(passed),
            scrapped_at=np.zeros(len(model.nodes), np.int64),
            members=np.zeros(0),
            carrying_s=np.zeros(len(model.nodes)),
            material_cost=sum(part.material_cost for part in parts) * len(lead_s),
            material_carbon_kg=sum(part.material_carbon_kg for part in parts) * len(lead_s),
        )

    def over_links(self, passed: dict[tuple[int, int], int]) -> NDArray[np.int64]:
        """[links] of what passed between two nodes of the model."""
        at = {node.name: i for i, node in enumerate(self.net.model.nodes)}
        links = self.net.model.links
        return np.array([passed[at[x.source], at[x.target]] for x in links], np.int64)

    def came(
        self,
        times: Times,
        head: tuple[int, int, int, int],
        arrivals: NDArray[np.float64] | None,
    ) -> NDArray[np.float64]:
        """[N] when parts leave their source."""
        station, _, buffer, capacity = head
        start = times.start[:, station]
        if buffer < 0:
            return start
        came = np.zeros(len(start)) if arrivals is None else arrivals.copy()
        if capacity < len(start):
            came[capacity:] = np.maximum(came[capacity:], start[: len(start) - capacity])
        return came

    def moved(self, times: Times) -> list[NDArray[np.float64]]:
        """[E][N] when each part leaves its station over an edge."""
        found: list[NDArray[np.float64]] = []
        for a, b, capacity in self.net.edges:
            if self.net.is_serial:
                found.append(times.departure[:, a])
                continue
            gone = times.finish[:, a].copy()
            if capacity < len(gone):
                np.maximum(
                    gone[capacity:],
                    times.start[: len(gone) - capacity, b],
                    out=gone[capacity:],
                )
            found.append(gone)
        return found


@compiled
def _fill(packed: Packed, keys: Any, out: Any) -> None:
    for i in range(out.shape[1]):
        code, key = packed.code[i], keys[i]
        p0, p1, p2, p3 = packed.p[i, 0], packed.p[i, 1], packed.p[i, 2], packed.p[i, 3]
        first, count = packed.first[i], packed.count[i]
        if code == 3:
            # As in `sample`; without the call, which costs more than the draw.
            for n in range(len(out)):
                out[n, i] = -p0 * math.log(uniform(key, n))
        elif code == 11:
            for n in range(len(out)):
                out[n, i] = draw(packed, i, key, n)
        else:
            for n in range(len(out)):
                out[n, i] = sample(code, p0, p1, p2, p3, packed.table, first, count, key, n)


@compiled
def _break(packed: Packed, keys: Any, work: Any, repairs: Any) -> None:
    """Adds up the repairs in each job of one machine. Rows 2m and 2m + 1 of `packed` are the time
    to failure and the repair of way m, drawn in turn; the end of a job goes before a failure at
    the same time."""
    modes = len(keys)
    age = np.empty(modes)
    count = np.ones(modes, np.int64)
    for m in range(modes):
        age[m] = draw(packed, 2 * m, keys[m, 0], 0)
    for n in range(len(work)):
        left = work[n]
        while True:
            first = 0
            for m in range(1, modes):
                if age[m] < age[first]:
                    first = m
            step = min(left, age[first])
            fails = age[first] < left
            for m in range(modes):
                age[m] -= step
            left -= step
            if not fails:
                break
            repairs[n] += draw(packed, 2 * first + 1, keys[first, 1], count[first] - 1)
            age[first] = draw(packed, 2 * first, keys[first, 0], count[first])
            count[first] += 1
