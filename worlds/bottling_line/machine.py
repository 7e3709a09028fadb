"""What all machines of the plant share: states, ramps, stations, jams, and the wear behind them.

States are those of PackML (ANSI/ISA-TR88.00.02), of which the line uses some. What is hidden
(`Hidden`) drives the physics and leaves a machine only as its consequences: warmth, vibration,
fill volume, rejects, jams. Nothing here knows a protocol, and nothing here knows the wall clock.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from .belts import Belt


class State(enum.IntEnum):
    """PackML state, with its number in PackTags."""

    UNDEFINED = 0
    CLEARING = 1
    STOPPED = 2
    STARTING = 3
    IDLE = 4
    SUSPENDED = 5
    EXECUTE = 6
    STOPPING = 7
    ABORTING = 8
    ABORTED = 9
    HOLDING = 10
    HELD = 11
    UNHOLDING = 12
    SUSPENDING = 13
    UNSUSPENDING = 14
    RESETTING = 15
    COMPLETING = 16
    COMPLETED = 17


@dataclass(slots=True)
class Hidden:
    """What no instrument of the plant shows."""

    wear: float
    wear_per_bottle: float
    jam_per_bottle: float
    """Chance of a jam per bottle at nominal speed without wear."""
    jam_wear_gain: float
    jam_speed_exponent: float
    reject_rate: float
    bearing_noise: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Hidden:
        """One machine's fate."""
        return Hidden(
            wear=float(rng.uniform(0.08, 0.55)),
            wear_per_bottle=float(rng.lognormal(math.log(4e-7), 0.5)),
            jam_per_bottle=float(rng.lognormal(math.log(3.5e-5), 0.4)),
            jam_wear_gain=float(rng.uniform(1.5, 5.0)),
            jam_speed_exponent=float(rng.uniform(1.5, 3.0)),
            reject_rate=float(rng.lognormal(math.log(6e-4), 0.4)),
            bearing_noise=float(rng.uniform(0.03, 0.12)),
        )


@dataclass(slots=True)
class Site:
    """What all machines share: the hall's warmth, the air's pressure, chance."""

    rng: np.random.Generator
    noise: np.random.Generator
    """Of instruments alone: how often one is read must not change what happens."""
    jam_rate: float = 1.0
    """Factor on every machine's own chance of a jam."""
    air_bar: float = 6.8
    ambient_c: float = 21.5


AIR_MIN_BAR = 4.8
"""Below this the machines' own pressure switches hold them."""


class Machine:
    """A machine with stations: a shift register of bottles that a ramped drive moves on.

    States: STOPPED (by Stop) → RESETTING → IDLE → STARTING → EXECUTE; EXECUTE ⇄ SUSPENDED when
    starved or blocked by its neighbours; EXECUTE ⇄ HELD for a cause of its own (air, labels,
    cleaning); any → ABORTED on a jam, then ClearJam → CLEARING → RESETTING and on.
    """

    uses_air_nl_s = 1.5
    idle_kw = 0.5
    run_kw = 2.5

    def __init__(
        self,
        name: str,
        site: Site,
        hidden: Hidden,
        slots: int,
        nominal_per_h: float,
        upstream: Belt | None,
        downstream: Belt | None,
    ) -> None:
        self.name = name
        self.site = site
        self.hidden = hidden
        self.nominal_per_h = nominal_per_h
        self.setpoint_per_h = nominal_per_h
        self.speed_per_h = 0.0
        self.upstream = upstream
        self.downstream = downstream
        self.state = State.IDLE
        self.cause = ""
        self.phase = 0.0
        # A station holds what was measured of its bottle, or None.
        self.stations: deque[float | None] = deque([None] * slots, slots)
        self.inside = 0
        self.count_in = 0
        self.count_out = 0
        self.rejects = 0
        self.batch_good = 0
        self.batch_rejects = 0
        self.jams = 0
        self.temperature_c = site.ambient_c + 12.0
        self.run_s = float(site.rng.uniform(2.0e6, 3.0e7))
        self.is_door_closed = True
        self._timer_s = 0.0
        self._empty_s = 0.0
        self._jam_next = False
        self._is_slow = False

    # -- commands ---------------------------------------------------------------------------

    def start(self) -> str:
        """Start; returns why not, or ""."""
        if self.state is State.ABORTED:
            return "jammed: clear the jam first"
        if self.state in (State.STOPPED, State.STOPPING):
            self._enter(State.RESETTING, "", 1.5)
        return ""

    def stop(self, cause: str = "stopped by operator") -> str:
        """Stop in a controlled way; returns why not, or ""."""
        if self.state is State.ABORTED:
            return "jammed: clear the jam first"
        if self.state not in (State.STOPPED, State.STOPPING):
            self._enter(State.STOPPING, cause)
        return ""

    def clear_jam(self) -> str:
        """Clear a jam: guards open, what is crushed goes to the reject bin, guards close."""
        if self.state is not State.ABORTED:
            return "there is no jam to clear"
        crushed = 0
        for i, bottle in enumerate(self.stations):
            if bottle is not None and crushed < 3:
                self.stations[i] = None
                crushed += 1
        self.inside -= crushed
        self._reject(crushed)
        self.is_door_closed = False
        self._enter(State.CLEARING, "jam being cleared", 4.0)
        return ""

    def reset_counters(self) -> str:
        """Begin a new batch: the batch counters go to zero, the lifetime counters stay."""
        self.batch_good = self.batch_rejects = 0
        return ""

    def force_jam(self) -> None:
        """The next bottle jams (for tests that cannot wait for chance)."""
        self._jam_next = True

    # -- physics ----------------------------------------------------------------------------

    def step(self, dt_s: float) -> None:
        """Lets `dt_s` pass."""
        self._timer_s -= dt_s
        self._change_state(dt_s)
        target = self.setpoint_per_h * self._pace() if self.state is State.EXECUTE else 0.0
        ramp = self.nominal_per_h * (0.25 if target > self.speed_per_h else 0.6) * dt_s
        if self.state is State.ABORTED:
            ramp = self.nominal_per_h * 4.0 * dt_s
        self.speed_per_h += min(max(target - self.speed_per_h, -ramp), ramp)
        if self.speed_per_h > 0.0:
            self._turn(dt_s)
            self.run_s += dt_s
        load = self.speed_per_h / self.nominal_per_h
        warm_c = self.site.ambient_c + 9.0 + 14.0 * load**1.3 + 16.0 * load * self.hidden.wear
        self.temperature_c += (warm_c - self.temperature_c) * dt_s / 420.0

    def _turn(self, dt_s: float) -> None:
        self.phase += self.speed_per_h / 3600.0 * dt_s
        while self.phase >= 1.0:
            if not self._advance():
                self.phase = 1.0
                self.speed_per_h = 0.0
                if self.state is State.EXECUTE:
                    self._enter(State.SUSPENDED, "blocked")
                return
            self.phase -= 1.0

    def _advance(self) -> bool:
        """One station on; False if the bottle at the end has nowhere to go."""
        last = self.stations[-1]
        if last is not None:
            if self._is_good(last):
                if not self._release():
                    return False
                self.count_out += 1
                self.batch_good += 1
            else:
                self._reject(1)
            self.inside -= 1
        self.stations.pop()
        self.stations.appendleft(self._take())
        return True

    def _take(self) -> float | None:
        if not self._fetch():
            return None
        self.count_in += 1
        self.inside += 1
        hidden = self.hidden
        hidden.wear += hidden.wear_per_bottle
        pace = self.speed_per_h / self.nominal_per_h
        hazard = (
            self.site.jam_rate
            * hidden.jam_per_bottle
            * (1.0 + hidden.jam_wear_gain * hidden.wear**2)
        )
        hazard *= pace**hidden.jam_speed_exponent
        if self._jam_next or self.site.rng.random() < hazard:
            self._jam_next = False
            self.jams += 1
            self._enter(State.ABORTED, "jam at the infeed")
        return self._process()

    def _fetch(self) -> bool:
        if self.upstream is None or not self.upstream.is_waiting:
            return False
        self.upstream.pop()
        return True

    def _release(self) -> bool:
        if self.downstream is None or not self.downstream.has_room:
            return False
        self.downstream.push()
        return True

    def _process(self) -> float:
        """What the machine's own inspection will see of a bottle: 1 is faultless."""
        rate = self.hidden.reject_rate * (1.0 + 2.0 * self.hidden.wear)
        return 0.0 if self.site.rng.random() < rate else 1.0

    def _is_good(self, measured: float) -> bool:
        return measured > 0.5

    def _reject(self, n: int) -> None:
        self.rejects += n
        self.batch_rejects += n

    def _pace(self) -> float:
        """Share of the set-point that the queues before and after allow, as line control does."""
        if self.upstream is not None:
            # With hysteresis, or the drive would hunt between two speeds.
            queue = self.upstream.backlog
            if queue <= 1:
                self._is_slow = True
            elif queue >= min(10, self.upstream.capacity // 3):
                self._is_slow = False
        pace = 0.93 if self._is_slow else 1.0
        if self.downstream is not None:
            full = self.downstream.count / self.downstream.capacity
            if full > 0.8:
                pace = min(pace, 0.85)
        return pace

    def _held_by(self) -> str:
        """A cause of the machine's own to hold, or ""."""
        return "low air pressure" if self.site.air_bar < AIR_MIN_BAR else ""

    def _is_starved(self, dt_s: float) -> bool:
        if self.upstream is None:
            return False
        self._empty_s = 0.0 if self.upstream.is_waiting else self._empty_s + dt_s
        return self._empty_s > 4.0 and self.inside == 0

    def _may_resume(self) -> bool:
        if self.cause == "blocked":
            belt = self.downstream
            return belt is None or (
                belt.has_room and belt.free_start_m > min(0.5, belt.length_m / 3)
            )
        belt = self.upstream
        return belt is None or belt.backlog >= min(12, belt.capacity // 3)

    def _enter(self, state: State, cause: str, timer_s: float = 0.0) -> None:
        self.state = state
        self.cause = cause
        self._timer_s = timer_s

    def _change_state(self, dt_s: float) -> None:
        done = self._timer_s <= 0.0
        match self.state:
            case State.EXECUTE:
                if held := self._held_by():
                    self._enter(State.HELD, held)
                elif self._is_starved(dt_s):
                    self._enter(State.SUSPENDED, "starved")
            case State.SUSPENDED if self._may_resume():
                self._empty_s = 0.0
                self._enter(State.EXECUTE, "")
            case State.HELD:
                held = self._held_by()
                if not held:
                    self._enter(State.EXECUTE, "")
                elif held != self.cause:
                    self.cause = held
            case State.CLEARING if done:
                self.is_door_closed = True
                self._enter(State.RESETTING, "", 1.5)
            case State.RESETTING if done:
                self._enter(State.IDLE, "", 0.5)
            case State.IDLE if done:
                self._enter(State.STARTING, "", 1.0)
            case State.STARTING if done:
                self._enter(State.EXECUTE, "")
            case State.STOPPING if self.speed_per_h <= 0.0:
                self._enter(State.STOPPED, self.cause)
            case _:
                pass

    # -- what instruments show ----------------------------------------------------------------

    @property
    def is_jammed(self) -> bool:
        """Whether a jam waits for someone."""
        return self.state is State.ABORTED

    def vibration_mm_s(self) -> float:
        """RMS velocity at the main bearing."""
        load = self.speed_per_h / self.nominal_per_h
        level = 0.25 + 1.9 * load**1.5 * (1.0 + 1.7 * self.hidden.wear)
        return max(
            0.0, level * (1.0 + self.hidden.bearing_noise * self.site.noise.standard_normal())
        )

    def power_kw(self) -> float:
        """Electrical power of the drives."""
        load = self.speed_per_h / self.nominal_per_h
        return self.idle_kw + self.run_kw * load * (1.0 + 0.2 * self.hidden.wear)

    def current_a(self) -> float:
        """Motor current at 400 V and a power factor of 0.82."""
        return self.power_kw() / (math.sqrt(3) * 0.4 * 0.82)

    def air_nl_s(self) -> float:
        """Compressed air in use."""
        return self.uses_air_nl_s * (0.15 + 0.85 * self.speed_per_h / self.nominal_per_h)
