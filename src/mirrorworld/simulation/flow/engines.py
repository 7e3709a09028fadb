"""Which engine runs a model, and why: exact chain, recurrence, compiled kernel, plain loop.

The exact chain tells the long run, without chance: it is taken where no horizon is given and
every time is exponential. The recurrence takes lines without choices, the kernel everything, the
plain loop everything where numba is not installed. Events, recurrence and kernel draw the same
numbers from the same streams, so whoever runs a model, it is the same run.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from mirrorworld.simulation.flow import kernel, markov, recurrence, reference
from mirrorworld.simulation.flow.distributions import Distribution, Kind
from mirrorworld.simulation.flow.model import UNBOUNDED, FlowError, FlowModel, Source, Station
from mirrorworld.simulation.flow.network import Network, network
from mirrorworld.simulation.flow.reference import MOST_EVENTS
from mirrorworld.simulation.flow.results import Doing, Ending, Result
from mirrorworld.simulation.flow.streams import HAS_NUMBA

ENGINES: Final = ("auto", "markov", "recurrence", "kernel", "reference")


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, and why it and not one before it."""

    engine: str
    reason: str


def why(
    model: FlowModel,
    *,
    horizon_s: float = math.inf,
    trace_rows: int = 0,
    critical: bool = False,
) -> Choice:
    """The engine that `run` takes for a model with engine "auto"."""
    no_chain = _no_chain(model)
    if math.isinf(horizon_s) and not (no_chain or trace_rows or critical):
        return Choice("markov", "every time is exponential, the chain is small, no end is given")
    if not HAS_NUMBA:
        return Choice("reference", "numba is not installed: nothing compiled can run")
    if trace_rows or critical:
        return Choice("kernel", "a trace or causes are asked for, which only events have")
    no_recurrence = recurrence.why_not(model)
    if not no_recurrence:
        return Choice("recurrence", "a line without choices: times follow from times")
    return Choice("kernel", no_recurrence)


def run(
    model: FlowModel,
    *,
    seed: int,
    replications: int = 1,
    horizon_s: float = math.inf,
    warm_up_s: float = 0.0,
    trace_rows: int = 0,
    max_events: int = MOST_EVENTS,
    critical: bool = False,
    engine: str = "auto",
) -> Result:
    """Runs a model by the engine that fits it, or by the one named; `Result.engine` says which.

    The chain's result has one row, of the long run: rates and means. What it does not tell (95 %
    quantiles, sums over a run) is NaN there, counts are 0.

    Raises:
        FlowError: there is no such engine, it does not cover the model, or the run never ends.
        RuntimeError: a compiled engine is named and numba is not installed.
    """
    if engine not in ENGINES:
        raise FlowError(f"engine '{engine}'; there is {', '.join(ENGINES)}")
    choice = engine
    if engine == "auto":
        choice = why(
            model, horizon_s=horizon_s, trace_rows=trace_rows, critical=critical
        ).engine  # fmt: skip
    if choice == "markov":
        return _chain(model, seed)
    if choice == "recurrence":
        try:
            return recurrence.run(
                model,
                seed=seed,
                replications=replications,
                horizon_s=horizon_s,
                warm_up_s=warm_up_s,
            )
        except FlowError:
            # Too long for its memory, a time that is no number, no end: events say it better.
            if engine != "auto":
                raise
            choice = "kernel"
    endless = next((n for n in model.nodes if isinstance(n, Source) and n.limit == UNBOUNDED), None)
    if math.isinf(horizon_s) and endless and max_events == MOST_EVENTS:
        raise FlowError(
            f"{model.name}/{endless.name}: never ends; give a horizon, or the source a limit"
        )
    return (kernel if choice == "kernel" else reference).run(
        model,
        seed=seed,
        replications=replications,
        horizon_s=horizon_s,
        warm_up_s=warm_up_s,
        trace_rows=trace_rows,
        max_events=max_events,
        critical=critical,
    )


# --- the exact chain ---------------------------------------------------------------------------


def _network(model: FlowModel) -> Network:
    """As the recurrence sees it, but for the source's queue, whose bound the chain knows."""
    nodes = tuple(
        dataclasses.replace(node, queue=UNBOUNDED) if isinstance(node, Source) else node
        for node in model.nodes
    )
    return network(dataclasses.replace(model, nodes=nodes))


def _is_exponential(how: Distribution | None) -> bool:
    return how is None or how.kind is Kind.EXPONENTIAL


def _no_chain(model: FlowModel) -> str:
    """What keeps a model from being solved as a chain; "" if nothing does."""
    try:
        net = _network(model)
    except FlowError as error:
        return str(error)
    source = next(node for node in model.nodes if isinstance(node, Source))
    if not net.is_serial or net.heads[0][2] != -1:
        return f"{model.name}: not a serial line that begins at its first station"
    if net.limit != UNBOUNDED:
        return f"{model.name}/{source.name}: its parts come to an end"
    if source.interarrival is not None and source.queue == UNBOUNDED:
        return f"{model.name}/{source.name}: its queue has no bound"
    if not _is_exponential(source.interarrival):
        return f"{model.name}/{source.name}: its times are not exponential"
    states = 1.0
    for station, (_, _, room) in zip(net.stations[1:], net.edges, strict=True):
        node = model.nodes[station]
        assert isinstance(node, Station)
        states *= room + node.servers + 2
    for station in net.stations:
        node = model.nodes[station]
        assert isinstance(node, Station)
        times = [node.process, *(x for b in node.breakdowns for x in (b.between, b.repair))]
        if not all(map(_is_exponential, times)):
            return f"{model.name}/{node.name}: its times are not exponential"
        if len(node.breakdowns) > (node.servers == 1):
            return f"{model.name}/{node.name}: more ways to fail than the chain knows"
        states *= 2 ** len(node.breakdowns)
    if states > markov.MOST_STATES:
        return f"{model.name}: about {states:.3g} states, too many for a chain"
    return ""


def _chain(model: FlowModel, seed: int) -> Result:
    reason = _no_chain(model)
    if reason:
        raise FlowError(f"{reason}; simulate it")
    net = _network(model)
    stations = [model.nodes[i] for i in net.stations]
    source = next(node for node in model.nodes if isinstance(node, Source))
    assert all(isinstance(node, Station) for node in stations)
    fails = [node.breakdowns for node in stations]  # pyright: ignore
    between = source.interarrival
    found = markov.exponential_line(
        [1 / node.process.mean() for node in stations],  # pyright: ignore
        [room for _, _, room in net.edges],
        servers=list(net.servers),
        failures_per_s=[1 / b[0].between.mean() if b else 0.0 for b in fails],
        repairs_per_s=[1 / b[0].repair.mean() if b else 1.0 for b in fails],
        arrivals_per_s=math.inf if between is None else 1 / between.mean(),
        queue=0 if between is None else source.queue,
    )
    shares = np.zeros((1, len(model.nodes), len(Doing)))
    content = np.zeros((1, len(model.nodes)))
    for row, station in enumerate(net.stations):
        shares[0, station, Doing.BUSY] = found.busy[row]
        shares[0, station, Doing.BLOCKED] = found.blocked[row]
        shares[0, station, Doing.STARVED] = found.starved[row]
        shares[0, station, Doing.DOWN] = found.down[row]
        content[0, station] = found.content[row]
        if row and net.through[row - 1] >= 0:
            content[0, net.through[row - 1]] = found.queue[row]
    unknown, none = np.full(1, np.nan), np.zeros(1, np.int64)
    return Result(
        model=model.name,
        engine="markov",
        seed=seed,
        horizon_s=math.inf,
        warm_up_s=0.0,
        ending=(Ending.HORIZON,),
        detail=("",),
        nodes=tuple(node.name for node in model.nodes),
        events=none,
        made=np.zeros((1, len(model.types)), np.int64),
        scrapped=none,
        lost=none,
        throughput_per_s=np.array([found.throughput_per_s]),
        wip=np.array([found.wip]),
        lead_time_s=np.array([found.lead_time_s]),
        lead_time_p95_s=unknown,
        late=none,
        shares=shares,
        content=content,
        jobs=np.zeros((1, len(model.nodes)), np.int64),
        moved=np.zeros((1, len(model.links)), np.int64),
        scrapped_at=np.zeros((1, len(model.nodes)), np.int64),
        pool_use=np.zeros((1, 0)),
        fleet_use=np.zeros((1, 0)),
        energy_j=unknown,
        carbon_kg=unknown,
        cost=unknown,
    )
