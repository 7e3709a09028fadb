"""Lines as processes of SimPy, written after the rules of the model and nothing else."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import simpy


def simpy_line(
    samples: np.ndarray, buffers: Any, servers: Any = None, arrivals: Any = None
) -> np.ndarray:
    """[N, K] departures of each station, in their order. A part finished at a station keeps its
    server until the buffer, or a free server of the next station, takes it. `arrivals` gives when
    each part joins a queue without limit before the first station."""
    n, k = samples.shape
    env = simpy.Environment()
    # Where there is no place between two stations, the server that is free asks for the part.
    stores: list[Any] = [simpy.Store(env, capacity=max(int(b), 1)) for b in buffers]
    asks: list[Any] = [simpy.Store(env) if b == 0 else None for b in buffers]
    leave: list[list[float]] = [[] for _ in range(k)]
    begun = [0] * k
    queue = simpy.Store(env)

    def arrive() -> Any:
        for at in arrivals:
            yield env.timeout(at - env.now)
            yield queue.put(True)

    def serve(i: int) -> Any:
        while True:
            if i and asks[i - 1] is not None:
                yield asks[i - 1].put(True)
            if i:
                yield stores[i - 1].get()
            elif arrivals is not None:
                yield queue.get()
            if begun[i] == n:
                return
            s = samples[begun[i], i]
            begun[i] += 1
            yield env.timeout(s)
            if i < k - 1:
                if asks[i] is not None:
                    yield asks[i].get()
                yield stores[i].put(True)
            leave[i].append(env.now)

    if arrivals is not None:
        env.process(arrive())
    for i in range(k):
        for _ in range(1 if servers is None else servers[i]):
            env.process(serve(i))
    env.run()
    return np.array(leave).T


def simpy_fork_join(samples: np.ndarray, edges: Any) -> tuple[np.ndarray, np.ndarray]:
    """[N, K] starts and departures of a network whose jobs take and give one part an edge."""
    n, k = samples.shape
    env = simpy.Environment()
    # Of each edge: parts in the buffer, parts that wait in the station before it, and who is to
    # be told of a change.
    held = [0] * len(edges)
    waiting: list[deque[Any]] = [deque() for _ in edges]
    changed = [env.event() for _ in range(k)]
    start, leave = np.zeros((n, k)), np.zeros((n, k))

    def tell(i: int) -> None:
        changed[i].succeed()
        changed[i] = env.event()

    def there(e: int) -> bool:
        return held[e] > 0 or (edges[e][2] == 0 and len(waiting[e]) > 0)

    def take(e: int) -> None:
        if edges[e][2] == 0:
            waiting[e].popleft().succeed()
            return
        held[e] -= 1
        if waiting[e]:
            held[e] += 1
            waiting[e].popleft().succeed()

    def give(e: int) -> Any:
        gone = env.event()
        if held[e] < edges[e][2]:
            held[e] += 1
            gone.succeed()
        else:
            waiting[e].append(gone)
        return gone

    def serve(i: int) -> Any:
        into = [e for e, edge in enumerate(edges) if edge[1] == i]
        out = [e for e, edge in enumerate(edges) if edge[0] == i]
        for job in range(n):
            while not all(there(e) for e in into):
                yield changed[i]
            for e in into:
                take(e)
            start[job, i] = env.now
            yield env.timeout(samples[job, i])
            gone = [give(e) for e in out]
            for e in out:
                tell(edges[e][1])
            if gone:
                yield simpy.AllOf(env, gone)
            leave[job, i] = env.now

    for i in range(k):
        env.process(serve(i))
    env.run()
    return start, leave
