"""The master: units that are coupled step together, exchange values, meet at events.

One communication step takes all units from one point of time to the next. Jacobi: all with the
values of its start, FMUs in parallel. Gauss-Seidel: in the order given, each with what those
before it have just come to. Units that may stop early (FMI 3 events) go first, and the step is
only as long as the first of them goes; who has gone further is taken back to a saved state. An
FMI 2 unit has no events: a watched variable that jumps or changes sign within a step has the step
taken back and split until the place is known.

A unit that ends against its will is named; who is fed by it is stopped with it, the others go on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.conservation import Bond, BondMeter
from mirrorworld.simulation.fmi.description import Sort
from mirrorworld.simulation.fmi.graph import Connection, Place, Wiring
from mirrorworld.simulation.fmi.ports import CoupledUnit, Row, StepEnd, UnitEnded
from mirrorworld.simulation.fmi.results import Rows, RunResult, told
from mirrorworld.simulation.fmi.solving import NoSolution, solve

T = TypeVar("T")

EVENT_ROUNDS_MAX: Final = 50
EVENTS_PER_STEP_MAX: Final = 10_000
NOTES_MAX: Final = 100
STEPS_MAX: Final = 100_000_000
SMALL: Final = 1e-12
"""Times nearer than this, relative to their size, are one."""


class Order(enum.Enum):
    """In what order units step."""

    JACOBI = "jacobi"
    GAUSS_SEIDEL = "gauss_seidel"


class Inputs(enum.Enum):
    """What connected inputs do within a step."""

    HOLD = "hold"
    LINEAR = "linear"
    """They go on as they went (Jacobi), or towards what is known of the end (Gauss-Seidel): by a
    slope where a unit takes one, else by the value of the middle of the step."""


class Loops(enum.Enum):
    """What is done about loops without delay."""

    REFUSE = "refuse"
    DELAY = "delay"
    """They are broken by the delay of one step."""
    ITERATE = "iterate"
    """They are solved, at the start and in every step, by repeating it."""


@dataclass(slots=True)
class _State:
    """Where all is between two steps."""

    time_s: float
    y: Row
    u: Row
    at: list[float]
    """Time of each unit; one may be ahead, or wait for a step of its own length."""
    next_event: list[float]
    earlier: tuple[float, Row] | None = None
    """(time, inputs) of the communication point before, if nothing has jumped since."""

    def copy(self) -> _State:
        return _State(
            self.time_s, self.y.copy(), self.u.copy(), list(self.at), list(self.next_event),
            self.earlier,
        )  # fmt: skip


class Master:
    """Couples units and steps them.

    Args:
        units: FMUs in their processes, Python models; closed with the master.
        connections: which output feeds which input.
        bonds: what is to be watched for conservation.
        watches: variables of units whose sign changes or jumps are events (FMI 2).
        constants: values of inputs that nothing feeds.
        signals: inputs as functions of time (s), read at the start of each step.

    Raises:
        FmiError, UnitError: something does not fit; see `graph.py`.
    """

    def __init__(
        self,
        units: Sequence[CoupledUnit],
        connections: Iterable[Connection] = (),
        *,
        bonds: Iterable[Bond] = (),
        watches: Iterable[str] = (),
        order: Order = Order.JACOBI,
        inputs: Inputs = Inputs.HOLD,
        loops: Loops = Loops.REFUSE,
        constants: Mapping[str, float] | None = None,
        signals: Mapping[str, Callable[[float], float]] | None = None,
    ) -> None:
        self.wiring = Wiring(units, connections)
        self.units = self.wiring.units
        self._order, self._inputs = order, inputs
        self._meters = [BondMeter(bond, self.wiring) for bond in bonds]
        self._watches = [self.wiring.find(name, is_input=False) for name in watches]
        self._watch_names = list(watches)
        self._signals = [(self._free(name), call) for name, call in (signals or {}).items()]
        self._u = self.wiring.start_inputs()
        for name, value in (constants or {}).items():
            self._u[self._free(name).columns] = value
        self._loop = self._looped(loops)
        self._jacobian = None
        self._scouts = [k for k, unit in enumerate(units) if unit.has_events]
        self._must_save(bool(watches), "watching for events")
        self._must_save(bool(len(self._loop)), "iterating a loop")
        self._alive = [True] * len(units)
        self._ended: list[UnitEnded] = []
        self._stopped: dict[str, str] = {}
        self._events: list[tuple[float, str]] = []
        self._notes: dict[str, None] = {}
        for place in self.wiring.unchecked:
            self._note(f"{place}: one side says nothing of its unit")
        self._steps = self._rejected = 0
        self._state: _State | None = None
        self._pending: list[tuple[float, Row, float, Row, Row, Row | None]] = []
        self.rows = Rows(self.wiring.output_names())
        self.has_ended = False
        """Whether a unit has asked for the end, or none is left."""

    def _note(self, text: str) -> None:
        if len(self._notes) < NOTES_MAX:
            self._notes[text] = None

    def _free(self, name: str) -> Place:
        place = self.wiring.find(name, is_input=True)
        if np.isin(np.arange(place.columns.start, place.columns.stop), self.wiring.targets).any():
            raise FmiError(f"'{name}': a connection feeds it already")
        return place

    def _looped(self, loops: Loops) -> np.ndarray:
        none = np.empty(0, np.intp)
        found = self.wiring.loops()
        if not found or loops is Loops.DELAY:
            return none
        if loops is Loops.ITERATE:
            return self.wiring.loop_inputs()
        way = " → ".join([*found[0], found[0][0]])
        doubt = (
            ""
            if self.wiring.is_certain(found[0])
            else " (at least one unit does not say on which inputs its outputs depend)"
        )
        raise FmiError(
            f"loop without delay: {way}{doubt}; put a unit with memory into it, or choose"
            " loops=iterate to solve it, or loops=delay to break it by one step"
        )

    def _must_save(self, is_needed: bool, what: str) -> None:
        for unit in self.units if is_needed else ():
            if not (unit.can_save and unit.can_vary_step):
                raise FmiError(
                    f"unit '{unit.name}' cannot be taken back to an earlier state"
                    f" (canGetAndSetFMUState, canHandleVariableCommunicationStepSize): {what} needs"
                    " that of every unit"
                )

    # --- running ---

    def run(
        self,
        stop_s: float,
        step_s: float,
        *,
        start_s: float = 0.0,
        tolerance: float | None = None,
    ) -> RunResult:
        """Everything in one go; see `begin` and `advance`. Closes the units."""
        try:
            self.begin(start_s, stop_s, tolerance)
            self.advance(stop_s, step_s, tolerance=tolerance)
            return self.result()
        finally:
            self.close()

    def begin(
        self, start_s: float, stop_s: float | None = None, tolerance: float | None = None
    ) -> None:
        """Instantiates and initialises all units, and settles what they tell each other."""
        wiring, u = self.wiring, self._u
        y = np.full(wiring.n_outputs, np.nan)
        n = len(self.units)
        self._state = _State(start_s, y, u, [start_s] * n, [np.inf] * n)
        self._apply_signals(start_s, u)
        for k, unit in enumerate(self.units):
            self._keep(k, lambda unit=unit, k=k: unit.initialise(
                start_s, stop_s, tolerance, u[wiring.inputs_of[k]]
            ))  # fmt: skip
        self._settle()
        for k in self._living():
            end = self._try(k, self.units[k].begin)
            if end is not None:
                y[wiring.outputs_of[k]] = end.outputs
                self._note_end(k, end, is_event=True)
        wiring.apply(y, u)
        self._drop_dead()
        self.rows.add(start_s, y)
        self._look_alive()

    def advance(
        self, until_s: float, step_s: float, *, tolerance: float | None = None,
        step_min_s: float = 0.0,
    ) -> None:  # fmt: skip
        """Steps until a time, or until nothing is left to step.

        Args:
            step_s: length of a communication step; with `tolerance`, of the first one.
            tolerance: relative error that a step may have, estimated by taking it in halves too;
                every unit must be able to go back. None: all steps are `step_s`.
            step_min_s: below it a step is accepted whatever its error; 0: a millionth of `step_s`.
        """
        state = self._now
        if not (np.isfinite(step_s) and step_s > 0):
            raise FmiError(f"step {step_s} s; give a time above 0")
        self._check_steps(until_s - state.time_s, step_s)
        if tolerance is not None:
            self._must_save(True, "a tolerance")
            self._advance_within(until_s, step_s, tolerance, step_min_s or step_s * 1e-6)
            return
        start_s = state.time_s
        n = max(0, round((until_s - start_s) / step_s))
        if abs(start_s + n * step_s - until_s) > SMALL * max(1.0, abs(until_s)):
            n = int((until_s - start_s) / step_s) + 1
        for k in range(1, n + 1):
            # Multiples of the step, so that errors of adding do not pile up.
            grid_s = until_s if k == n else start_s + k * step_s
            for _ in range(EVENTS_PER_STEP_MAX):
                if self.has_ended or self._is_at(grid_s):
                    break
                self._split_at_watches(grid_s, step_s)
                self._commit()
            else:
                self._end_swarm(grid_s)
            if self.has_ended:
                return

    def _end_swarm(self, grid_s: float) -> None:
        """Events without end within one step: who makes them is ended."""
        name = self._events[-1][1] if self._events else ""
        for k in self._living():
            if self.units[k].name == name or name.startswith(self.units[k].name + "."):
                why = f"more than {EVENTS_PER_STEP_MAX} events before t = {grid_s:.9g} s"
                self._lose(k, UnitEnded(self.units[k].name, self._now.time_s, why))
        self._drop_dead()
        self._look_alive()

    def set_input(self, name: str, value: float) -> None:
        """Gives an input that nothing feeds another value, from the next step on."""
        self._u[self._free(name).columns] = value

    def result(self) -> RunResult:
        """What there is so far."""
        times_s, values = self.rows.all()
        return RunResult(
            times_s, self.rows.names, values, tuple(self._ended), dict(self._stopped),
            tuple(self._events), tuple(meter.report() for meter in self._meters),
            tuple(self._notes), self._steps, self._rejected,
        )  # fmt: skip

    def take(self) -> tuple[Row, Row]:
        """(times in s, rows of outputs) since it was last asked; they are forgotten here, so that
        a run may last for ever."""
        taken = self.rows.all()
        self.rows.clear()
        self._events.clear()
        for meter in self._meters:
            meter.forget()
        return taken

    def findings(self) -> list[str]:
        """Everything that a person should be told so far, in sentences."""
        bonds = [meter.report() for meter in self._meters]
        return told(self._ended, self._stopped, bonds, list(self._notes))

    @property
    def stopped(self) -> Mapping[str, str]:
        """Units that were stopped since one that feeds them ended -> why."""
        return self._stopped

    @property
    def ended(self) -> tuple[UnitEnded, ...]:
        """Units that came to an end that they should not have."""
        return tuple(self._ended)

    @property
    def time_s(self) -> float:
        """The time that all units have reached."""
        return self._now.time_s

    def close(self) -> None:
        """Ends all units."""
        for unit in self.units:
            unit.close()

    # --- one step ---

    @property
    def _now(self) -> _State:
        if self._state is None:
            raise FmiError("the master has not begun")
        return self._state

    def _is_at(self, time_s: float) -> bool:
        return self._now.time_s >= time_s - SMALL * max(1.0, abs(time_s))

    def _check_steps(self, span_s: float, step_s: float) -> None:
        if span_s / step_s > STEPS_MAX:
            raise FmiError(f"{span_s / step_s:.3g} steps; at most {STEPS_MAX} are made at once")
        for k in self._living():
            unit = self.units[k]
            rest = abs(span_s / step_s - round(span_s / step_s))
            if not unit.can_vary_step and rest > 1e-6:
                raise FmiError(
                    f"unit '{unit.name}' takes steps of one length only, and {span_s:g} s is no"
                    f" multiple of {step_s:g} s"
                )

    def _macro(self, target_s: float, is_grid: bool = True) -> None:
        """All units to a time, or to the first event before it."""
        if not len(self._loop):
            self._pass(target_s, is_grid)
            return
        kept = self._save()
        x0 = self._now.u[self._loop].copy()

        def residual(x: Row) -> Row:
            self._restore(kept)
            self._pending = pending[:]
            self._now.u[self._loop] = x
            self._pass(target_s, is_grid, is_looped=True)
            fed = np.zeros(self.wiring.n_inputs)
            self.wiring.apply(self._now.y, fed)
            return fed[self._loop] - x

        pending = self._pending[:]
        try:
            _, self._jacobian = solve(residual, x0, self._jacobian, 1e-9)
        except NoSolution as error:
            raise FmiError(
                f"at t = {self._now.time_s:.9g} s the loop is not solved: {error}"
            ) from None
        finally:
            self._free_states(kept)

    def _pass(self, target_s: float, is_grid: bool, is_looped: bool = False) -> None:
        state, wiring = self._now, self.wiring
        start_s, before = state.time_s, state.y.copy()
        next_s = min((state.next_event[k] for k in self._living()), default=np.inf)
        if next_s < target_s - SMALL * max(1.0, abs(target_s)) and next_s > start_s:
            target_s, is_grid = next_s, False
        step_s = target_s - start_s
        self._apply_signals(start_s, state.u)
        slopes = self._slopes(state, step_s)
        used, slopes_used = state.u.copy(), np.zeros(wiring.n_inputs)
        scouts = [k for k in self._scouts if self._alive[k]]
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
            self._try(k, lambda k=k, kept=kept: self.units[k].free(kept))
        rest = [k for k in self._living() if k not in scouts]
        if not is_grid:
            rest = [k for k in rest if self.units[k].can_vary_step]
        if self._order is Order.JACOBI or is_looped:
            self._step_all(rest, reached_s, slopes, used, slopes_used)
        else:
            self._step_in_order(rest, reached_s, slopes, used, slopes_used)
        state.time_s = reached_s
        self._drop_dead()
        self._pending.append(
            (reached_s, state.y.copy(), reached_s - start_s, before, used, slopes_used)
        )
        state.earlier = (start_s, state.u.copy())
        wiring.apply(state.y, state.u)
        wants |= {k for k in scouts if self._alive[k] and state.next_event[k] <= reached_s + SMALL}
        if wants:
            self._handle_events(sorted(wants))
        self._look_alive()

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
        state, unit, at = self._now, self.units[k], self.wiring.inputs_of[k]
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
        return self._try(
            k, lambda: unit.begin_step(from_s, step_s, row, slope, may_restore) or True
        ) is not None  # fmt: skip

    def _finish_one(self, k: int, target_s: float) -> StepEnd | None:
        state, unit = self._now, self.units[k]
        end = self._try(k, unit.finish_step)
        if end is None:
            return None
        for _ in range(EVENT_ROUNDS_MAX):
            if k in self._scouts or end.time_s >= target_s - SMALL * max(1.0, abs(target_s)):
                break
            if end.has_ended:
                break
            # An FMI 2 unit that discards a step goes on from where it came to.
            self._note(f"unit '{unit.name}' has cut steps short; it went on alone")
            row, from_s = state.u[self.wiring.inputs_of[k]], end.time_s
            more = self._try(
                k, lambda row=row, from_s=from_s: unit.begin_step(
                    from_s, target_s - from_s, row, None, False
                ) or True
            )  # fmt: skip
            end = self._try(k, unit.finish_step) if more is not None else None
            if end is None:
                return None
        state.y[self.wiring.outputs_of[k]] = end.outputs
        state.at[k] = end.time_s
        self._note_end(k, end)
        return end

    def _step_all(
        self, those: Sequence[int], target_s: float, slopes: Row | None, used: Row,
        slopes_used: Row,
    ) -> None:  # fmt: skip
        may = bool(self._watches) or bool(len(self._loop))
        begun = [k for k in those if self._begin_one(k, target_s, slopes, used, slopes_used, may)]
        for k in begun:
            self._finish_one(k, target_s)

    def _step_in_order(
        self, those: Sequence[int], target_s: float, foreseen: Row | None, used: Row,
        slopes_used: Row,
    ) -> None:  # fmt: skip
        state, wiring = self._now, self.wiring
        may = bool(self._watches)
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
        state = self._now
        if k not in states:
            self._note(f"unit '{self.units[k].name}' cannot go back: it meets others' events late")
            return
        self._rejected += 1
        if self._try(k, lambda: self.units[k].restore(states[k]) or True) is not None:
            state.at[k] = from_s
            self._step_one(k, target_s, slopes, used, slopes_used, True)

    def _handle_events(self, wants: list[int]) -> None:
        state, wiring = self._now, self.wiring
        for k in wants:
            self._events.append((state.time_s, self.units[k].name))
        for _ in range(EVENT_ROUNDS_MAX):
            for k in wants:
                row = state.u[wiring.inputs_of[k]]
                end = self._try(k, lambda k=k, row=row: self.units[k].event(state.time_s, row))
                if end is not None:
                    state.y[wiring.outputs_of[k]] = end.outputs
                    self._note_end(k, end, is_event=True)
            self._drop_dead()
            before = state.u.copy()
            wiring.apply(state.y, state.u)
            wants = [
                k
                for k in self._scouts
                if self._alive[k]
                and not np.array_equal(before[wiring.inputs_of[k]], state.u[wiring.inputs_of[k]])
            ]
            if not wants:
                break
        else:
            for k in wants:
                why = f"events have not settled after {EVENT_ROUNDS_MAX} rounds"
                self._lose(k, UnitEnded(self.units[k].name, state.time_s, why))
            self._drop_dead()
        state.earlier = None
        self._pending.append((state.time_s, state.y.copy(), 0.0, state.y, state.u, None))

    # --- inputs ---

    def _apply_signals(self, time_s: float, u: Row) -> None:
        for place, call in self._signals:
            u[place.columns] = call(time_s)

    def _slopes(self, state: _State, step_s: float) -> Row | None:
        if self._inputs is not Inputs.LINEAR or state.earlier is None or step_s <= 0:
            return None
        earlier_s, earlier = state.earlier
        slopes = np.zeros(self.wiring.n_inputs)
        fed = self.wiring.targets
        if state.time_s > earlier_s:
            slopes[fed] = (state.u[fed] - earlier[fed]) / (state.time_s - earlier_s)
        slopes[self._loop] = 0.0
        return slopes

    def _settle(self) -> None:
        """Values at the start, passed on until nothing changes any more."""
        state, wiring = self._now, self.wiring

        def outputs_of(u: Row) -> None:
            for k in self._living():
                row = u[wiring.inputs_of[k]]
                self._keep(k, lambda k=k, row=row: self.units[k].settle(row))

        for _ in range(len(self.units) + 1):
            before = state.u.copy()
            wiring.apply(state.y, state.u)
            if np.array_equal(before, state.u, equal_nan=True):
                break
            outputs_of(state.u)
        if not len(self._loop):
            return

        def residual(x: Row) -> Row:
            u = state.u.copy()
            u[self._loop] = x
            for _ in range(len(self.units) + 1):
                outputs_of(u)
                fed = u.copy()
                wiring.apply(state.y, fed)
                fed[self._loop] = x
                if np.array_equal(fed, u):
                    break
                u = fed
            wiring.apply(state.y, state.u)
            return state.u[self._loop] - x

        try:
            x, _ = solve(residual, np.zeros(len(self._loop)), None)
        except NoSolution as error:
            raise FmiError(f"at the start the loop is not solved: {error}") from None
        state.u[self._loop] = x

    # --- going back ---

    def _save(self) -> tuple[_State, dict[int, int], int]:
        states: dict[int, int] = {}
        for k in self._living():
            kept = self._try(k, self.units[k].save)
            if kept is not None:
                states[k] = kept
        return self._now.copy(), states, len(self._events)

    def _restore(self, kept: tuple[_State, dict[int, int], int]) -> None:
        state, states, n_events = kept
        for k, number in states.items():
            self._try(k, lambda k=k, number=number: self.units[k].restore(number) or True)
        now, fresh = self._now, state.copy()
        now.time_s, now.at, now.next_event = fresh.time_s, fresh.at, fresh.next_event
        now.y[:], now.u[:], now.earlier = fresh.y, fresh.u, fresh.earlier
        del self._events[n_events:]

    def _free_states(self, kept: tuple[_State, dict[int, int], int]) -> None:
        for k, number in kept[1].items():
            self._try(k, lambda k=k, number=number: self.units[k].free(number) or True)

    def _split_at_watches(self, target_s: float, grid_step_s: float) -> None:
        """A step; where a watched variable changes in it, only up to there."""
        if not self._watches:
            self._macro(target_s)
            return
        kept = self._save()
        before = kept[0]
        try:
            self._macro(target_s)
            changed = self._changed(before.y)
            low_s, high_s = before.time_s, self._now.time_s
            if not changed or high_s <= low_s:
                return
            while high_s - low_s > max(grid_step_s * 1e-9, SMALL * max(1.0, abs(high_s))):
                middle_s = (low_s + high_s) / 2
                self._rejected += 1
                self._again(kept, middle_s)
                if self._changed(before.y):
                    high_s = self._now.time_s
                else:
                    low_s = middle_s
            self._again(kept, high_s)
            for n in self._changed(before.y) or changed:
                self._events.append((self._now.time_s, self._watch_names[n]))
            self._now.earlier = None
        finally:
            self._free_states(kept)

    def _again(self, kept: tuple[_State, dict[int, int], int], target_s: float) -> None:
        self._restore(kept)
        self._pending.clear()
        self._macro(target_s)

    def _changed(self, before: Row) -> list[int]:
        found: list[int] = []
        for n, place in enumerate(self._watches):
            was, now = before[place.columns], self._now.y[place.columns]
            if place.port.sort is Sort.FLOAT:
                has = np.any((was != 0) & (was * now <= 0))
            else:
                has = not np.array_equal(was, now)
            if has and self._alive[place.unit]:
                found.append(n)
        return found

    def _advance_within(
        self, until_s: float, step_s: float, tolerance: float, step_min_s: float
    ) -> None:
        """Steps as long as their error allows: each is taken whole, then in halves."""
        while not self.has_ended and not self._is_at(until_s):
            start_s = self._now.time_s
            end_s = until_s if start_s + step_s * 1.01 >= until_s else start_s + step_s
            kept = self._save()
            n_events = len(self._events)
            try:
                self._split_at_watches(end_s, step_s)
                whole, reached_s = self._now.y.copy(), self._now.time_s
                if self.has_ended or len(self._events) > n_events:
                    self._commit()  # an event is where it is; there is no error to estimate
                    continue
                self._again(kept, (start_s + reached_s) / 2)
                self._macro(reached_s)
                halves = self._now.y
                error = np.nanmax(np.abs(halves - whole) / (1 + np.abs(halves)), initial=0.0)
                error /= tolerance
                if error <= 1 or reached_s - start_s <= step_min_s:
                    if error > 1:
                        self._note(
                            f"at t = {start_s:.9g} s no step above {step_min_s:g} s is exact enough"
                        )
                    self._commit()
                else:
                    self._rejected += 1
                    self._restore(kept)
                    self._pending.clear()
                # The difference of whole and halves falls with the square of the step.
                factor = 0.9 / np.sqrt(max(error, 1e-6))
                step_s = max(step_min_s, (reached_s - start_s) * min(2.0, max(0.2, factor)))
            finally:
                self._free_states(kept)

    def _commit(self) -> None:
        for time_s, y, step_s, before, used, slopes in self._pending:
            self.rows.add(time_s, y)
            if step_s > 0:
                self._steps += 1
                for meter in self._meters:
                    meter.step(time_s, step_s, before, y, used, slopes)
        self._pending.clear()

    # --- life and death ---

    def _living(self) -> list[int]:
        return [k for k, alive in enumerate(self._alive) if alive]

    def _keep(self, k: int, call: Callable[[], Row]) -> None:
        row = self._try(k, call)
        if row is not None:
            self._now.y[self.wiring.outputs_of[k]] = row

    def _try(self, k: int, call: Callable[[], T]) -> T | None:
        if not self._alive[k]:
            return None
        try:
            return call()
        except UnitEnded as ended:
            self._lose(k, ended)
            return None

    def _lose(self, k: int, ended: UnitEnded) -> None:
        self._alive[k] = False
        self._ended.append(ended)
        self.units[k].close()

    def _drop_dead(self) -> None:
        """Stops who is fed by a unit that has ended, and takes their values away."""
        dead = [k for k, alive in enumerate(self._alive) if not alive]
        front = list(dead)
        while front:
            k = front.pop()
            for other in self.wiring.fed_by(k):
                if self._alive[other]:
                    self._alive[other] = False
                    self._stopped[self.units[other].name] = (
                        f"unit '{self.units[k].name}', which feeds it, has ended"
                    )
                    self.units[other].close()
                    front.append(other)
        for k, alive in enumerate(self._alive):
            if not alive:
                self._now.y[self.wiring.outputs_of[k]] = np.nan

    def _look_alive(self) -> None:
        if not any(self._alive):
            self.has_ended = True

    def _note_end(self, k: int, end: StepEnd, *, is_event: bool = False) -> None:
        if is_event:
            self._now.next_event[k] = np.inf if end.next_event_s is None else end.next_event_s
        if end.has_ended:
            self._note(f"unit '{self.units[k].name}' asked for the end at t = {end.time_s:.9g} s")
            self.has_ended = True
