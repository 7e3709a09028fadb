"""The line of the flow bench as processes of SimPy and salabim, each in its own usual way."""

# Neither library has type stubs.
# pyright: basic

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray


def simpy_line(samples: NDArray[np.float64], places: int) -> dict[str, Any]:
    """Departures [N, K] of a saturated line, events, CPU seconds."""
    import simpy

    n, k = samples.shape
    times = samples.tolist()
    env = simpy.Environment()
    buffers = [simpy.Store(env, places) for _ in range(k - 1)]
    left = np.zeros((n, k))

    def serve(i: int) -> Any:
        for part in range(n):
            if i > 0:
                yield buffers[i - 1].get()
            yield env.timeout(times[part][i])
            if i < k - 1:
                yield buffers[i].put(part)
            left[part, i] = env.now

    for i in range(k):
        env.process(serve(i))
    began = time.process_time()
    env.run()
    cpu_s = time.process_time() - began
    # Every event that SimPy schedules takes a number.
    return {"left": left, "events": next(env._eid), "cpu_s": cpu_s}


def salabim_line(samples: NDArray[np.float64], places: int) -> dict[str, Any]:
    """Departures [N, K] of a saturated line, events, CPU seconds."""
    import salabim

    n, k = samples.shape
    times = samples.tolist()

    class Counting(salabim.Environment):
        steps = 0

        def step(self) -> None:
            self.steps += 1
            super().step()

    env = Counting(trace=False, yieldless=False)
    buffers = [salabim.Store(f"buffer {i}", capacity=places, env=env) for i in range(k - 1)]
    # Stores hold components; these do nothing.
    tokens = [salabim.Component(env=env, process="") for _ in range(n)]
    left = np.zeros((n, k))

    class Server(salabim.Component):
        def setup(self, i: int) -> None:
            self.i = i

        def process(self) -> Any:
            i = self.i
            for part in range(n):
                if i > 0:
                    yield self.from_store(buffers[i - 1])
                yield self.hold(times[part][i])
                if i < k - 1:
                    yield self.to_store(buffers[i], tokens[part])
                left[part, i] = self.env.now()

    for i in range(k):
        Server(f"server {i}", i=i, env=env)
    began = time.process_time()
    env.run()
    return {"left": left, "events": env.steps, "cpu_s": time.process_time() - began}
