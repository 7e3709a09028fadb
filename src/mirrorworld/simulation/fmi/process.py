"""A unit in a process of its own: started, stepped, saved, restored and ended over a pipe.

The unit may crash, hang, want too much memory or answer nonsense; that ends its process and
raises UnitEnded, and nothing else. Nothing runs unless these very bytes are allowed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from mirrorworld.simulation.fmi.allowed import AllowList
from mirrorworld.simulation.fmi.archive import (
    FmiError,
    copied,
    discard,
    library_suffix,
    platform_folder,
    unpack,
)
from mirrorworld.simulation.fmi.child import NONSENSE, ROWS_BYTES, Child, Gone
from mirrorworld.simulation.fmi.description import Sort, Variable, describe
from mirrorworld.simulation.fmi.ports import Port, Row, StepEnd, UnitEnded, bad_port, starts, width
from mirrorworld.simulation.fmi.quantities import quantity_of
from mirrorworld.simulation.fmi.wire import (
    EARLY,
    ENDED,
    EVENT,
    FOLDER_PREFIX,
    MAY_RESTORE,
    NEXT_EVENT,
    REACHED,
    RUN,
    SLOPES,
    STATE,
    STEP,
    Op,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a unit may use."""

    start_timeout_s: float = 60.0
    """To load, instantiate and initialise."""
    step_timeout_s: float = 30.0
    """For each step, and each other call."""
    memory_bytes: int = 2 << 30
    """Beyond what its process has before it is loaded."""
    is_confined: bool = True
    """Whether it may write only below its own folder and open no TCP connection, where the
    system can enforce that (Linux with Landlock)."""


class FmuProcess:
    """One instance of an FMU. A CoupledUnit; see `ports.py` for the verbs.

    Args:
        path: the FMU.
        allowed: the owner's list; without the FMU on it nothing runs.
        name: of the instance, in every message.
        inputs, outputs: names of the variables to exchange, in order; None: all numbers of that
            causality. `outputs` may name local variables and parameters too.
        parameters: values to start with; of any variable that may be set before initialisation.

    Raises:
        FmiError: it cannot be used as asked, or (NotAllowedError) is not allowed.
    """

    def __init__(
        self,
        path: Path,
        allowed: AllowList,
        *,
        name: str = "",
        inputs: Sequence[str] | None = None,
        outputs: Sequence[str] | None = None,
        parameters: Mapping[str, float | bool | str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.lacks: tuple[str, ...] = ()
        """What this system cannot keep the unit from; known once it is initialised."""
        self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self._folder_finalizer = weakref.finalize(self, discard, self._folder)
        copy = self._folder / "unit.fmu"
        sha256 = copied(path, copy)
        try:
            self.description = describe(copy)
        except FmiError as error:
            raise FmiError(str(error).replace(str(copy), str(path))) from None
        self.name = name or self.description.name
        self._usable(path)
        allowed.require(sha256, path)
        self._variables = {v.name: v for v in self.description.variables}
        self.inputs: Sequence[Port] = self._ports(inputs, "input")
        self.outputs: Sequence[Port] = self._ports(outputs, "output")
        self._starts = self._checked(parameters or {})
        can = self.description.co_simulation
        assert can is not None
        self.can_save, self.can_vary_step = can.can_save, can.can_vary_step
        self.can_interpolate, self.has_events = can.can_interpolate, can.has_event_mode
        self.feedthrough: Mapping[str, Sequence[str] | None] = {
            port.name: self.description.feedthrough.get(port.name) for port in self.outputs
        }
        self._identifier = can.identifier
        self._early = can.can_return_early
        self._n_in, self._n_out = width(self.inputs), width(self.outputs)
        self._time_s = 0.0
        self._is_used = False
        self._library = Path()
        self._child: Child | None = None
        self._ended: UnitEnded | None = None

    def _usable(self, path: Path) -> None:
        if importlib.util.find_spec("fmpy") is None:
            raise FmiError("FMUs run through fmpy; pip install 'mirrorworld[fmi]' brings it")
        said = self.description
        if said.co_simulation is None:
            raise FmiError(f"{path}: offers model exchange only; export it again for co-simulation")
        folder = platform_folder(said.version)
        if folder not in said.platforms:
            has = ", ".join(said.platforms) or "none"
            raise FmiError(
                f"{path}: unit '{self.name}' has no binary for this platform ({folder}); it has"
                f" {has}; ask its maker for one"
            )

    def _ports(self, names: Sequence[str] | None, causality: str) -> tuple[Port, ...]:
        if names is None:
            chosen = [v for v in self.description.of(causality) if v.sort.is_number]
        else:
            chosen = [self._variable(name) for name in names]
        for variable in chosen:
            if not variable.sort.is_number:
                raise FmiError(
                    f"unit '{self.name}': '{variable.name}' is a {variable.type}, which is not"
                    " exchanged; only numbers are"
                )
            if causality == "input" and variable.causality != "input":
                raise FmiError(
                    f"unit '{self.name}': '{variable.name}' is no input but {variable.causality}"
                )
        return tuple(
            Port(v.name, quantity_of(self.description, v), v.sort, v.size, v.start, v.low, v.high)
            for v in chosen
        )

    def _variable(self, name: str) -> Variable:
        found = self._variables.get(name)
        if found is None:
            raise FmiError(f"unit '{self.name}' has no variable '{name}'")
        return found

    def _checked(
        self, parameters: Mapping[str, float | bool | str]
    ) -> list[tuple[Variable, float | str]]:
        found: list[tuple[Variable, float | str]] = []
        for name, value in parameters.items():
            variable = self._variable(name)
            place = f"unit '{self.name}': parameter '{name}'"
            if variable.causality in ("output", "independent", "calculatedParameter") or (
                variable.variability == "constant"
            ):
                raise FmiError(f"{place} is {variable.causality} and cannot be set")
            if variable.size != 1:
                raise FmiError(f"{place} is an array; its start is what the unit says")
            if variable.sort is Sort.TEXT:
                found.append((variable, str(value)))
                continue
            if not variable.sort.is_number or isinstance(value, str):
                raise FmiError(f"{place} is a {variable.type}; '{value}' is none")
            low, high = variable.low, variable.high
            if not np.isfinite(value) or (
                (low is not None and value < low) or (high is not None and value > high)
            ):
                raise FmiError(f"{place}: {value} is not within {low} … {high}")
            found.append((variable, float(value)))
        return found

    # --- life ---

    def prepare(self) -> None:
        """Unpacks the unit and starts its process, which has nothing of it loaded yet, so that
        several processes get ready beside each other."""
        if self._is_used:
            raise FmiError(f"unit '{self.name}' has run already; make another instance")
        self._is_used = True
        folder = platform_folder(self.description.version)
        unpack(self._folder / "unit.fmu", self._folder, folder)
        library = self._folder / "binaries" / folder / (self._identifier + library_suffix())
        if not library.is_file():
            raise FmiError(
                f"unit '{self.name}': binaries/{folder} holds no {library.name}; ask its maker"
            )
        self._library = library
        self._child = Child(self._folder, self.limits.memory_bytes, self._n_out)

    def initialise(
        self, start_s: float, stop_s: float | None, tolerance: float | None, inputs: Row
    ) -> Row:
        """Instantiates and initialises; returns the outputs."""
        if not self._is_used:
            self.prepare()
        said = self.description
        self._time_s = start_s
        numbers = [(v, x) for v, x in self._starts if not isinstance(x, str)]
        asked: dict[str, Any] = {
            "version": said.version,
            "library": str(self._library),
            "folder": str(self._folder),
            "token": said.token,
            "identifier": self._identifier,
            "name": self.name,
            "inputs": [_wired(self._variables[port.name]) for port in self.inputs],
            "outputs": [_wired(self._variables[port.name]) for port in self.outputs],
            "event_mode": self.has_events,
            "log_categories": said.log_categories,
            "known": self._known_inputs(),
            "early_return": self.has_events or self._early,
            "starts": [_wired(v) for v, _ in numbers],
            "values": [x for _, x in numbers],
            "texts": [(v.reference, x) for v, x in self._starts if isinstance(x, str)],
            "start_s": start_s,
            "stop_s": stop_s,
            "tolerance": tolerance,
            "memory_bytes": self.limits.memory_bytes,
            "confined": self.limits.is_confined,
        }
        self.lacks = tuple(self._said(
            self._ask(Op.START, json.dumps(asked).encode(), timeout_s=self._start_timeout_s)
        ))  # fmt: skip
        return self.settle(inputs)

    def _known_inputs(self) -> list[float] | None:
        """What all inputs are by themselves, if that is said, and no parameter changes it."""
        given = {variable.name for variable, _ in self._starts}
        if any(len(port.start) != port.size or port.name in given for port in self.inputs):
            return None
        return starts(self.inputs).tolist()

    @property
    def _start_timeout_s(self) -> float:
        return self.limits.start_timeout_s

    def settle(self, inputs: Row) -> Row:
        """Outputs for other inputs, while still initialising."""
        answer = self._ask(Op.SET, inputs.tobytes(), timeout_s=self._start_timeout_s)
        return self._end(answer).outputs

    def begin(self) -> StepEnd:
        """Ends initialisation."""
        return self._end(self._ask(Op.BEGIN, timeout_s=self._start_timeout_s))

    def begin_step(
        self,
        time_s: float,
        step_s: float,
        inputs: Row,
        slopes: Row | None = None,
        may_restore: bool = False,
    ) -> None:
        """Starts a step and does not wait for it."""
        self._time_s = time_s
        flags = (MAY_RESTORE if may_restore else 0) | (SLOPES if slopes is not None else 0)
        parts = [STEP.pack(time_s, step_s, flags), inputs.tobytes()]
        if slopes is not None:
            parts.append(slopes.tobytes())
        self._send(Op.STEP, *parts, timeout_s=self.limits.step_timeout_s)

    def finish_step(self) -> StepEnd:
        """Waits for the step that was started."""
        return self._end(self._receive())

    def step(self, time_s: float, step_s: float, inputs: Row) -> StepEnd:
        """One step, waited for."""
        self.begin_step(time_s, step_s, inputs)
        return self.finish_step()

    def event(self, time_s: float, inputs: Row) -> StepEnd:
        """FMI 3: through event mode once."""
        self._time_s = time_s
        head = np.float64(time_s).tobytes()
        return self._end(self._ask(Op.EVENT, head, inputs.tobytes()))

    def run(
        self, start_s: float, step_s: float, n: int, inputs: Row | None = None
    ) -> tuple[Row, StepEnd]:
        """Many equal steps in one go.

        Args:
            inputs: shape (n, columns) for each step, or (columns,) for all; None: as they are.

        Returns:
            Outputs, shape (steps done, columns), and how the last step ended. It stops after a
            step with an event or an early end.

        Raises:
            UnitEnded: with the outputs of the steps before as its attribute `rows`.
        """
        rows = np.empty((0, self._n_in)) if inputs is None else np.atleast_2d(inputs)
        most = max(1, (ROWS_BYTES - 8) // max(8, 8 * self._n_out))
        parts: list[Row] = []
        done, last = 0, StepEnd(np.empty(self._n_out), start_s)
        while done < n:
            now = min(n - done, most)
            given = rows[done : done + now] if len(rows) > 1 else rows
            try:
                got, last = self._run(start_s + done * step_s, step_s, now, given)
            except UnitEnded as ended:
                parts.append(np.empty((0, self._n_out)) if ended.rows is None else ended.rows)
                ended.rows = np.concatenate(parts)
                raise
            if not len(got):
                self._fail(NONSENSE)
            parts.append(got)
            done += len(got)
            if last.has_event or last.has_ended or last.is_early:
                break
        return np.concatenate(parts) if parts else np.empty((0, self._n_out)), last

    def _run(self, start_s: float, step_s: float, n: int, rows: Row) -> tuple[Row, StepEnd]:
        child = self._alive
        child.rows[:8] = bytes(8)
        table = np.frombuffer(child.rows, np.float64, n * self._n_out, 8).reshape(n, self._n_out)
        self._time_s = start_s
        head = RUN.pack(start_s, step_s, n, len(rows), 0)
        timeout_s = self.limits.step_timeout_s
        try:
            answer = self._ask(
                Op.RUN,
                head,
                np.ascontiguousarray(rows).tobytes(),
                timeout_s=timeout_s,
                steps=(step_s, n),
            )
        except UnitEnded as ended:
            ended.rows = self._good(table[: child.steps_done])
            raise
        if len(answer) != REACHED.size:
            self._fail(NONSENSE)
        time_s, marks, next_s, done = REACHED.unpack_from(answer)
        got = table[: min(done, n)].copy()
        good = self._good(got)
        if len(good) < len(got):
            self._time_s = start_s + (len(good) + 1) * step_s
            try:
                self._look(got[len(good)])
            except UnitEnded as ended:
                ended.rows = good
                raise
        self._time_s = time_s
        return got, _step_end(got[-1] if done else np.empty(self._n_out), time_s, marks, next_s)

    @staticmethod
    def _good(rows: Row) -> Row:
        """The rows before the first that has something else than a finite number."""
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        return rows[: bad[0]].copy() if len(bad) else rows.copy()

    def save(self) -> int:
        """Keeps the state in the unit's process; returns its number."""
        return self._number(self._ask(Op.SAVE))

    def restore(self, state: int) -> None:
        """Back to a kept state."""
        self._ask(Op.RESTORE, STATE.pack(state))

    def free(self, state: int) -> None:
        """Lets a kept state go."""
        self._ask(Op.FREE, STATE.pack(state))

    def serialise(self, state: int) -> bytes:
        """A kept state as bytes, for units that can (`can_serialise`)."""
        return self._ask(Op.SERIALISE, STATE.pack(state))

    def deserialise(self, data: bytes) -> int:
        """Keeps the state that bytes are, also from another instance; returns its number."""
        return self._number(self._ask(Op.DESERIALISE, data))

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """Values of text variables."""
        references = [self._variable(name).reference for name in names]
        texts = self._said(self._ask(Op.TEXTS, json.dumps(references).encode()))
        if len(texts) != len(names):
            self._fail(NONSENSE)
        return dict(zip(names, texts, strict=True))

    def close(self) -> None:
        """Terminates the unit if it still answers, and ends its process in any case."""
        if self._child is not None:
            if self._ended is None:
                with contextlib.suppress(UnitEnded):
                    self._ask(Op.STOP)
            self._child.end()
            self._child = None
        self._folder_finalizer()

    def __enter__(self) -> FmuProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- asking ---

    def _said(self, answer: bytes) -> list[str]:
        try:
            return [str(text) for text in json.loads(answer)]
        except (ValueError, TypeError, RecursionError):
            self._fail(NONSENSE)

    def _number(self, answer: bytes) -> int:
        if len(answer) != STATE.size:
            self._fail(NONSENSE)
        return STATE.unpack(answer)[0]

    def _ask(
        self,
        op: Op,
        *parts: bytes,
        timeout_s: float | None = None,
        steps: tuple[float, int] | None = None,
    ) -> bytes:
        self._send(op, *parts, timeout_s=timeout_s or self.limits.step_timeout_s)
        return self._receive(steps)

    def _send(self, op: Op, *parts: bytes, timeout_s: float) -> None:
        try:
            self._alive.send(op, *parts, timeout_s=timeout_s)
        except Gone as gone:
            self._fail(str(gone))

    def _receive(self, steps: tuple[float, int] | None = None) -> bytes:
        """The answer; `steps` are length (s) and number of those of a run."""
        child = self._alive
        try:
            return child.receive()
        except Gone as gone:
            child.end()  # before its steps are counted
            if steps is not None:
                self._time_s += min(child.steps_done, steps[1]) * steps[0]
            self._fail(str(gone))

    @property
    def _alive(self) -> Child:
        if self._ended is not None:
            raise self._ended
        if self._child is None:
            raise FmiError(f"unit '{self.name}' is not initialised, or closed")
        return self._child

    def _end(self, answer: bytes) -> StepEnd:
        if len(answer) != REACHED.size + 8 * self._n_out:
            self._fail(NONSENSE)
        time_s, marks, next_s, _ = REACHED.unpack_from(answer)
        outputs = np.frombuffer(answer, offset=REACHED.size)
        if not np.isfinite(time_s):
            self._fail(NONSENSE)
        self._time_s = time_s
        self._look(outputs)
        return _step_end(outputs, time_s, marks, next_s)

    def _look(self, outputs: Row) -> None:
        bad = bad_port(self.outputs, outputs)
        if bad is not None:
            self._fail(f"it gives {bad[1]}", bad[0])

    def _fail(self, why: str, variable: str = "") -> NoReturn:
        self._ended = UnitEnded(self.name, self._time_s, why, variable)
        if self._child is not None:
            self._child.end()
        raise self._ended


def _wired(variable: Variable) -> tuple[int, str, int]:
    return variable.reference, variable.type, variable.size


def _step_end(outputs: Row, time_s: float, marks: int, next_s: float) -> StepEnd:
    return StepEnd(
        outputs,
        time_s,
        bool(marks & EVENT),
        bool(marks & ENDED),
        bool(marks & EARLY),
        next_s if marks & NEXT_EVENT else None,
    )
