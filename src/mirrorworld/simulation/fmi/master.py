"""The master: which steps the units of a coupling make, and what is kept of them.

All steps of one length, or as long as a tolerance allows. An FMI 2 unit has no events: a watched
variable that jumps or changes sign within a step has the step taken back and split until the
place is known. How one step is made stands in `stepping.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.conservation import Bond, BondMeter
from mirrorworld.simulation.fmi.description import Sort
from mirrorworld.simulation.fmi.graph import Connection, Place, Wiring
from mirrorworld.simulation.fmi.methods import Inputs, Loops, Order
from mirrorworld.simulation.fmi.ports import CoupledUnit, Row, UnitEnded
from mirrorworld.simulation.fmi.results import Rows, RunResult, told
from mirrorworld.simulation.fmi.stepping import SMALL, Ensemble, Kept

EVENTS_PER_STEP_MAX: Final = 10_000
STEPS_MAX: Final = 100_000_000


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
        self._meters = [BondMeter(bond, self.wiring) for bond in bonds]
        self._watches = [(name, self.wiring.find(name, is_input=False)) for name in watches]
        loop = self._looped(loops)
        self._must_save(bool(self._watches), "watching for events")
        self._must_save(bool(len(loop)), "iterating a loop")
        called = [(self._free(name), call) for name, call in (signals or {}).items()]
        self._all = Ensemble(self.wiring, order, inputs, loop, called, bool(self._watches))
        for name, value in (constants or {}).items():
            self.set_input(name, value)
        for place in self.wiring.unchecked:
            self._all.note(f"{place}: one side says nothing of its unit")
        self._steps = 0
        self.rows = Rows(self.wiring.output_names())

    def _free(self, name: str) -> Place:
        place = self.wiring.find(name, is_input=True)
        if np.isin(np.arange(place.columns.start, place.columns.stop), self.wiring.targets).any():
            raise FmiError(f"'{name}': a connection feeds it already")
        return place

    def _looped(self, loops: Loops) -> NDArray[np.intp]:
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
        self._all.begin(start_s, stop_s, tolerance)
        self.rows.add(start_s, self._all.state.y)

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
        if not (np.isfinite(step_s) and step_s > 0):
            raise FmiError(f"step {step_s} s; give a time above 0")
        self._check_steps(until_s - self.time_s, step_s)
        if tolerance is not None:
            self._must_save(True, "a tolerance")
            self._all.is_split = True
            self._advance_within(until_s, step_s, tolerance, step_min_s or step_s * 1e-6)
            return
        start_s = self.time_s
        n = max(0, round((until_s - start_s) / step_s))
        if not self._is_close(start_s + n * step_s, until_s):
            n = int((until_s - start_s) / step_s) + 1
        is_whole = self._is_close(start_s + n * step_s, until_s)
        done = self._run_through(step_s, n if is_whole else n - 1)
        for k in range(done + 1, n + 1):
            # Multiples of the step, so that errors of adding do not pile up.
            grid_s = until_s if k == n else start_s + k * step_s
            for _ in range(EVENTS_PER_STEP_MAX):
                if self._all.has_ended or self._all.is_at(grid_s):
                    break
                self._split_at_watches(grid_s, step_s)
                self._commit()
            else:
                self._end_swarm(grid_s)
            if self._all.has_ended:
                return

    @staticmethod
    def _is_close(one_s: float, other_s: float) -> bool:
        return abs(one_s - other_s) <= SMALL * max(1.0, abs(other_s))

    def _run_through(self, step_s: float, n: int) -> int:
        """A unit alone that nothing has to be asked of at each step goes through them in its own
        process; returns how many are done."""
        if len(self.units) != 1 or self._meters or self._watches or n < 2:
            return 0
        times_s, rows = self._all.through(step_s, n)
        self.rows.add_all(times_s, rows)
        self._steps += len(rows)
        return len(rows)

    def _end_swarm(self, grid_s: float) -> None:
        """Events without end within one step: who makes them is ended."""
        name = self._all.events[-1][1] if self._all.events else ""
        for k in self._all.living():
            if self.units[k].name == name or name.startswith(self.units[k].name + "."):
                why = f"more than {EVENTS_PER_STEP_MAX} events before t = {grid_s:.9g} s"
                self._all.lose(k, UnitEnded(self.units[k].name, self._all.state.time_s, why))
        self._all.drop_dead()
        self._all.look_alive()

    def set_input(self, name: str, value: float) -> None:
        """Gives an input that nothing feeds another value, from the next step on."""
        self._all.state.u[self._free(name).columns] = value

    def result(self) -> RunResult:
        """What there is so far."""
        times_s, values = self.rows.all()
        return RunResult(
            times_s, self.rows.names, values, tuple(self._all.ended), dict(self._all.stopped),
            tuple(self._all.events), tuple(meter.report() for meter in self._meters),
            tuple(self._all.notes), self._steps, self._all.rejected,
        )  # fmt: skip

    def take(self) -> tuple[Row, Row]:
        """(times in s, rows of outputs) since it was last asked; they are forgotten here, so that
        a run may last for ever."""
        taken = self.rows.all()
        self.rows.clear()
        self._all.events.clear()
        for meter in self._meters:
            meter.forget()
        return taken

    def findings(self) -> list[str]:
        """Everything that a person should be told so far, in sentences."""
        bonds = [meter.report() for meter in self._meters]
        return told(self._all.ended, self._all.stopped, bonds, list(self._all.notes))

    @property
    def has_ended(self) -> bool:
        """Whether a unit has asked for the end, or none is left."""
        return self._all.has_ended

    @property
    def stopped(self) -> Mapping[str, str]:
        """Units that were stopped since one that feeds them ended -> why."""
        return self._all.stopped

    @property
    def ended(self) -> tuple[UnitEnded, ...]:
        """Units that came to an end that they should not have."""
        return tuple(self._all.ended)

    @property
    def time_s(self) -> float:
        """The time that all units have reached."""
        return self._all.state.time_s

    def close(self) -> None:
        """Ends all units."""
        for unit in self.units:
            unit.close()

    # --- steps ---

    def _check_steps(self, span_s: float, step_s: float) -> None:
        if span_s / step_s > STEPS_MAX:
            raise FmiError(f"{span_s / step_s:.3g} steps; at most {STEPS_MAX} are made at once")
        for k in self._all.living():
            unit = self.units[k]
            rest = abs(span_s / step_s - round(span_s / step_s))
            if not unit.can_vary_step and rest > 1e-6:
                raise FmiError(
                    f"unit '{unit.name}' takes steps of one length only, and {span_s:g} s is no"
                    f" multiple of {step_s:g} s"
                )

    def _split_at_watches(self, target_s: float, grid_step_s: float) -> None:
        """A step; where a watched variable changes in it, only up to there."""
        if not self._watches:
            self._all.reach(target_s)
            return
        kept = self._all.save()
        before = kept[0]
        try:
            self._all.reach(target_s)
            changed = self._changed(before.y)
            low_s, high_s = before.time_s, self._all.state.time_s
            if not changed or high_s <= low_s:
                return
            while high_s - low_s > max(grid_step_s * 1e-9, SMALL * max(1.0, abs(high_s))):
                middle_s = (low_s + high_s) / 2
                self._all.rejected += 1
                self._again(kept, middle_s)
                if self._changed(before.y):
                    high_s = self._all.state.time_s
                else:
                    low_s = middle_s
            self._again(kept, high_s)
            for name in self._changed(before.y) or changed:
                self._all.events.append((self.time_s, name))
            self._all.state.earlier = None
        finally:
            self._all.free(kept)

    def _again(self, kept: Kept, target_s: float) -> None:
        self._all.restore(kept)
        self._all.pending.clear()
        self._all.reach(target_s)

    def _changed(self, before: Row) -> list[str]:
        """The watched variables that have jumped or changed sign since."""
        found: list[str] = []
        for name, place in self._watches:
            was, now = before[place.columns], self._all.state.y[place.columns]
            if place.port.sort is Sort.FLOAT:
                has = np.any((was != 0) & (was * now <= 0))
            else:
                has = not np.array_equal(was, now)
            if has and self._all.alive[place.unit]:
                found.append(name)
        return found

    def _advance_within(
        self, until_s: float, step_s: float, tolerance: float, step_min_s: float
    ) -> None:
        """Steps as long as their error allows: each is taken whole, then in halves."""
        while not self._all.has_ended and not self._all.is_at(until_s):
            start_s = self._all.state.time_s
            end_s = until_s if start_s + step_s * 1.01 >= until_s else start_s + step_s
            kept = self._all.save()
            n_events = len(self._all.events)
            try:
                self._split_at_watches(end_s, step_s)
                whole, reached_s = self._all.state.y.copy(), self._all.state.time_s
                if self._all.has_ended or len(self._all.events) > n_events:
                    self._commit()  # an event is where it is; there is no error to estimate
                    continue
                self._again(kept, (start_s + reached_s) / 2)
                self._all.reach(reached_s)
                halves = self._all.state.y
                error = np.nanmax(np.abs(halves - whole) / (1 + np.abs(halves)), initial=0.0)
                error /= tolerance
                if error <= 1 or reached_s - start_s <= step_min_s:
                    if error > 1:
                        self._all.note(
                            f"at t = {start_s:.9g} s no step above {step_min_s:g} s is exact enough"
                        )
                    self._commit()
                else:
                    self._all.rejected += 1
                    self._all.restore(kept)
                    self._all.pending.clear()
                # The difference of whole and halves falls with the square of the step.
                factor = 0.9 / np.sqrt(max(error, 1e-6))
                step_s = max(step_min_s, (reached_s - start_s) * min(2.0, max(0.2, factor)))
            finally:
                self._all.free(kept)

    def _commit(self) -> None:
        for step in self._all.pending:
            self.rows.add(step.until_s, step.after)
            self._steps += step.length_s > 0
            for meter in self._meters:
                meter.step(step)
        self._all.pending.clear()
