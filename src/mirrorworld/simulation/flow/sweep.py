"""Very many designs of a serial line, compared on the same samples.

Each design scales the service times of the stations and sets the buffers between them. Designs
are made and run in chunks, so that a sweep shows its progress, can be stopped and goes on later
where it stopped. The best are run again by an event engine, which shares no line of code with the
recurrence that found them.
"""

# pyright: basic

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.max_plus import check_samples, departures, lanes
from mirrorworld.simulation.flow.model import FlowError, FlowModel, Source, Station, line
from mirrorworld.simulation.flow.recurrence import line_samples
from mirrorworld.simulation.flow.results import Ending, Result

CHUNK: Final = 4_096
MOST_DESIGNS: Final = 100_000_000
"""Two numbers are kept of each: 1.6 GB."""
MOST_OPERATIONS: Final = 10**14
"""Part-operations: some two days of one core."""
PER_CPU_S: Final = 5e8
"""Part-operations that a core does in a second, for telling how long a sweep takes."""

Designs = Callable[[int, int], tuple[NDArray[np.float64], NDArray[np.int64]]]
"""(first, how many) -> scales [n, K], buffers [n, K - 1]. The same for the same numbers."""


@dataclass(slots=True, eq=False)
class Sweep:
    """What is known of the designs so far."""

    count: int
    chunk: int
    fingerprint: str
    """Of samples and warm-up: a sweep goes on only with the same."""
    done: NDArray[np.bool_]
    """[chunks]"""
    throughput_per_s: NDArray[np.float64]
    """[count] NaN: not yet."""
    lead_s: NDArray[np.float64]
    """[count] mean time in the line."""
    cpu_s: float = 0.0

    @property
    def designs_done(self) -> int:
        """How many have been run."""
        last = self.count - (len(self.done) - 1) * self.chunk
        return int(self.done[:-1].sum()) * self.chunk + (last if self.done[-1] else 0)

    @property
    def is_complete(self) -> bool:
        """Whether all have been run."""
        return bool(self.done.all())

    def best(self, keep: int = 100, score: ArrayLike | None = None) -> NDArray[np.int64]:
        """Numbers of the best designs done, best first: by throughput, or by a score of each."""
        worth = self.throughput_per_s if score is None else np.asarray(score, np.float64)
        if worth.shape != (self.count,):
            raise FlowError(f"score of shape {worth.shape}; give one for each of {self.count}")
        worth = np.where(np.isnan(worth) | np.isnan(self.throughput_per_s), -np.inf, worth)
        keep = min(keep, int(np.isfinite(worth).sum()))
        found = np.argpartition(-worth, keep - 1)[:keep] if keep else np.zeros(0, np.int64)
        return found[np.lexsort((found, -worth[found]))]

    def save(self, path: Path) -> None:
        """Keeps it in a file of numpy's (`.npz`), whole or not at all."""
        part = path.with_name(path.name + ".part")
        with part.open("wb") as file:
            np.savez(
                file,
                of=np.array([self.count, self.chunk]),
                fingerprint=np.array(self.fingerprint),
                done=self.done,
                throughput_per_s=self.throughput_per_s,
                lead_s=self.lead_s,
                cpu_s=np.array(self.cpu_s),
            )
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Sweep:
        """One that was saved."""
        with np.load(path, allow_pickle=False) as kept:
            count, chunk = kept["of"].tolist()
            return cls(
                count,
                chunk,
                str(kept["fingerprint"]),
                kept["done"],
                kept["throughput_per_s"],
                kept["lead_s"],
                float(kept["cpu_s"]),
            )


def sweep(
    samples: ArrayLike,
    designs: Designs,
    count: int,
    *,
    warm_up: int = 0,
    chunk: int = CHUNK,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
    resume: Sweep | None = None,
    most_operations: int = MOST_OPERATIONS,
) -> Sweep:
    """Runs designs that have not been run yet.

    Args:
        samples: [N, K] service times before scaling, seconds; the same for every design.
        designs: makes a chunk of them.
        count: how many there are.
        warm_up: parts that are left out at the beginning.
        chunk: designs made and run at once.
        workers: threads; the loops let go of the interpreter.
        progress: told (designs done, count) after each chunk.
        is_cancelled: asked before each chunk; what is done is kept.
        resume: an earlier answer for the same samples and count, which is filled up in place.
        most_operations: parts × stations × designs that are not refused.

    Raises:
        FlowError: too many designs, a chunk of the wrong shape, or an earlier answer for others.
    """
    s = check_samples(samples)
    n, k = s.shape
    if count < 1 or chunk < 1 or workers < 1:
        raise FlowError(f"{count} designs in chunks of {chunk} by {workers}; give 1 or more")
    operations = count * n * k
    if count > MOST_DESIGNS or operations > most_operations:
        raise FlowError(
            f"{count:.3g} designs of {n} parts and {k} stations are {operations:.2g} "
            f"part-operations, about {operations / PER_CPU_S / 3600:,.0f} hours of one core; "
            f"take at most {min(MOST_DESIGNS, most_operations // (n * k)):,} designs, or screen "
            "them first"
        )
    mark = hashlib.blake2b(s.tobytes(), digest_size=16)
    mark.update(f"{s.shape} {warm_up}".encode())
    state = resume
    if state is None:
        state = Sweep(
            count,
            chunk,
            mark.hexdigest(),
            np.zeros(-(-count // chunk), bool),
            np.full(count, np.nan),
            np.full(count, np.nan),
        )
    elif (state.count, state.fingerprint) != (count, mark.hexdigest()):
        raise FlowError("the earlier sweep was one of other samples, warm-up or designs")

    def one(number: int) -> float:
        if is_cancelled is not None and is_cancelled():
            return 0.0
        began = time.thread_time()
        first = number * state.chunk
        size = min(state.chunk, count - first)
        scales, buffers = designs(first, size)
        if np.shape(scales) != (size, k) or np.shape(buffers) != (size, k - 1):
            raise FlowError(
                f"designs {first} to {first + size - 1}: scales {np.shape(scales)}, buffers "
                f"{np.shape(buffers)}; give ({size}, {k}) and ({size}, {k - 1})"
            )
        try:
            found = lanes(s, scales, buffers, warm_up=warm_up)
        except ValueError as error:
            raise FlowError(f"designs {first} to {first + size - 1}: {error}") from error
        state.throughput_per_s[first : first + size] = found.throughput_per_s
        state.lead_s[first : first + size] = found.lead_s
        state.done[number] = True
        spent_s = time.thread_time() - began
        if progress is not None:
            progress(state.designs_done, count)
        return spent_s

    rest = np.flatnonzero(~state.done).tolist()
    if workers == 1:
        for number in rest:
            state.cpu_s += one(number)
    else:
        with ThreadPoolExecutor(workers, "sweep") as pool:
            # Leaving the block waits for what has begun; the first error is told then.
            for job in [pool.submit(one, number) for number in rest]:
                state.cpu_s += job.result()
    return state


def at_random(
    scales: tuple[float, float], buffers: tuple[int, int], stations: int, seed: int
) -> Designs:
    """Designs drawn evenly between two scales and two capacities (both inclusive)."""

    def make(first: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        # By counter, so that a design does not depend on the chunk that it is made in.
        draws = np.random.Philox(key=seed)
        per = 2 * stations - 1
        draws = draws.advance(first * per // 4)
        skip = first * per % 4
        raw = np.random.Generator(draws).random(skip + count * per)[skip:].reshape(count, per)
        low, high = scales
        least, most = buffers
        return (
            low + (high - low) * raw[:, :stations],
            least + (raw[:, stations:] * (most - least + 1)).astype(np.int64),
        )

    return make


@dataclass(frozen=True, slots=True, eq=False)
class Verified:
    """Designs that an event engine has run again."""

    engine: str
    designs: NDArray[np.int64]
    end_s: NDArray[np.float64]
    """When the last part left, by the event engine."""
    expected_s: NDArray[np.float64]
    """By the recurrence."""
    redrawn_s: NDArray[np.float64]
    """By the recurrence on what the event engine draws."""

    @property
    def largest_difference(self) -> float:
        """Relative, over all of them."""
        if not len(self.designs):
            return 0.0
        return float((np.abs(self.end_s - self.expected_s) / self.expected_s).max())

    @property
    def is_bit_identical(self) -> bool:
        """Whether recurrence and events, on the same draws, give the same times."""
        return bool(np.array_equal(self.end_s, self.redrawn_s))


def verify(
    names: Sequence[str],
    distributions: Sequence[Distribution],
    designs: Designs,
    numbers: ArrayLike,
    *,
    parts: int,
    seed: int,
    samples: ArrayLike,
    engine: Callable[..., Result] | None = None,
) -> Verified:
    """Runs designs by the event kernel on the streams that `line_samples` gave the samples of.

    The kernel draws from scaled distributions where the sweep scales what was drawn: times may
    differ in their last digit. `engine` is the compiled kernel's `run` if none is given.

    Raises:
        FlowError: a run did not end with all its parts made.
    """
    if engine is None:
        from mirrorworld.simulation.flow import kernel

        engine = kernel.run
    chosen = np.asarray(numbers, np.int64)
    ends, expected, redrawn = np.zeros((3, len(chosen)))
    how = list(distributions)
    for row, number in enumerate(chosen.tolist()):
        scales, buffers = (np.asarray(part) for part in designs(number, 1))
        expected[row] = lanes(samples, scales, buffers).end_s[0]
        model = design(names, distributions, scales[0], buffers[0], parts)
        result = engine(model, seed=seed, trace_rows=8 * parts * len(names))
        trace = result.trace
        if result.ending[0] is not Ending.EXHAUSTED or trace is None or trace.is_cut:
            raise FlowError(f"design {number}: {result.ending[0].value} {result.detail[0]}")
        # The last that happens is that the last part leaves.
        ends[row] = trace.time_s[-1]
        scaled = [one.scaled(float(x)) for one, x in zip(how, scales[0], strict=True)]
        drawn = line_samples(names, scaled, parts, seed=seed)
        redrawn[row] = departures(drawn, buffers[0])[-1, -1]
    return Verified(engine.__module__.rsplit(".", 1)[-1], chosen, ends, expected, redrawn)


def design(
    names: Sequence[str],
    distributions: Sequence[Distribution],
    scales: ArrayLike,
    buffers: ArrayLike,
    parts: int,
) -> FlowModel:
    """A design as a model that makes so many parts."""
    stations = tuple(
        Station(name, how.scaled(float(scale)))
        for name, how, scale in zip(names, distributions, np.asarray(scales), strict=True)
    )
    model = line("design", stations, tuple(int(b) for b in np.asarray(buffers)))
    nodes = tuple(
        dataclasses.replace(node, limit=parts) if isinstance(node, Source) else node
        for node in model.nodes
    )
    return dataclasses.replace(model, nodes=nodes)
