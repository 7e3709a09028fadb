"""Exact answers for small lines: the steady state of their Markov chains.

Exponential serial lines with blocking after service, several servers, finite buffers and
breakdowns on operating time, as long as they have few enough states; Bernoulli lines; Buzacott's
line of two machines that fail; M/M/c. The other engines are measured against these.

Knows no model of a line (`engines.py` reads them) and no chance.
"""

# scipy's stubs do not know its sparse arrays well.
# pyright: basic

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorworld.simulation.flow.model import FlowError

MOST_STATES: Final = 30_000
"""Factorising the chain of four stations with 12,000 states takes a second, 36,000 states 12 s."""


@dataclass(frozen=True, slots=True, eq=False)
class SteadyState:
    """A line in the long run. Arrays are by station; shares of time are a server's mean."""

    throughput_per_s: float
    wip: float
    """Mean parts in the line."""
    busy: NDArray[np.float64]
    blocked: NDArray[np.float64]
    starved: NDArray[np.float64]
    down: NDArray[np.float64]
    content: NDArray[np.float64]
    """[K] mean parts in the station."""
    queue: NDArray[np.float64]
    """[K] mean parts in the buffer before it; of the first, those that wait to enter."""
    lost_per_s: float
    """Arrivals that find no room."""
    states: int

    @property
    def lead_time_s(self) -> float:
        """Mean time in the line (Little's law)."""
        return self.wip / self.throughput_per_s if self.throughput_per_s else math.inf


def exponential_line(
    rates_per_s: ArrayLike,
    buffers: ArrayLike,
    *,
    servers: ArrayLike | None = None,
    failures_per_s: ArrayLike | None = None,
    repairs_per_s: ArrayLike | None = None,
    arrivals_per_s: float = math.inf,
    queue: int = 0,
    most_states: int = MOST_STATES,
) -> SteadyState:
    """The steady state of a serial line with exponential times.

    Args:
        rates_per_s: [K] of each server.
        buffers: [K - 1] places between the stations.
        servers: [K]; None: one each.
        failures_per_s: [K] while working; 0: never. Only of stations with one server.
        repairs_per_s: [K].
        arrivals_per_s: at the first station; infinite: it always has a part.
        queue: with arrivals, places to wait before the first station; who finds none is lost.
        most_states: how many the chain may have.

    Raises:
        FlowError: too many states, or numbers that fit no line.
    """
    line = _checked(
        rates_per_s, buffers, servers, failures_per_s, repairs_per_s, arrivals_per_s, queue
    )
    sizes = [
        int(line.room[i]) + int(line.servers[i]) + int(line.holds[i - 1]) + 1
        for i in range(1, line.k)
    ]
    count = math.prod(sizes) * 2 ** int((line.failures > 0).sum())
    if count > 4 * most_states:
        raise FlowError(
            f"the chain has up to {count:.3g} states, more than {most_states}; simulate it, or "
            "take fewer stations or smaller buffers"
        )
    x, up = _states(line, sizes)
    source, target, rate = _transitions(line, x, up)
    kept, generator = _closed(len(x), source, target, rate)
    if len(kept) > most_states:
        raise FlowError(
            f"the chain has {len(kept)} states, more than {most_states}; simulate it, or take "
            "fewer stations or smaller buffers"
        )
    return _summary(line, x[kept], up[kept], _stationary(generator))


def bernoulli_line(p: ArrayLike, buffers: ArrayLike, *, most_states: int = 4_000) -> float:
    """Parts a slot of a line whose machine i works in a slot with probability p[i].

    A machine takes from the buffer what was there when the slot began, and is blocked if the
    buffer behind it is full and the next machine takes nothing in this slot (Li, Meerkov:
    Production Systems Engineering, 2009, §2.2.2). The first always has a part, the last always
    has room.

    Raises:
        FlowError: too many states, or numbers that are no probabilities.
    """
    chance = np.asarray(p, np.float64).reshape(-1)
    room = np.asarray(buffers, np.int64).reshape(-1)
    if not ((chance > 0) & (chance <= 1)).all() or len(room) != len(chance) - 1:
        raise FlowError(f"p {p}, buffers {buffers}; give K chances above 0 and K - 1 buffers")
    if (room < 1).any():
        raise FlowError(f"buffers {room.tolist()}; a Bernoulli line has 1 place or more")
    sizes = room + 1
    if math.prod(sizes.tolist()) > most_states:
        raise FlowError(f"{math.prod(sizes.tolist())} states, more than {most_states}")
    held = np.array(list(itertools.product(*(range(n) for n in sizes))), np.int64).reshape(
        -1, len(room)
    )
    strides = np.array([math.prod(sizes[i + 1 :].tolist()) for i in range(len(room))], np.int64)
    chain = np.zeros((len(held), len(held)))
    made = np.zeros(len(held))
    for works in itertools.product((False, True), repeat=len(chance)):
        weight = math.prod(c if w else 1 - c for c, w in zip(chance.tolist(), works, strict=True))
        moves = np.zeros((len(held), len(chance)), bool)
        for i in reversed(range(len(chance))):
            moves[:, i] = works[i]
            if i:
                moves[:, i] &= held[:, i - 1] > 0
            if i < len(room):
                moves[:, i] &= (held[:, i] < room[i]) | moves[:, i + 1]
        after = held + moves[:, :-1] - moves[:, 1:]
        np.add.at(chain, (np.arange(len(held)), after @ strides), weight)
        made += weight * moves[:, -1]
    return float(_stationary_of_chain(chain) @ made)


def buzacott_line(failure: ArrayLike, repair: ArrayLike, places: int) -> float:
    """Parts a cycle of two machines of equal cycle time that fail, with a buffer between.

    In each cycle a machine that is up and neither starved nor blocked fails with its chance of
    failure, and one that is down is repaired with its chance of repair; those that are then up
    make a part. Machine 1 is blocked at cycles that begin with `places` parts in the buffer,
    machine 2 starved at those that begin with none (Buzacott 1967; Gershwin: Manufacturing
    Systems Engineering, 1994, §3.2).

    Raises:
        FlowError: a number is no probability, or there is no place.
    """
    fail, mend = np.asarray(failure, np.float64), np.asarray(repair, np.float64)
    if fail.shape != (2,) or mend.shape != (2,) or places < 1:
        raise FlowError("give two chances of failure, two of repair, and one place or more")
    if not ((fail >= 0) & (fail <= 1)).all() or not ((mend > 0) & (mend <= 1)).all():
        raise FlowError(f"failure {failure}, repair {repair}: give probabilities, repair above 0")
    states = list(itertools.product(range(places + 1), (False, True), (False, True)))
    row = {state: i for i, state in enumerate(states)}
    chain = np.zeros((len(states), len(states)))
    made = np.zeros(len(states))
    for (held, *up), i in row.items():
        can = (held < places, held > 0)
        for new in itertools.product((False, True), repeat=2):
            weight = 1.0
            for m in range(2):
                is_down = fail[m] * can[m] if up[m] else 1 - mend[m]
                weight *= 1 - is_down if new[m] else is_down
            if weight == 0:
                continue
            first, second = (new[m] and can[m] for m in range(2))
            chain[i, row[held + first - second, new[0], new[1]]] += weight
            made[i] += weight * second
    return float(_stationary_of_chain(chain) @ made)


@dataclass(frozen=True, slots=True)
class Queue:
    """M/M/c in the long run."""

    p_wait: float
    """That an arrival must wait (Erlang C)."""
    queue: float
    """Mean parts that wait."""
    wait_s: float
    busy: float
    """Share of time of a server."""


def m_m_c(arrivals_per_s: float, rate_per_s: float, servers: int) -> Queue:
    """Poisson arrivals at servers with exponential times and a queue without limit (Erlang).

    Raises:
        FlowError: the servers cannot keep up.
    """
    if not (arrivals_per_s > 0 and rate_per_s > 0 and servers >= 1):
        raise FlowError("give rates above 0 and one server or more")
    load = arrivals_per_s / rate_per_s
    if load >= servers:
        raise FlowError(f"load {load} of {servers} servers: the queue grows without end")
    blocking = 1.0
    for n in range(1, servers + 1):
        blocking = load * blocking / (n + load * blocking)
    busy = load / servers
    p_wait = blocking / (1 - busy * (1 - blocking))
    queue = p_wait * busy / (1 - busy)
    return Queue(p_wait, queue, queue / arrivals_per_s, busy)


def splits(places: int, buffers: int) -> Sequence[tuple[int, ...]]:
    """All ways to share out places among buffers, in order."""
    if buffers == 1:
        return [(places,)]
    return [
        (first, *rest)
        for first in range(places + 1)
        for rest in splits(places - first, buffers - 1)
    ]


# --- the chain of an exponential line ----------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """Stations with the source, if there is one, as station 0; it keeps nothing that is done."""

    k: int
    rates: NDArray[np.float64]
    servers: NDArray[np.int64]
    holds: NDArray[np.int64]
    """[k] finished parts that may block a station: its servers; of a source none."""
    room: NDArray[np.int64]
    """[k] places before each; of the first 0."""
    failures: NDArray[np.float64]
    repairs: NDArray[np.float64]
    has_source: bool


def _checked(
    rates_per_s: ArrayLike,
    buffers: ArrayLike,
    servers: ArrayLike | None,
    failures_per_s: ArrayLike | None,
    repairs_per_s: ArrayLike | None,
    arrivals_per_s: float,
    queue: int,
) -> _Line:
    rates = np.asarray(rates_per_s, np.float64).reshape(-1)
    room = np.asarray(buffers, np.int64).reshape(-1)
    k = len(rates)
    counts = np.ones(k, np.int64) if servers is None else np.asarray(servers, np.int64)
    fails = np.zeros(k) if failures_per_s is None else np.asarray(failures_per_s, np.float64)
    mends = np.ones(k) if repairs_per_s is None else np.asarray(repairs_per_s, np.float64)
    if not k or not (len(room) == k - 1 and len(counts) == len(fails) == len(mends) == k):
        raise FlowError(f"{k} rates, {len(room)} buffers: give K of each and K - 1 buffers")
    if not (np.isfinite(rates).all() and (rates > 0).all() and arrivals_per_s > 0):
        raise FlowError(f"rates {rates.tolist()}, arrivals {arrivals_per_s}: give numbers above 0")
    if (room < 0).any() or (counts < 1).any() or queue < 0:
        raise FlowError("a buffer below 0, or a station without a server")
    if not (np.isfinite(fails).all() and (fails >= 0).all() and (mends[fails > 0] > 0).all()):
        raise FlowError("give failures of 0 or more and repairs above 0")
    if (counts[fails > 0] > 1).any():
        raise FlowError("a station that fails has one server here; simulate this line")
    has_source = math.isfinite(arrivals_per_s)
    if not has_source:
        return _Line(k, rates, counts, counts, np.array([0, *room]), fails, mends, False)
    return _Line(
        k + 1,
        np.array([arrivals_per_s, *rates]),
        np.array([1, *counts]),
        np.array([0, *counts]),
        np.array([0, queue, *room]),
        np.array([0.0, *fails]),
        np.array([1.0, *mends]),
        True,
    )


def _where(line: _Line, x: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """[states, k] parts in service, finished and blocked in the station, and waiting before it.

    x[:, i] counts the parts that station i has finished and station i + 1 has not. They are in
    service there as far as servers are free of blocked parts, then in the buffer, and the rest
    still blocks station i.
    """
    n = len(x)
    serving = np.zeros((n, line.k), np.int64)
    blocked = np.zeros((n, line.k), np.int64)
    waiting = np.zeros((n, line.k), np.int64)
    for i in range(line.k - 1, 0, -1):
        serving[:, i] = np.minimum(line.servers[i] - blocked[:, i], x[:, i - 1])
        rest = x[:, i - 1] - serving[:, i]
        waiting[:, i] = np.minimum(line.room[i], rest)
        blocked[:, i - 1] = rest - waiting[:, i]
    serving[:, 0] = line.servers[0] - blocked[:, 0]
    if line.has_source:
        # It pauses while there is no room: for exponential times the same as losing arrivals.
        is_full = (waiting[:, 1] >= line.room[1]) & (
            serving[:, 1] + blocked[:, 1] >= line.servers[1]
        )
        serving[:, 0] = np.where(is_full, 0, 1)
    return serving, blocked, waiting


def _states(line: _Line, sizes: list[int]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """All counts that fit, with all stations that fail up or down."""
    x = np.indices(sizes).reshape(len(sizes), -1).T if sizes else np.zeros((1, 0), np.int64)
    serving, blocked, _ = _where(line, x)
    x = x[(blocked <= line.holds).all(axis=1) & (serving >= 0).all(axis=1)]
    failing = np.flatnonzero(line.failures > 0)
    ups = np.ones((2 ** len(failing), line.k), bool)
    if len(failing):
        ups[:, failing] = np.indices((2,) * len(failing)).reshape(len(failing), -1).T == 0
    return np.repeat(x, len(ups), axis=0), np.tile(ups, (len(x), 1))


def _transitions(
    line: _Line, x: NDArray[np.int64], up: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    serving, _, _ = _where(line, x)
    sizes = [int(n) for n in x.max(axis=0, initial=0) + 2] + [2] * line.k
    total = math.prod(sizes)
    strides = np.array(
        list(itertools.accumulate(reversed(sizes[1:]), lambda a, b: a * b, initial=1))[::-1],
        np.int64,
    )

    def code(x: NDArray[np.int64], up: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.hstack([x, up]) @ strides

    if total >= 2**62:
        raise FlowError("too many stations for an exact chain; simulate this line")
    codes = code(x, up)
    ranks = np.argsort(codes)
    ordered = codes[ranks]
    sources: list[NDArray[np.int64]] = []
    targets: list[NDArray[np.int64]] = []
    rates: list[NDArray[np.float64]] = []

    def add(rows: NDArray[np.int64], x: NDArray[np.int64], up: NDArray[np.bool_], rate: Any):
        at = np.searchsorted(ordered, code(x, up))
        sources.append(rows)
        targets.append(ranks[at])
        rates.append(np.broadcast_to(np.asarray(rate, np.float64), rows.shape))

    for i in range(line.k):
        rows = np.flatnonzero((serving[:, i] > 0) & up[:, i])
        after = x[rows].copy()
        if i > 0:
            after[:, i - 1] -= 1
        if i < line.k - 1:
            after[:, i] += 1
        add(rows, after, up[rows], line.rates[i] * serving[rows, i])
        if line.failures[i] > 0:
            for is_up, some, rate in (
                (False, rows, line.failures[i]),
                (True, np.flatnonzero(~up[:, i]), line.repairs[i]),
            ):
                changed = up[some].copy()
                changed[:, i] = is_up
                add(some, x[some], changed, rate)
    return np.concatenate(sources), np.concatenate(targets), np.concatenate(rates)


def _closed(
    states: int,
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    rate: NDArray[np.float64],
) -> tuple[NDArray[np.int64], Any]:
    """States that can be reached from the empty line (the first), and their generator."""
    from scipy import sparse
    from scipy.sparse import csgraph

    flow = sparse.csr_array((rate, (source, target)), shape=(states, states))
    kept = np.sort(csgraph.breadth_first_order(flow, 0, return_predecessors=False))
    inner = flow[kept][:, kept]
    return kept, inner - sparse.diags_array(inner.sum(axis=1))


def _stationary(generator: Any) -> NDArray[np.float64]:
    """Probabilities p with p·Q = 0 that add up to 1."""
    from scipy.sparse import linalg

    n = generator.shape[0]
    if n == 1:
        return np.ones(1)
    # The first state's probability is set to 1, and its balance, which follows from the others,
    # left out.
    system = generator.T.tocsc()
    inner, right = system[1:, 1:].tocsc(), -system[1:, [0]].toarray()[:, 0]
    rest = linalg.spsolve(inner, right)
    p = np.concatenate(([1.0], np.asarray(rest)))
    p /= p.sum()
    error = float(np.abs(system @ p).max())
    scale = float(np.abs(generator.diagonal()).max())
    if not error <= 1e-9 * scale or p.min() < -1e-9:
        raise FlowError(f"the chain of {n} states was not solved (residual {error:.1e})")
    return p


def _stationary_of_chain(chain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities p with p·P = p, of the states that the first one leads to."""
    from scipy import sparse
    from scipy.sparse import csgraph

    kept = np.sort(csgraph.breadth_first_order(sparse.csr_array(chain), 0)[0])
    inner = chain[np.ix_(kept, kept)]
    found = np.zeros(len(chain))
    found[kept] = _stationary(sparse.csr_array(inner - np.eye(len(inner))))
    return found


def _summary(
    line: _Line, x: NDArray[np.int64], up: NDArray[np.bool_], p: NDArray[np.float64]
) -> SteadyState:
    serving, blocked, waiting = _where(line, x)
    working = serving * up
    first = int(line.has_source)
    counts = line.servers[first:]
    busy = (p @ working)[first:] / counts
    down = (p @ (serving * ~up))[first:] / counts
    stuck = (p @ blocked)[first:] / counts
    content = p @ (serving + blocked)
    queue = p @ waiting
    made = float(p @ working[:, -1]) * float(line.rates[-1])
    lost = float(p @ (serving[:, 0] == 0)) * float(line.rates[0]) if line.has_source else 0.0
    return SteadyState(
        throughput_per_s=made,
        wip=float(content[first:].sum() + queue[1 + first :].sum()),
        busy=busy,
        blocked=stuck,
        starved=1 - busy - down - stuck,
        down=down,
        content=content[first:],
        queue=queue[first:],
        lost_per_s=lost,
        states=len(p),
    )
