"""Expressions made ready: kinds and units checked, then evaluated for many twins at once.

An expression is made ready once for all twins whose points have the same kinds, units and labels;
what it gives is one column of values and one that says which of them are known. A value of a point
is known while its quality is not bad; what follows from an unknown value is unknown.

Knows trees, units and columns; refuses to know worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.rules.language import (
    FUNCTIONS,
    Binary,
    Call,
    Node,
    Number,
    Ref,
    RuleError,
    Truth,
    Unary,
    Words,
)
from mirrorworld.world.model import Kind

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

WINDOW_S_MAX: Final = 24 * 3600.0
STEPS: Final = 16
"""A window of time is kept in so many steps."""
NUMBER, TRUTH, STATE, WORDS = "number", "yes or no", "state", "text"


@dataclass(frozen=True, slots=True)
class Input:
    """What is known beforehand of a point that an expression reads."""

    kind: Kind
    unit: str = ""
    labels: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class Now:
    """The inputs of all instances at one moment; columns by instance, one row for each input."""

    value: NDArray[np.float64]
    """(inputs, instances)."""
    known: NDArray[np.bool_]
    source_ns: NDArray[np.int64]
    changed: NDArray[np.int64]
    """Place in the log of the change that brought the value; negative: none has come."""
    now_ns: int


@dataclass(frozen=True, slots=True)
class _Made:
    """One node, made ready."""

    kind: str
    unit: str
    run: Callable[[Now], tuple[NDArray, Flags]]
    labels: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class Expression:
    """An expression that is ready for `n` instances. It remembers what its windows of time need.

    Attributes:
        kind: number, or yes or no.
        unit: UCUM, of a number.
    """

    kind: str
    unit: str
    n: int
    waits: bool
    """Whether its value may change though no input does."""
    _run: Callable[[Now], tuple[NDArray, Flags]]

    def __call__(self, now: Now) -> tuple[NDArray, Flags]:
        """(values, known) of all instances."""
        with np.errstate(all="ignore"):
            value, known = self._run(now)
        if self.kind == NUMBER:
            known = known & np.isfinite(value)
        return np.broadcast_to(value, (self.n,)), np.broadcast_to(known, (self.n,))


def compile_(node: Node, order: Sequence[Ref], inputs: Sequence[Input], n: int) -> Expression:
    """Makes an expression ready for `n` instances.

    Args:
        order: the points that it reads; row i of `Now` is `order[i]`.
        inputs: what is known of each.

    Raises:
        RuleError: kinds or units do not fit.
    """
    compiler = _Compiler({ref: i for i, ref in enumerate(order)}, inputs, n)
    made = compiler.make(node)
    if made.kind not in (NUMBER, TRUTH):
        raise RuleError(f"a {made.kind} by itself says nothing", node.column, 'compare it: == "…"')
    return Expression(made.kind, made.unit, n, compiler.waits, made.run)


class _Compiler:
    def __init__(self, rows: dict[Ref, int], inputs: Sequence[Input], n: int) -> None:
        self._rows, self._inputs, self._n = rows, inputs, n
        self.waits = False

    def make(self, node: Node) -> _Made:
        match node:
            case Number(value=value, unit=unit):
                self._check_unit(unit, node.column)
                return _Made(NUMBER, unit, _constant(value))
            case Truth(value=value):
                return _Made(TRUTH, "", _constant(value))
            case Words():
                return _Made(WORDS, "", _constant(0.0))
            case Ref():
                return self._ref(node)
            case Unary(operator="-", operand=operand):
                made = self._number(operand)
                return _Made(NUMBER, made.unit, lambda now: _map(made.run(now), np.negative))
            case Unary(operand=operand):
                made = self._truth(operand)
                return _Made(TRUTH, "", lambda now: _map(made.run(now), np.logical_not))
            case Binary():
                return self._binary(node)
            case Call():
                return self._call(node)

    # --- points ---

    def _ref(self, ref: Ref) -> _Made:
        row = self._rows[ref]
        about = self._inputs[row]
        if about.kind in (Kind.TEXT, Kind.ARRAY, Kind.BLOB):
            raise RuleError(
                f"'{ref.point}' is {about.kind.name.lower()}", ref.column, "use a number or a state"
            )
        kind = {Kind.BOOL: TRUTH, Kind.ENUM: STATE}.get(about.kind, NUMBER)
        if kind == NUMBER:
            self._check_unit(about.unit, ref.column)
        if kind == TRUTH:
            return _Made(TRUTH, "", lambda now: (now.value[row] != 0, now.known[row]))
        run = lambda now: (now.value[row], now.known[row])  # noqa: E731
        return _Made(kind, about.unit if kind == NUMBER else "", run, about.labels)

    # --- operators ---

    def _binary(self, node: Binary) -> _Made:
        operator = node.operator
        if operator in ("and", "or"):
            left, right = self._truth(node.left), self._truth(node.right)
            return _Made(TRUTH, "", _logic(operator, left.run, right.run))
        if operator in ("==", "!=", "<", "<=", ">", ">="):
            return self._compare(node)
        left, right = self._number(node.left), self._number(node.right)
        if operator in ("+", "-"):
            return self._sum(node, left, right)
        if operator == "^":
            if not isinstance(node.right, Number) or node.right.unit or left.unit:
                raise RuleError(
                    "a power is of a pure number, by a number",
                    node.column,
                    "divide by a unit first",
                )
            return _Made(NUMBER, "", _two(left.run, right.run, np.power))
        left, right = self._absolute(left), self._absolute(right)
        function = np.multiply if operator == "*" else np.divide
        unit = _joined(left.unit, right.unit, operator)
        return _Made(NUMBER, unit, _two(left.run, right.run, function))

    def _sum(self, node: Binary, left: _Made, right: _Made) -> _Made:
        is_scale = [bool(_zero(made.unit)) for made in (left, right)]
        if all(is_scale):
            if node.operator == "+":
                raise RuleError("two temperatures cannot be added", node.column, "add K to one")
            left, right = self._absolute(left), self._absolute(right)
            return _Made(NUMBER, left.unit, _two(left.run, right.run, np.subtract))
        function = np.add if node.operator == "+" else np.subtract
        if is_scale[1] and node.operator == "+":
            left, right = right, left
        if is_scale[0] or is_scale[1]:
            # A difference is added to a temperature: its zero plays no part.
            scale = self._linear(right.unit, left.unit, node.column)[0]
            run = right.run
            moved = _Made(NUMBER, left.unit, lambda now: _map(run(now), lambda v: v * scale))
            return _Made(NUMBER, left.unit, _two(left.run, moved.run, function))
        return _Made(
            NUMBER, left.unit, _two(left.run, self._in(right, left.unit, node.column), function)
        )

    def _compare(self, node: Binary) -> _Made:
        left, right = self.make(node.left), self.make(node.right)
        kinds = {left.kind, right.kind}
        if kinds == {STATE, WORDS}:
            return self._labelled(node, left, right)
        if WORDS in kinds:
            raise RuleError("a text is compared with a state", node.column)
        is_same = node.operator in ("==", "!=") and (
            kinds == {TRUTH} or (STATE in kinds and kinds <= {STATE, NUMBER})
        )
        if not is_same and kinds != {NUMBER}:
            raise RuleError(
                f"{left.kind} and {right.kind} cannot be compared by {node.operator}", node.column
            )
        run = right.run
        if kinds == {NUMBER}:
            run = self._in(right, left.unit, node.column)
        return _Made(TRUTH, "", _two(left.run, run, _COMPARE[node.operator]))

    def _labelled(self, node: Binary, left: _Made, right: _Made) -> _Made:
        state, words = (left, node.right) if left.kind == STATE else (right, node.left)
        assert isinstance(words, Words)
        if node.operator not in ("==", "!="):
            raise RuleError("states have no order", node.column, "use == or !=")
        codes = [code for code, label in state.labels if label == words.value]
        if not codes:
            known = ", ".join(f'"{label}"' for _, label in state.labels[:8]) or "none"
            raise RuleError(
                f"there is no state '{words.value}'", words.column, f"there are {known}"
            )
        code = float(codes[0])
        return _Made(TRUTH, "", _two(state.run, _constant(code), _COMPARE[node.operator]))

    # --- functions ---

    def _call(self, node: Call) -> _Made:
        name, arguments = node.name, node.arguments
        takes = FUNCTIONS[name]
        window_s = self._duration(arguments[1]) if takes[-1] == "d" else 0.0
        if takes[0] == "p":
            ref = arguments[0]
            if not isinstance(ref, Ref):
                raise RuleError(f"{name}() is of a point", arguments[0].column)
            row = self._rows[ref]
            if name == "missing":
                return _Made(TRUTH, "", lambda now: (~now.known[row], _ALL))
            if name == "stale":
                self.waits = True
                limit_ns = int(window_s * 1e9)
                return _Made(
                    TRUTH, "", lambda now: (now.now_ns - now.source_ns[row] > limit_ns, _ALL)
                )
            return _Made(TRUTH, "", _Changed(row, self._n))
        match name:
            case "abs" | "round":
                made = self._number(arguments[0])
                function = np.abs if name == "abs" else np.round
                return _Made(NUMBER, made.unit, lambda now: _map(made.run(now), function))
            case "sqrt":
                made = self._number(arguments[0])
                if made.unit not in ("", "1"):
                    raise RuleError("sqrt() is of a pure number", node.column, "divide by a unit")
                return _Made(NUMBER, "", lambda now: _map(made.run(now), np.sqrt))
            case "min" | "max":
                left, right = self._number(arguments[0]), self._number(arguments[1])
                function = np.minimum if name == "min" else np.maximum
                run = self._in(right, left.unit, arguments[1].column)
                return _Made(NUMBER, left.unit, _two(left.run, run, function))
            case "clamp":
                made = self._number(arguments[0])
                ends = [self._number(a) for a in arguments[1:]]
                low, high = (self._in(e, made.unit, node.column) for e in ends)
                inner = _two(made.run, low, np.maximum)
                return _Made(NUMBER, made.unit, _two(inner, high, np.minimum))
            case "if":
                return self._if(node)
            case "rate":
                made = self._absolute(self._number(arguments[0]))
                self.waits = True
                window = _Window(made.run, window_s, self._n)
                return _Made(NUMBER, _joined(made.unit, "s", "/"), window.rate)
            case "mean" | "delta":
                made = self._number(arguments[0])
                self.waits = True
                if name == "delta":
                    made = self._absolute(made)
                window = _Window(made.run, window_s, self._n)
                return _Made(NUMBER, made.unit, window.mean if name == "mean" else window.delta)
            case _:
                made = self._truth(arguments[0])
                self.waits = True
                return _Made(TRUTH, "", _Held(made.run, window_s, self._n))

    def _if(self, node: Call) -> _Made:
        condition = self._truth(node.arguments[0])
        yes, no = self.make(node.arguments[1]), self.make(node.arguments[2])
        if yes.kind != no.kind or yes.kind not in (NUMBER, TRUTH):
            raise RuleError(f"if() gives {yes.kind} or {no.kind}", node.column, "give one kind")
        run = self._in(no, yes.unit, node.column) if yes.kind == NUMBER else no.run

        def choose(now: Now) -> tuple[NDArray, Flags]:
            c, c_known = condition.run(now)
            (a, a_known), (b, b_known) = yes.run(now), run(now)
            return np.where(c, a, b), c_known & np.where(c, a_known, b_known)

        return _Made(yes.kind, yes.unit, choose)

    def _duration(self, node: Node) -> float:
        if not isinstance(node, Number) or not node.unit:
            raise RuleError("here a length of time was expected", node.column, "as in 30 s, 5 min")
        scale, _ = self._linear(node.unit, "s", node.column)
        seconds = node.value * scale
        if not 0 < seconds <= WINDOW_S_MAX:
            raise RuleError(f"{seconds:g} s is too long or none", node.column, "at most 24 h")
        return seconds

    # --- kinds and units ---

    def _number(self, node: Node) -> _Made:
        made = self.make(node)
        if made.kind != NUMBER:
            raise RuleError(f"here a number was expected, not {made.kind}", node.column)
        return made

    def _truth(self, node: Node) -> _Made:
        made = self.make(node)
        if made.kind != TRUTH:
            raise RuleError(
                f"here a yes or no was expected, not {made.kind}", node.column, "compare it"
            )
        return made

    def _absolute(self, made: _Made) -> _Made:
        """On a scale whose zero is nothing: kelvin for a temperature."""
        if not _zero(made.unit):
            return made
        scale, offset = units.linear(made.unit, "K")
        run = made.run
        return _Made(NUMBER, "K", lambda now: _map(run(now), lambda v: v * scale + offset))

    def _in(self, made: _Made, unit: str, column: int) -> Callable[[Now], tuple[NDArray, Flags]]:
        scale, offset = self._linear(made.unit, unit, column)
        if (scale, offset) == (1.0, 0.0):
            return made.run
        run = made.run
        return lambda now: _map(run(now), lambda v: v * scale + offset)

    def _linear(self, from_: str, to: str, column: int) -> tuple[float, float]:
        try:
            return units.linear(from_ or "1", to or "1")
        except units.UnitError as error:
            raise RuleError(str(error), column) from error

    def _check_unit(self, unit: str, column: int) -> None:
        if unit:
            try:
                units.parse(unit)
            except units.UnitError as error:
                raise RuleError(str(error), column) from error


# --- evaluating ------------------------------------------------------------------------------

_ALL: Final[Flags] = np.asarray(True)  # pyright: ignore[reportAssignmentType]
_COMPARE: Final = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
Run = Callable[[Now], tuple[NDArray, Flags]]


def _constant(value: float | bool) -> Run:
    held = np.asarray(value)
    return lambda now: (held, _ALL)


def _map(result: tuple[NDArray, Flags], function: Callable[[NDArray], NDArray]) -> tuple:
    value, known = result
    return function(value), known


def _two(left: Run, right: Run, function: Callable[[NDArray, NDArray], NDArray]) -> Run:
    def run(now: Now) -> tuple[NDArray, Flags]:
        (a, a_known), (b, b_known) = left(now), right(now)
        return function(a, b), a_known & b_known

    return run


def _logic(operator: str, left: Run, right: Run) -> Run:
    """Kleene's: what one side decides alone is known though the other is not."""
    decides = operator == "or"

    def run(now: Now) -> tuple[NDArray, Flags]:
        (a, a_known), (b, b_known) = left(now), right(now)
        value = (a | b) if decides else (a & b)
        alone = (a_known & (a == decides)) | (b_known & (b == decides))
        return np.where(alone, decides, value), (a_known & b_known) | alone

    return run


class _Changed:
    def __init__(self, row: int, n: int) -> None:
        self._row, self._last = row, np.full(n, -1, np.int64)

    def __call__(self, now: Now) -> tuple[NDArray, Flags]:
        changed = now.changed[self._row]
        result = (self._last >= 0) & (changed > self._last)
        self._last = changed.copy()
        return result, _ALL


class _Held:
    """True once the condition has been true, and known, without a break for so long."""

    def __init__(self, run: Run, window_s: float, n: int) -> None:
        self._run, self._window_ns = run, int(window_s * 1e9)
        self._since = np.full(n, -1, np.int64)

    def __call__(self, now: Now) -> tuple[NDArray, Flags]:
        value, known = self._run(now)
        is_on = np.broadcast_to(value & known, self._since.shape)
        self._since = np.where(is_on, np.where(self._since < 0, now.now_ns, self._since), -1)
        held = is_on & (now.now_ns - self._since >= self._window_ns)
        return held, np.broadcast_to(known, held.shape)


class _Window:
    """The last stretch of a value, in steps: what rate, delta and mean are taken from."""

    def __init__(self, run: Run, window_s: float, n: int) -> None:
        self._run = run
        self._window_ns = int(window_s * 1e9)
        self._step_ns = max(1, self._window_ns // STEPS)
        self._time = np.zeros(STEPS + 1, np.int64)
        self._value = np.full((STEPS + 1, n), np.nan)
        self._n_steps = 0

    def _look(self, now: Now) -> tuple[NDArray, Flags]:
        value, known = self._run(now)
        n = self._value.shape[1]
        current = np.where(known, np.broadcast_to(value, (n,)), np.nan)
        newest = self._n_steps - 1
        if newest < 0 or now.now_ns - self._time[newest % len(self._time)] >= self._step_ns:
            at = self._n_steps % len(self._time)
            self._time[at], self._value[at] = now.now_ns, current
            self._n_steps += 1
        return current, np.broadcast_to(known, (n,))

    def _rows(self, now_ns: int) -> NDArray[np.intp]:
        """Kept steps within the window, oldest first."""
        kept = min(self._n_steps, len(self._time))
        rows = np.arange(self._n_steps - kept, self._n_steps) % len(self._time)
        return rows[self._time[rows] >= now_ns - self._window_ns - self._step_ns]

    def delta(self, now: Now) -> tuple[NDArray, Flags]:
        """How much it has changed within the window."""
        current, known = self._look(now)
        oldest = self._value[self._rows(now.now_ns)[0]]
        change = current - oldest
        return change, known & np.isfinite(change)

    def rate(self, now: Now) -> tuple[NDArray, Flags]:
        """Its change by the second; unknown until half of the window has passed."""
        current, known = self._look(now)
        first = self._rows(now.now_ns)[0]
        passed_ns = now.now_ns - int(self._time[first])
        if passed_ns < self._window_ns // 2:
            return np.zeros_like(current), np.zeros(current.shape, np.bool_)
        rate = (current - self._value[first]) / (passed_ns / 1e9)
        return rate, known & np.isfinite(rate)

    def mean(self, now: Now) -> tuple[NDArray, Flags]:
        """Its mean over the steps of the window."""
        _, known = self._look(now)
        kept = self._value[self._rows(now.now_ns)]
        count = np.isfinite(kept).sum(axis=0)
        mean = np.where(np.isfinite(kept), kept, 0.0).sum(axis=0) / np.maximum(count, 1)
        return mean, known & (count > 0)


def _zero(unit: str) -> float:
    """Where the zero of a unit's scale lies; 0 for all but temperatures."""
    return units.parse(unit).offset if unit else 0.0


def _joined(left: str, right: str, operator: str) -> str:
    if right in ("", "1"):
        return left
    first = "1" if left in ("", "1") else f"({left})"
    second = f"({right})"
    return f"{first}{'.' if operator == '*' else '/'}{second}"
