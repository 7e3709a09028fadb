"""What a machine did in a period: times to failure and repair, pace, scrap, power by state.

A machine runs, waits for others, is down, or is off; states on the way between belong to what was
before them. It ages while it works: running without parts does not count.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fitting.samples import Samples
from mirrorworld.simulation.fitting.signals import Floats, Readings, Signal
from mirrorworld.simulation.flow.roles import FAILED, PASSING, RUNNING, WAITING, Place

MINOR_S: Final = 60.0
"""A shorter stop is a minor one."""
PACE_QUANTILE: Final = 0.9
"""Of the speed over running time: what it does when no neighbour holds it back."""
FAST: Final = 1.5
"""Parts in each report of a counter from which on single cycles cannot be told."""


class Does(enum.IntEnum):
    """What a machine's time is."""

    UNKNOWN = 0
    RUNS = 1
    WAITS = 2
    DOWN = 3
    OFF = 4


_PASSES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Stop:
    """One way to stand still."""

    name: str
    between: Samples
    """Working time from a repair to the next failure."""
    repair: Samples
    minor: int
    """How many were shorter than MINOR_S."""


@dataclass(slots=True, eq=False)
class Machine:
    """What was measured of one machine. Shares are of the known time."""

    place: Place
    known_s: float = 0.0
    seconds: dict[Does, float] = field(default_factory=dict[Does, float])
    waits: dict[str, float] = field(default_factory=dict[str, float])
    """Share of the known time by cause: starved, blocked."""
    stops: list[Stop] = field(default_factory=list[Stop])
    made: float = 0.0
    rejected: float = 0.0
    rate_per_s: float | None = None
    """When nothing holds it back."""
    cycles: Samples | None = None
    """Single ones, where the counter tells them."""
    inside: float | None = None
    watts: dict[Does, float] = field(default_factory=dict[Does, float])
    notes: list[str] = field(default_factory=list[str])

    @property
    def scrap(self) -> float | None:
        """Share of the parts that it pushed out; None where nobody counts them."""
        total = self.made + self.rejected
        return self.rejected / total if "rejects" in self.place.points and total else None

    @property
    def cycle_s(self) -> float | None:
        """Of one part, on average."""
        if self.cycles is not None and len(self.cycles.complete):
            return float(self.cycles.complete.mean())
        return 1 / self.rate_per_s if self.rate_per_s else None

    @property
    def busy(self) -> float:
        """Share of the known time in which it worked on parts."""
        if self.known_s <= 0:
            return float("nan")
        ran = self.seconds.get(Does.RUNS, 0.0) / self.known_s
        if self.cycle_s is None or not (self.made + self.rejected):
            return ran
        return min(ran or 1.0, (self.made + self.rejected) * self.cycle_s / self.known_s)

    def share(self, does: Does) -> float:
        """Share of the known time."""
        return self.seconds.get(does, 0.0) / self.known_s if self.known_s else float("nan")


def used_signals(place: Place, readings: Readings) -> dict[str, Signal]:
    """The numbers of a twin that a fit looks at, by what they are for."""
    points = dict(place.points)
    points.pop("cause", None)
    points.pop("setpoint", None)
    if place.role == "machine" and "out" in points:
        points.pop("in", None)
    if place.role != "machine":
        points.pop("out", None)
    return {what: readings.signal(used) for what, used in points.items()}


def measure(place: Place, readings: Readings) -> Machine:
    """A machine in a period."""
    machine = Machine(place)
    signals = used_signals(place, readings)
    state = signals.get("state")
    if state is None:
        machine.notes.append("no state is measured: stops cannot be seen")
        state = Signal(np.zeros(1), np.zeros(1))
    edges, recorded = readings.edges(*signals.values())
    lasts = np.diff(edges)
    code = state.held(edges[:-1])
    does = _classes(place, code) if "state" in signals else _by_speed(signals, edges)
    does[~recorded | np.isnan(code)] = Does.UNKNOWN
    known = does != Does.UNKNOWN
    machine.known_s = float(lasts[known].sum())
    machine.seconds = {one: float(lasts[does == one].sum()) for one in Does}
    _counts(machine, signals, edges, known)
    _pace(machine, signals, edges, lasts, does == Does.RUNS)
    if "cause" in place.points:
        _causes(machine, readings, edges, lasts, does == Does.WAITS)
    if "content" in signals and machine.known_s:
        held = signals["content"].held(edges[:-1])
        some = (does == Does.RUNS) & ~np.isnan(held)
        if some.any():
            machine.inside = _quantile(held[some], lasts[some], PACE_QUANTILE)
    if "power" in signals:
        power = signals["power"].held(edges[:-1]) / place.sharing_power
        for one in (Does.RUNS, Does.WAITS, Does.DOWN, Does.OFF):
            some = (does == one) & ~np.isnan(power)
            if lasts[some].sum() > 0:
                machine.watts[one] = float(np.average(power[some], weights=lasts[some]))
    if "state" in signals:
        ran = machine.seconds[Does.RUNS]
        works = min(1.0, machine.busy * machine.known_s / ran) if ran else 1.0
        _stops(machine, edges, does, code, works)
    return machine


def _classes(place: Place, code: Floats) -> NDArray[np.int8]:
    """What each interval's state is; states on the way take what was before them."""
    labels = place.labels
    is_packml = {"resetting", "idle"} <= set(labels.values())
    does = np.zeros(len(code), np.int8)
    for number, label in labels.items():
        if label in RUNNING:
            one = int(Does.RUNS)
        elif label in PASSING or (label == "idle" and is_packml):
            one = _PASSES
        elif label in WAITING or label == "idle":
            one = int(Does.WAITS)
        elif label in FAILED:
            one = int(Does.DOWN)
        else:
            one = int(Does.UNKNOWN) if label in ("undefined", "unknown", "") else int(Does.OFF)
        does[code == number] = one
    at = np.where(does != _PASSES, np.arange(len(does)), -1)
    at = np.maximum.accumulate(at)
    does = np.where(at >= 0, does[np.maximum(at, 0)], int(Does.OFF))
    return does.astype(np.int8)


def _by_speed(signals: dict[str, Signal], edges: Floats) -> NDArray[np.int8]:
    speed = signals.get("speed")
    if speed is None:
        return np.full(len(edges) - 1, Does.RUNS, np.int8)
    held = speed.held(edges[:-1])
    return np.where(held > 0, Does.RUNS, Does.WAITS).astype(np.int8)


def _counts(
    machine: Machine, signals: dict[str, Signal], edges: Floats, known: NDArray[np.bool_]
) -> None:
    """What was counted in the known time."""

    def counted(what: str) -> float:
        if what not in signals:
            return 0.0
        time_s, step = signals[what].steps()
        row = np.clip(np.searchsorted(edges, time_s, "left") - 1, 0, len(known) - 1)
        return float(step[known[row]].sum()) if len(step) else 0.0

    machine.made, machine.rejected = counted("out"), counted("rejects")
    if "out" not in signals:
        machine.made = counted("in") - machine.rejected


def _pace(
    machine: Machine,
    signals: dict[str, Signal],
    edges: Floats,
    lasts: Floats,
    runs: NDArray[np.bool_],
) -> None:
    """Its rate from a measured speed, else from a counter while it runs."""
    counter = signals.get("out") or signals.get("in")
    if counter is not None:
        time_s, step = counter.steps()
        moved = step > 0
        time_s, step = time_s[moved], step[moved]
        if len(step) and float(np.median(step)) < FAST:
            _single_cycles(machine, time_s, step, edges, runs)
    if "speed" in signals:
        held = signals["speed"].held(edges[:-1])
        some = runs & (held > 0)
        if some.any():
            machine.rate_per_s = _quantile(held[some], lasts[some], PACE_QUANTILE)
            return
    ran = float(lasts[runs].sum())
    if machine.cycles is None and ran > 0 and machine.made + machine.rejected > 0:
        machine.rate_per_s = (machine.made + machine.rejected) / ran
        machine.notes.append("no speed is measured: its pace is its count over its running time")


def _single_cycles(
    machine: Machine, time_s: Floats, step: Floats, edges: Floats, runs: NDArray[np.bool_]
) -> None:
    """Times between two parts between which it ran all the time."""
    stood = np.concatenate([[0.0], np.cumsum(np.where(runs, 0.0, np.diff(edges)))])
    stood_at = np.interp(time_s, edges, stood)
    whole = (np.diff(stood_at) == 0) & (step[1:] == 1)
    cycles = np.diff(time_s)[whole]
    if len(cycles) >= 2:
        machine.cycles = Samples.of(cycles)


def _causes(
    machine: Machine,
    readings: Readings,
    edges: Floats,
    lasts: Floats,
    waits: NDArray[np.bool_],
) -> None:
    used = machine.place.points["cause"]
    number, words = readings.signal(used).held(edges[:-1]), readings.texts(used)
    for row, word in enumerate(words):
        seconds = float(lasts[waits & (number == row)].sum())
        for name in ("starved", "blocked"):
            if seconds and name in word.lower():
                share = seconds / machine.known_s
                machine.waits[name] = machine.waits.get(name, 0.0) + share


def _stops(
    machine: Machine, edges: Floats, does: NDArray[np.int8], code: Floats, works: float
) -> None:
    """Stops by the state in which they were longest. An episode that unknown time cuts is seen
    in part."""
    labels = machine.place.labels
    change = np.flatnonzero(np.diff(does)) + 1
    first = np.concatenate([[0], change])
    last = np.concatenate([change, [len(does)]])
    kind = does[first]
    began, ended = edges[first], edges[last]
    downs = np.flatnonzero(kind == Does.DOWN)
    names: list[str] = []
    for row in downs.tolist():
        inside = slice(first[row], last[row])
        codes, lengths = code[inside], np.diff(edges)[inside]
        label = [labels.get(int(c), "") if c == c else "" for c in codes]
        time: dict[str, float] = {}
        for word, length in zip(label, lengths.tolist(), strict=True):
            if word in FAILED:
                root = _ROOTS.get(word, word)
                time[root] = time.get(root, 0.0) + length
        names.append(max(time, key=lambda word: time[word]) if time else "down")
    age = np.concatenate([[0.0], np.cumsum(np.where(kind == Does.RUNS, ended - began, 0.0))])
    age *= works
    breaks = np.flatnonzero(kind == Does.UNKNOWN)
    for name in sorted(set(names)):
        rows = downs[np.array([n == name for n in names])]
        complete: list[float] = []
        censored: list[float] = []
        residual: list[float] = []
        repairs: list[list[float]] = [[], [], []]
        since, is_seen = 0.0, False
        for row in sorted([*rows.tolist(), *breaks.tolist(), len(kind)]):
            gone = float(age[row]) - since
            is_failure = row < len(kind) and kind[row] == Does.DOWN
            if gone > 0:
                (complete if is_seen else residual).append(gone) if is_failure else (
                    censored.append(gone)
                )
            since, is_seen = float(age[row]), is_failure
            if is_failure:
                starts = row > 0 and kind[row - 1] != Does.UNKNOWN
                ends = row + 1 < len(kind) and kind[row + 1] != Does.UNKNOWN
                length = float(ended[row] - began[row])
                repairs[0 if starts and ends else 1 if starts else 2].append(length)
        repair = Samples.of(*repairs)
        minor = int((repair.complete < MINOR_S).sum())
        between = Samples.of(complete, censored, residual)
        machine.stops.append(Stop(name, between, repair, minor))


_ROOTS: Final = {"aborting": "aborted", "holding": "held"}


def _quantile(values: Floats, weights: Floats, q: float) -> float:
    """Of values that held for so long each."""
    order = np.argsort(values)
    at = np.searchsorted(np.cumsum(weights[order]), q * weights.sum())
    return float(values[order][min(int(at), len(values) - 1)])
