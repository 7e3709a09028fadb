"""One loaded unit: the calls of FMI 2 and FMI 3 co-simulation over columns of numbers, by fmpy.

Only a process that may be lost imports this (`worker.py`): what is called here is foreign code.
Values go in and out as one float64 row each way; groups of one type are moved by one call.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from fmpy import fmi2, fmi3
from numpy.typing import NDArray

STATUSES: Final = ("OK", "warning", "discard", "error", "fatal", "pending")
EVENT_ITERATIONS_MAX: Final = 100
EXACT_MAX: Final = float(1 << 53)
"""Whole numbers beyond it are not exact as float64."""

_ERRORS: Final = ("logStatusDiscard", "logStatusError", "logStatusFatal")
"""Log categories of FMI 2.0.4 §2.2.4 and FMI 3.0.2 §2.4.5."""

Row = NDArray[np.float64]
Port = tuple[int, str, int]
"""(value reference, type, how many numbers)."""

_KINDS: Final = {
    "2": {"Real": ("Real", "<f8", ctypes.c_double), "Integer": ("Integer", "<i4", ctypes.c_int),
          "Enumeration": ("Integer", "<i4", ctypes.c_int),
          "Boolean": ("Boolean", "<i4", ctypes.c_int)},
    "3": {"Float64": ("Float64", "<f8", ctypes.c_double),
          "Float32": ("Float32", "<f4", ctypes.c_float), "Int8": ("Int8", "<i1", ctypes.c_int8),
          "UInt8": ("UInt8", "<u1", ctypes.c_uint8), "Int16": ("Int16", "<i2", ctypes.c_int16),
          "UInt16": ("UInt16", "<u2", ctypes.c_uint16), "Int32": ("Int32", "<i4", ctypes.c_int32),
          "UInt32": ("UInt32", "<u4", ctypes.c_uint32), "Int64": ("Int64", "<i8", ctypes.c_int64),
          "UInt64": ("UInt64", "<u8", ctypes.c_uint64),
          "Enumeration": ("Int64", "<i8", ctypes.c_int64),
          "Boolean": ("Boolean", "|b1", ctypes.c_bool)},
}  # fmt: skip


class CallFailed(Exception):
    """A call that the unit answered with an error; `call` and `why` say which and how."""

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"{call}: {why}")
        self.call, self.why = call, why


@dataclass(slots=True)
class _Group:
    """Variables of one type that are moved by one call."""

    call: Callable[..., int]
    name: str
    columns: NDArray[np.intp]
    buffer: NDArray[Any]
    arguments: tuple[Any, ...]
    references: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a step ended."""

    time_s: float
    has_event: bool = False
    has_ended: bool = False
    is_early: bool = False
    next_event_s: float | None = None


class Native:
    """A unit in this process, between instantiation and its end.

    Args:
        library: the shared library.
        unpacked: the folder that holds `resources`.
        inputs, outputs: what rows are made of, in order.
    """

    def __init__(
        self, *, version: str, library: Path, unpacked: Path, token: str, identifier: str,
        name: str, inputs: Sequence[Port], outputs: Sequence[Port], event_mode: bool = False,
        early_return: bool = False, log_categories: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._is_three = version.startswith("3")
        self._v = "3" if self._is_three else "2"
        made: Any = fmi3.FMU3Slave if self._is_three else fmi2.FMU2Slave
        common = {
            "guid": token, "unzipDirectory": str(unpacked), "modelIdentifier": identifier,
            "instanceName": name, "requireFunctions": False,
        }  # fmt: skip
        if not self._is_three:
            common["libraryPath"] = str(library)
        try:
            self._fmu = made(**common)
        except Exception as error:
            raise CallFailed("loading", " ".join(str(error).split())) from None
        self._event_mode = event_mode and self._is_three
        self._states: dict[int, Any] = {}
        self._last_state = 0
        self._instantiate(early_return)
        self._hush(log_categories)
        self._component = self._fmu.component
        self._inputs = self._groups("Set", inputs)
        self._outputs = self._groups("Get", outputs)
        self.n_inputs = sum(size for _, _, size in inputs)
        self.n_outputs = sum(size for _, _, size in outputs)
        self._last_row: Row | None = None
        """Inputs as last set; None: whatever they are."""
        self._step: Any = self._function("DoStep")
        self._flags = [ctypes.c_bool() for _ in range(5)]
        self._reached = ctypes.c_double()

    def _function(self, name: str) -> Any:
        whole = f"fmi{self._v}{name}"
        try:
            # fmpy has told ctypes the argument types of the same function object.
            return getattr(self._fmu.dll, whole)
        except AttributeError:
            raise CallFailed(whole, "the library has no such function") from None

    def _call(self, name: str, *arguments: Any) -> None:
        self._checked(name, self._function(name)(self._component, *arguments))

    def _checked(self, name: str, status: int) -> None:
        if status > 1:
            raise CallFailed(f"fmi{self._v}{name}", _status(status))

    def _instantiate(self, early_return: bool) -> None:
        def log(_: Any, status: int, category: bytes, message: bytes) -> None:
            print(f"[{_status(status)}] {_text(message)}", file=sys.stderr)

        try:
            if self._is_three:
                self._fmu.instantiate(
                    eventModeUsed=self._event_mode,
                    earlyReturnAllowed=early_return,
                    loggingOn=True,
                    logMessage=log,
                )
            else:
                self._fmu.instantiate(loggingOn=True)
        except Exception as error:
            raise CallFailed(f"fmi{self._v}Instantiate", " ".join(str(error).split())) from None

    def _hush(self, categories: Sequence[str]) -> None:
        """From here on it tells of errors only, or nothing: some units log every step."""
        chosen = [name.encode() for name in categories if name in _ERRORS]
        names = (ctypes.c_char_p * len(chosen))(*chosen)
        set_ = self._function("SetDebugLogging")
        set_(self._fmu.component, bool(chosen), len(chosen), names)

    def _groups(self, verb: str, ports: Sequence[Port]) -> list[_Group]:
        kinds = _KINDS[self._v]
        by_call: dict[str, list[tuple[int, int, int, str]]] = {}
        column = 0
        for reference, type_, size in ports:
            call = kinds[type_][0]
            by_call.setdefault(call, []).append((reference, column, size, type_))
            column += size
        groups: list[_Group] = []
        for call, rows in by_call.items():
            _, dtype, c_type = kinds[rows[0][3]]
            references = np.array([row[0] for row in rows], np.uint32)
            columns = np.concatenate([np.arange(row[1], row[1] + row[2]) for row in rows])
            buffer = np.zeros(len(columns), dtype)
            arguments: tuple[Any, ...] = (
                references.ctypes.data_as(ctypes.POINTER(ctypes.c_uint)),
                len(references),
                buffer.ctypes.data_as(ctypes.POINTER(c_type)),
            )
            if self._is_three:
                arguments += (len(buffer),)
            groups.append(
                _Group(
                    self._function(verb + call), verb + call, columns, buffer, arguments, references
                )
            )
        return groups

    # --- values ---

    def set(self, row: Row) -> None:
        """Sets the inputs, those groups of one type that differ from what is set."""
        last = self._last_row
        if last is not None and np.array_equal(row, last):
            return
        self._last_row = row.copy()
        for group in self._inputs:
            if last is not None and np.array_equal(row[group.columns], last[group.columns]):
                continue
            group.buffer[:] = row[group.columns]
            self._checked(group.name, group.call(self._component, *group.arguments))

    def get(self, row: Row) -> None:
        """Gets the outputs into `row`."""
        for group in self._outputs:
            self._checked(group.name, group.call(self._component, *group.arguments))
            is_wide = group.buffer.dtype.itemsize == 8 and group.buffer.dtype.kind in "iu"
            if is_wide and np.any(np.abs(group.buffer.astype(np.float64)) > EXACT_MAX):
                why = "a whole number beyond 2^53, which is not carried"
                raise CallFailed(f"fmi{self._v}{group.name}", why)
            row[group.columns] = group.buffer

    def starts_with(self, row: Row) -> None:
        """What the inputs are by themselves: some units do not like to be told what they know."""
        self._last_row = row.copy()

    def put(self, ports: Sequence[Port], values: Sequence[float]) -> None:
        """Sets starts and parameters once."""
        row = np.array(values, np.float64)
        for group in self._groups("Set", ports):
            group.buffer[:] = row[group.columns]
            self._checked(group.name, group.call(self._component, *group.arguments))

    def put_texts(self, references: Sequence[int], texts: Sequence[str]) -> None:
        """Sets text variables."""
        n = len(references)
        values = (ctypes.c_char_p * n)(*(text.encode() for text in texts))
        extra = (n,) if self._is_three else ()
        self._call("SetString", (ctypes.c_uint * n)(*references), n, values, *extra)

    def texts(self, references: Sequence[int]) -> list[str]:
        """Values of text variables."""
        n = len(references)
        values = (ctypes.c_char_p * n)()
        extra = (n,) if self._is_three else ()
        self._call("GetString", (ctypes.c_uint * n)(*references), n, values, *extra)
        return [_text(value or b"") for value in values]

    # --- time ---

    def enter(self, start_s: float, stop_s: float | None, tolerance: float | None) -> None:
        """Into initialisation mode."""
        experiment = (
            tolerance is not None, tolerance or 0.0, start_s, stop_s is not None, stop_s or 0.0
        )  # fmt: skip
        if self._is_three:
            self._call("EnterInitializationMode", *experiment)
        else:
            self._call("SetupExperiment", *experiment)
            self._call("EnterInitializationMode")

    def exit(self, start_s: float) -> Reached:
        """Out of initialisation mode, to where steps begin."""
        self._call("ExitInitializationMode")
        if not self._event_mode:
            return Reached(start_s)
        return self._update(start_s)

    def step(self, time_s: float, step_s: float, may_restore: bool) -> Reached:
        """One communication step."""
        if self._is_three:
            event, ended, early = (ctypes.byref(flag) for flag in self._flags[:3])
            status = self._step(
                self._component, time_s, step_s, not may_restore, event, ended, early,
                ctypes.byref(self._reached),
            )  # fmt: skip
            self._checked("DoStep", status)
            has_event, has_ended, is_early = (flag.value for flag in self._flags[:3])
            reached = self._reached.value if is_early else time_s + step_s
            return Reached(reached, has_event, has_ended, is_early)
        status = self._step(self._component, time_s, step_s, not may_restore)
        if status == 2:
            return self._discarded(time_s)
        self._checked("DoStep", status)
        return Reached(time_s + step_s)

    def _discarded(self, time_s: float) -> Reached:
        """FMI 2.0.4 §4.2.2: a step that was computed only up to somewhere."""
        ended, last = ctypes.c_int(0), ctypes.c_double(time_s)
        self._function("GetBooleanStatus")(self._component, 3, ctypes.byref(ended))
        self._function("GetRealStatus")(self._component, 2, ctypes.byref(last))
        if not ended.value and not last.value > time_s:
            raise CallFailed("fmi2DoStep", "discard, with nothing of the step computed")
        return Reached(max(last.value, time_s), False, bool(ended.value), True)

    def slopes(self, row: Row) -> None:
        """FMI 2: first derivatives of the float inputs, for units that interpolate."""
        self._last_row = None  # setting an input ends its slope
        for group in self._inputs:
            if group.name != "SetReal":
                continue
            n = len(group.references)
            values = np.ascontiguousarray(row[group.columns])
            self._call(
                "SetRealInputDerivatives", group.arguments[0], n, (ctypes.c_int * n)(*([1] * n)),
                values.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
            )  # fmt: skip

    def event(self, time_s: float, row: Row) -> Reached:
        """FMI 3: through event mode once, with these inputs."""
        self._call("EnterEventMode")
        self.set(row)
        return self._update(time_s)

    def _update(self, time_s: float) -> Reached:
        again, ended, _, _, defined = self._flags
        has_ended = False
        for _ in range(EVENT_ITERATIONS_MAX):
            self._call(
                "UpdateDiscreteStates",
                *(ctypes.byref(flag) for flag in self._flags),
                ctypes.byref(self._reached),
            )
            has_ended = has_ended or ended.value
            if has_ended or not again.value:
                break
        else:
            raise CallFailed(
                "fmi3UpdateDiscreteStates",
                f"its events have not settled after {EVENT_ITERATIONS_MAX} iterations",
            )
        next_s = self._reached.value if defined.value else None
        if not has_ended:
            self._call("EnterStepMode")
        return Reached(time_s, False, has_ended, False, next_s)

    # --- states ---

    def save(self) -> int:
        """Keeps the state; returns its number."""
        state = ctypes.c_void_p()
        self._call(f"GetFMU{self._state}", ctypes.byref(state))
        self._last_state += 1
        self._states[self._last_state] = state
        return self._last_state

    def restore(self, number: int) -> None:
        """Back to a state that was kept."""
        self._last_row = None
        self._call(f"SetFMU{self._state}", self._kept(number))

    def free(self, number: int) -> None:
        """Lets a state go."""
        self._call(f"FreeFMU{self._state}", ctypes.byref(self._kept(number)))
        del self._states[number]

    def serialise(self, number: int) -> bytes:
        """A kept state as bytes."""
        state, size = self._kept(number), ctypes.c_size_t()
        self._call(f"SerializedFMU{self._state}Size", state, ctypes.byref(size))
        data = (ctypes.c_uint8 * size.value)()
        kind = ctypes.c_uint8 if self._is_three else ctypes.c_char
        pointer = ctypes.cast(data, ctypes.POINTER(kind))
        self._call(f"SerializeFMU{self._state}", state, pointer, size)
        return bytes(data)

    def deserialise(self, data: bytes) -> int:
        """Keeps the state that the bytes are; returns its number."""
        state = ctypes.c_void_p()
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        kind = ctypes.c_uint8 if self._is_three else ctypes.c_char
        pointer = ctypes.cast(buffer, ctypes.POINTER(kind))
        verb = "DeserializeFMUState" if self._is_three else "DeSerializeFMUstate"
        self._call(verb, pointer, len(data), ctypes.byref(state))
        self._last_state += 1
        self._states[self._last_state] = state
        return self._last_state

    @property
    def _state(self) -> str:
        return "State" if self._is_three else "state"

    def _kept(self, number: int) -> Any:
        if number not in self._states:
            raise CallFailed("restoring", f"state {number} is not kept here")
        return self._states[number]

    def terminate(self) -> None:
        """Ends the instance; the library stays, since its process ends too."""
        for number in list(self._states):
            self.free(number)
        self._call("Terminate")
        self._function("FreeInstance")(self._component)


def _status(status: int) -> str:
    return STATUSES[status] if 0 <= status < len(STATUSES) else f"status {status}"


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
