"""All units of a coupling over one communication step: from one point of time to the next, or to
the first event before it.

Knows the order of stepping, events, loops, states to go back to, and units that end. It refuses
to know which steps are made and why (`master.py`).

Units that may stop early (FMI 3 events) go first, and the step is only as long as the first of
them goes; who has gone further is taken back to a saved state. A unit that ends against its will
takes along who is fed by it; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.graph import Place, Wiring
from mirrorworld.simulation.fmi.methods import Inputs, Order
from mirrorworld.simulation.fmi.ports import Row, RunsThrough, Step, StepEnd, UnitEnded
from mirrorworld.simulation.fmi.solving import NoSolution, solve

T = TypeVar("T")

EVENT_ROUNDS_MAX: Final = 50
NOTES_MAX: Final = 100
SMALL: Final = 1e-12
"""Times nearer than this, relative to their size, are one."""


@dataclass(slots=True)
class State:
    """Where all is between two steps."""

    time_s: float
    y: Row
    u: Row
    at: list[float]
    """Time of each unit; one may be ahead, or wait for a step of its own length."""
    next_event: list[float]
    earlier: tuple[float, Row] | None = None
    """(time, inputs) of the communication point before, if nothing has jumped since."""

    def copy(self) -> State:
        return State(
            self.time_s, self.y.copy(), self.u.copy(), list(self.at), list(self.next_event),
            self.earlier,
        )  # fmt: skip


Kept = tuple[State, dict[int, int], int]
"""Where all was, the saved state of each unit, and how many events there had been."""


class Ensemble:
    """The units of a coupling and where they stand.

    Args:
        loop: columns of inputs that are solved for in every step.
        signals: inputs as functions of time (s).
        is_split: whether a step may be taken back once it is made; units may ask to know.
    """

    def __init__(
        self,
        wiring: Wiring,
        order: Order,
        inputs: Inputs,
        loop: NDArray[np.intp],
        signals: Sequence[tuple[Place, Callable[[float], float]]],
        is_split: bool,
    ) -> None:
        self.wiring, self.units = wiring, wiring.units
        self.loop = loop
        self._order, self._inputs, self._signals = order, inputs, signals
        self.is_split = is_split
        self._jacobian: NDArray[np.float64] | None = None
        self._scouts = [k for k, unit in enumerate(self.units) if unit.has_events]
        self.alive = [True] * len(self.units)
        self.ended: list[UnitEnded] = []
        self.stopped: dict[str, str] = {}
        self.events: list[tuple[float, str]] = []
        self.notes: dict[str, None] = {}
        self.rejected = 0
        self.pending: list[Step] = []
        """Steps since the last that was accepted."""
        self.has_ended = False
        """Whether a unit has asked for the end, or none is left."""
        n = len(self.units)
        y = np.full(wiring.n_outputs, np.nan)
        self.state = State(0.0, y, wiring.start_inputs(), [0.0] * n, [np.inf] * n)

    def begin(self, start_s: float, stop_s: float | None, tolerance: float | None) -> None:
        """Instantiates and initialises all units, and settles what they tell each other."""
        wiring, state = self.wiring, self.state
        n = len(self.units)
        state.time_s, state.at, state.next_event = start_s, [start_s] * n, [np.inf] * n
        self._apply_signals(start_s, state.u)
        for unit in self.units:
            unit.prepare()
        for k, unit in enumerate(self.units):
            self.keep(k, lambda unit=unit, k=k: unit.initialise(
                start_s, stop_s, tolerance, state.u[wiring.inputs_of[k]]
            ))  # fmt: skip
        self.settle()
        for k in self.living():
            end = self.attempt(k, self.units[k].begin)
            if end is not None:
                state.y[wiring.outputs_of[k]] = end.outputs
                self.note_end(k, end, is_event=True)
        wiring.apply(state.y, state.u)
        self.drop_dead()
        self.look_alive()

    def through(self, step_s: float, n: int) -> tuple[Row, Row]:
        """(times in s, outputs) of steps that the only unit makes without being asked at each, up
        to one that it cuts short; none if it does not do that."""
        state, unit, wiring = self.state, self.units[0], self.wiring
        none = np.empty(0), np.empty((0, wiring.n_outputs))
        is_fed = bool(len(wiring.targets)) or bool(self._signals)
        if is_fed or unit.has_events or not self.alive[0] or not isinstance(unit, RunsThrough):
            return none
        start_s, end = state.time_s, None
        try:
            rows, end = unit.run(start_s, step_s, n, state.u if len(state.u) else None)
        except UnitEnded as ended:
            rows = none[1] if ended.rows is None else ended.rows
            self.lose(0, ended)
        if end is not None and end.is_early:
            rows = rows[:-1]  # the last step is not over
        times_s = start_s + step_s * np.arange(1, len(rows) + 1, dtype=np.float64)
        if len(rows):
            state.y[:] = rows[-1]
            state.time_s = state.at[0] = float(times_s[-1])
            state.earlier = None
        if end is not None:
            state.at[0] = end.time_s
            self.note_end(0, end)
        return times_s, rows

    def is_at(self, time_s: float) -> bool:
        """Whether all have reached a time."""
        return self.state.time_s >= time_s - SMALL * max(1.0, abs(time_s))

    def reach(self, target_s: float, is_grid: bool = True) -> None:
        """All units to a time, or to the first event before it."""
        if not len(self.loop):
            self._pass(target_s, is_grid)
            return
        kept = self.save()
        x0 = self.state.u[self.loop].copy()

        def residual(x: Row) -> Row:
            self.restore(kept)
            self.pending = pending[:]
            self.state.u[self.loop] = x
            self._pass(target_s, is_grid, is_looped=True)
            fed = np.zeros(self.wiring.n_inputs)
            self.wiring.apply(self.state.y, fed)
            return fed[self.loop] - x

        pending = self.pending[:]
        try:
            _, self._jacobian = solve(residual, x0, self._jacobian, 1e-9)
        except NoSolution as error:
            raise FmiError(
                f"at t = {self.state.time_s:.9g} s the loop is not solved: {error}"
            ) from None
        finally:
            self.free(kept)

    def _pass(self, target_s: float, is_grid: bool, is_looped: bool = False) -> None:
        state, wiring = self.state, self.wiring
        start_s, before = state.time_s, state.y.copy()
        next_s = min((state.next_event[k] for k in self.living()), default=np.inf)
        if next_s < target_s - SMALL * max(1.0, abs(target_s)) and next_s > start_s:
            target_s, is_grid = next_s, False
        step_s = target_s - start_s
        self._apply_signals(start_s, state.u)
        slopes = self._slopes(state, step_s)
        used, slopes_used = state.u.copy(), np.zeros(wiring.n_inputs)
        scouts = [k for k in self._scouts if self.alive[k]]
        states = (
            {k: self.units[k].save() for k in scouts if self.units[k].can_save}
            if len(scouts) > 1
            else {}
        )
        went: list[int] = []
        wants: set[int] = set()
        reached_s = target_s
        for k in scouts:
            end = self._step_one(k, reached_s, slopes, used, slopes_used, bool(states))
            if end is None:
                continue
            if end.has_event:
                wants.add(k)
            if end.time_s < reached_s - SMALL * max(1.0, abs(reached_s)):
                reached_s, is_grid = end.time_s, False
                wants = {k} if end.has_event else set()
                for other in went:
                    self._back_to(other, states, start_s, reached_s, slopes, used, slopes_used)
            went.append(k)
        for k, kept in states.items():
            self.attempt(k, lambda k=k, kept=kept: self.units[k].free(kept))
        rest = [k for k in self.living() if k not in scouts]
        if not is_grid:
            rest = [k for k in rest if self.units[k].can_vary_step]
        if self._order is Order.JACOBI or is_looped:
            self._step_all(rest, reached_s, slopes, used, slopes_used)
        else:
            self._step_in_order(rest, reached_s, slopes, used, slopes_used)
        state.time_s = reached_s
        self.drop_dead()
        self.pending.append(
            Step(reached_s, state.y.copy(), reached_s - start_s, before, used, slopes_used)
        )
        state.earlier = (start_s, state.u.copy())
        wiring.apply(state.y, state.u)
        wants |= {k for k in scouts if self.alive[k] and state.next_event[k] <= reached_s + SMALL}
        if wants:
            self._handle_events(sorted(wants))
        self.look_alive()

    def _step_one(
        self, k: int, target_s: float, slopes: Row | None, used: Row, slopes_used: Row,
        may_restore: bool,
    ) -> StepEnd | None:  # fmt: skip
        """One unit up to a time; it may stop before."""
        started = self._begin_one(k, target_s, slopes, used, slopes_used, may_restore)
        return self._finish_one(k, target_s) if started else None

    def _begin_one(
        self, k: int, target_s: float, slopes: Row | None, used: Row, slopes_used: Row,
        may_restore: bool,
    ) -> bool:  # fmt: skip
        state, unit, at = self.state, self.units[k], self.wiring.inputs_of[k]
        from_s = state.at[k]
        step_s = target_s - from_s
        if step_s <= SMALL * max(1.0, abs(target_s)):
            return False
        row = state.u[at].copy()
        slope = None
        if slopes is not None and slopes[at].any():
            if unit.can_interpolate:
                slope = slopes[at]
                slopes_used[at] = slope
            else:
                row = row + slopes[at] * step_s / 2
        used[at] = row
        return self.attempt(
            k, lambda: unit.begin_step(from_s, step_s, row, slope, may_restore) or True
        ) is not None  # fmt: skip

    def _finish_one(self, k: int, target_s: float) -> StepEnd | None:
        state, unit = self.state, self.units[k]
        end = self.attempt(k, unit.finish_step)
        if end is None:
            return None
        for _ in range(EVENT_ROUNDS_MAX):
            if k in self._scouts or end.time_s >= target_s - SMALL * max(1.0, abs(target_s)):
                break
            if end.has_ended:
                break
            # An FMI 2 unit that discards a step goes on from where it came to.
            self.note(f"unit '{unit.name}' has cut steps short; it went on alone")
            row, from_s = state.u[self.wiring.inputs_of[k]], end.time_s
            more = self.attempt(
                k, lambda row=row, from_s=from_s: unit.begin_step(
                    from_s, target_s - from_s, row, None, False
                ) or True
            )  # fmt: skip
            end = self.attempt(k, unit.finish_step) if more is not None else None
            if end is None:
                return None
        state.y[self.wiring.outputs_of[k]] = end.outputs
        state.at[k] = end.time_s
        self.note_end(k, end)
        return end

    def _step_all(
        self, those: Sequence[int], target_s: float, slopes: Row | None, used: Row,
        slopes_used: Row,
    ) -> None:  # fmt: skip
        may = self.is_split or bool(len(self.loop))
        begun = [k for k in those if self._begin_one(k, target_s, slopes, used, slopes_used, may)]
        for k in begun:
            self._finish_one(k, target_s)

    def _step_in_order(
        self, those: Sequence[int], target_s: float, foreseen: Row | None, used: Row,
        slopes_used: Row,
    ) -> None:  # fmt: skip
        state, wiring = self.state, self.wiring
        may = self.is_split
        held = state.u.copy()
        for k in those:
            newest = held.copy()
            wiring.apply(state.y, newest)
            at, slopes = wiring.inputs_of[k], None
            step_s = target_s - state.at[k]
            if self._inputs is Inputs.LINEAR and step_s > 0:
                slopes = (newest - held) / step_s
                if foreseen is not None:
                    # Of who has not stepped yet nothing newer is known than how it went.
                    slopes = np.where(newest == held, foreseen, slopes)
            else:
                state.u[at] = newest[at]
            self._step_one(k, target_s, slopes, used, slopes_used, may)
        state.u[:] = held

    def _back_to(
        self, k: int, states: Mapping[int, int], from_s: float, target_s: float,
        slopes: Row | None, used: Row, slopes_used: Row,
    ) -> None:  # fmt: skip
        state = self.state
        if k not in states:
            self.note(f"unit '{self.units[k].name}' cannot go back: it meets others' events late")
            return
        self.rejected += 1
        if self.attempt(k, lambda: self.units[k].restore(states[k]) or True) is not None:
            state.at[k] = from_s
            self._step_one(k, target_s, slopes, used, slopes_used, True)

    def _handle_events(self, wants: list[int]) -> None:
        state, wiring = self.state, self.wiring
        for k in wants:
            self.events.append((state.time_s, self.units[k].name))
        for _ in range(EVENT_ROUNDS_MAX):
            for k in wants:
                row = state.u[wiring.inputs_of[k]]
                end = self.attempt(k, lambda k=k, row=row: self.units[k].event(state.time_s, row))
                if end is not None:
                    state.y[wiring.outputs_of[k]] = end.outputs
                    self.note_end(k, end, is_event=True)
            self.drop_dead()
            before = state.u.copy()
            wiring.apply(state.y, state.u)
            wants = [
                k
                for k in self._scouts
                if self.alive[k]
                and not np.array_equal(before[wiring.inputs_of[k]], state.u[wiring.inputs_of[k]])
            ]
            if not wants:
                break
        else:
            for k in wants:
                why = f"events have not settled after {EVENT_ROUNDS_MAX} rounds"
                self.lose(k, UnitEnded(self.units[k].name, state.time_s, why))
            self.drop_dead()
        state.earlier = None
        self.pending.append(Step(state.time_s, state.y.copy(), 0.0, state.y, state.u, None))

    # --- inputs ---

    def _apply_signals(self, time_s: float, u: Row) -> None:
        for place, call in self._signals:
            u[place.columns] = call(time_s)

    def _slopes(self, state: State, step_s: float) -> Row | None:
        if self._inputs is not Inputs.LINEAR or state.earlier is None or step_s <= 0:
            return None
        earlier_s, earlier = state.earlier
        slopes = np.zeros(self.wiring.n_inputs)
        fed = self.wiring.targets
        if state.time_s > earlier_s:
            slopes[fed] = (state.u[fed] - earlier[fed]) / (state.time_s - earlier_s)
        slopes[self.loop] = 0.0
        return slopes

    def settle(self) -> None:
        """Values at the start, passed on until nothing changes any more."""
        state, wiring = self.state, self.wiring

        def outputs_of(u: Row) -> None:
            for k in self.living():
                row = u[wiring.inputs_of[k]]
                self.keep(k, lambda k=k, row=row: self.units[k].settle(row))

        for _ in range(len(self.units) + 1):
            before = state.u.copy()
            wiring.apply(state.y, state.u)
            if np.array_equal(before, state.u, equal_nan=True):
                break
            outputs_of(state.u)
        if not len(self.loop):
            return

        def residual(x: Row) -> Row:
            u = state.u.copy()
            u[self.loop] = x
            for _ in range(len(self.units) + 1):
                outputs_of(u)
                fed = u.copy()
                wiring.apply(state.y, fed)
                fed[self.loop] = x
                if np.array_equal(fed, u):
                    break
                u = fed
            wiring.apply(state.y, state.u)
            return state.u[self.loop] - x

        try:
            x, _ = solve(residual, np.zeros(len(self.loop)), None)
        except NoSolution as error:
            raise FmiError(f"at the start the loop is not solved: {error}") from None
        state.u[self.loop] = x

    # --- going back ---

    def save(self) -> Kept:
        states: dict[int, int] = {}
        for k in self.living():
            kept = self.attempt(k, self.units[k].save)
            if kept is not None:
                states[k] = kept
        return self.state.copy(), states, len(self.events)

    def restore(self, kept: Kept) -> None:
        state, states, n_events = kept
        for k, number in states.items():
            self.attempt(k, lambda k=k, number=number: self.units[k].restore(number) or True)
        now, fresh = self.state, state.copy()
        now.time_s, now.at, now.next_event = fresh.time_s, fresh.at, fresh.next_event
        now.y[:], now.u[:], now.earlier = fresh.y, fresh.u, fresh.earlier
        del self.events[n_events:]

    def free(self, kept: Kept) -> None:
        for k, number in kept[1].items():
            self.attempt(k, lambda k=k, number=number: self.units[k].free(number) or True)

    # --- life and death ---

    def living(self) -> list[int]:
        return [k for k, alive in enumerate(self.alive) if alive]

    def keep(self, k: int, call: Callable[[], Row]) -> None:
        row = self.attempt(k, call)
        if row is not None:
            self.state.y[self.wiring.outputs_of[k]] = row

    def attempt(self, k: int, call: Callable[[], T]) -> T | None:
        if not self.alive[k]:
            return None
        try:
            return call()
        except UnitEnded as ended:
            self.lose(k, ended)
            return None

    def lose(self, k: int, ended: UnitEnded) -> None:
        self.alive[k] = False
        self.ended.append(ended)
        self.units[k].close()

    def drop_dead(self) -> None:
        """Stops who is fed by a unit that has ended, and takes their values away."""
        dead = [k for k, alive in enumerate(self.alive) if not alive]
        front = list(dead)
        while front:
            k = front.pop()
            for other in self.wiring.fed_by(k):
                if self.alive[other]:
                    self.alive[other] = False
                    self.stopped[self.units[other].name] = (
                        f"unit '{self.units[k].name}', which feeds it, has ended"
                    )
                    self.units[other].close()
                    front.append(other)
        for k, alive in enumerate(self.alive):
            if not alive:
                self.state.y[self.wiring.outputs_of[k]] = np.nan

    def look_alive(self) -> None:
        if not any(self.alive):
            self.has_ended = True

    def note_end(self, k: int, end: StepEnd, *, is_event: bool = False) -> None:
        if is_event:
            self.state.next_event[k] = np.inf if end.next_event_s is None else end.next_event_s
        if end.has_ended:
            self.note(f"unit '{self.units[k].name}' asked for the end at t = {end.time_s:.9g} s")
            self.has_ended = True

    def note(self, text: str) -> None:
        if len(self.notes) < NOTES_MAX:
            self.notes[text] = None
