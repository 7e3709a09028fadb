"""The space of designs: named factors with ranges and units, and what must hold between them.

Constraints are written in the language of rules (`docs/guide/expressions.md`), without its
functions of time: `buffer * 2 < 40 and speed > 0.5 m/s`. Designs are columns, one array for each
factor; an object per design exists only where an objective asks for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.rules.compile import TRUTH, Input, Now, compile_
from mirrorworld.rules.language import Node, Ref, RuleError, parse, refs
from mirrorworld.world.model import Kind

Columns = dict[str, NDArray[Any]]
"""Factor -> [designs]: float64, int64, or text of fixed width."""

RESERVED: Final = frozenset({"design", "seed", "replications", "status", "detail"})
LEVELS_MAX: Final = 1_000_000


class SpaceError(ValueError):
    """A space of designs cannot be used; the message names the factor or the constraint."""


@dataclass(frozen=True, slots=True)
class Continuous:
    """A real factor between two ends, both included.

    `steps` 0: any value; else so many equally spaced ones, both ends among them.
    """

    name: str
    low: float
    high: float
    unit: str = "1"
    """UCUM."""
    steps: int = 0

    def __post_init__(self) -> None:
        _range(self.name, self.low, self.high)
        _unit(self.name, self.unit)
        if self.steps == 1 or not 0 <= self.steps <= LEVELS_MAX:
            raise SpaceError(f"factor '{self.name}': {self.steps} steps; give 0, or 2 and more")

    @property
    def size(self) -> int | None:
        """How many values it has; None: uncountably many."""
        return self.steps or None

    def at(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Values by number of the step."""
        return self.low + index * np.float64((self.high - self.low) / (self.steps - 1))

    def from_share(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at shares of the range, 0 to 1."""
        if self.steps:
            return self.at(_step(share, self.steps))
        return self.low + share * (self.high - self.low)

    def share(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Where in the range values lie, 0 to 1."""
        return (np.asarray(values, np.float64) - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number between two ends, both included, every `step`."""

    name: str
    low: int
    high: int
    unit: str = "1"
    """UCUM."""
    step: int = 1

    def __post_init__(self) -> None:
        _range(self.name, self.low, self.high)
        _unit(self.name, self.unit)
        if self.step < 1 or (self.high - self.low) % self.step:
            raise SpaceError(
                f"factor '{self.name}': a step of {self.step} does not lead from {self.low} to"
                f" {self.high}"
            )

    @property
    def size(self) -> int:
        """How many values it has."""
        return (self.high - self.low) // self.step + 1

    def at(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Values by number of the step."""
        return self.low + np.asarray(index, np.int64) * self.step

    def from_share(self, share: NDArray[np.float64]) -> NDArray[np.int64]:
        """Values at shares of the range, 0 to 1."""
        return self.at(_step(share, self.size))

    def share(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Where in the range values lie, 0 to 1."""
        return (np.asarray(values, np.float64) - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of several words, without order."""

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        _name(self.name)
        if len(set(self.levels)) != len(self.levels) or len(self.levels) < 2:
            raise SpaceError(f"factor '{self.name}': give two levels or more, each once")

    @property
    def unit(self) -> str:
        """None: it is no quantity."""
        return ""

    @property
    def size(self) -> int:
        """How many levels it has."""
        return len(self.levels)

    def at(self, index: NDArray[np.int64]) -> NDArray[np.str_]:
        """Levels by number."""
        return np.asarray(self.levels)[index]

    def from_share(self, share: NDArray[np.float64]) -> NDArray[np.str_]:
        """Levels at shares, 0 to 1; each has an equal part."""
        return self.at(_step(share, self.size))

    def codes(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Number of each level; -1: it is none."""
        found = np.full(len(values), -1, np.int64)
        for code, level in enumerate(self.levels):
            found[values == level] = code
        return found

    def share(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The number of the level over the greatest."""
        return self.codes(values) / (self.size - 1)


Factor = Continuous | Integer | Categorical


@dataclass(frozen=True, slots=True)
class Space:
    """Factors, and the constraints that every design meets.

    Raises:
        SpaceError: a name stands twice; a constraint is no expression of the factors, says no yes
            or no, or has units that do not fit.
    """

    factors: tuple[Factor, ...]
    constraints: tuple[str, ...] = ()
    _trees: tuple[tuple[Node, tuple[Ref, ...]], ...] = field(
        init=False, repr=False, compare=False, default=()
    )

    def __post_init__(self) -> None:
        names = [factor.name for factor in self.factors]
        if not names:
            raise SpaceError("a space has at least one factor")
        for name in names:
            if names.count(name) > 1:
                raise SpaceError(f"factor '{name}' stands there {names.count(name)} times")
        trees: list[tuple[Node, tuple[Ref, ...]]] = []
        for text in self.constraints:
            try:
                node = parse(text)
                order = tuple(dict.fromkeys(refs(node)))
                for ref in order:
                    if ref.twin or ref.point not in names:
                        known = ", ".join(names)
                        raise RuleError(
                            f"there is no factor '{ref.point}'", ref.column, f"there are {known}"
                        )
                ready = compile_(node, order, [self._input(ref) for ref in order], 1)
            except RuleError as error:
                raise SpaceError(f"constraint '{text}': {error}") from None
            if ready.kind != TRUTH or ready.waits:
                raise SpaceError(f"constraint '{text}': say what must hold of one design, as a < b")
            trees.append((node, order))
        object.__setattr__(self, "_trees", tuple(trees))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the factors, in order."""
        return tuple(factor.name for factor in self.factors)

    def factor(self, name: str) -> Factor:
        """The factor of that name.

        Raises:
            SpaceError: there is none.
        """
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise SpaceError(f"there is no factor '{name}'; there are {', '.join(self.names)}")

    def from_shares(self, shares: NDArray[np.float64]) -> Columns:
        """Designs at shares of the ranges, [designs, factors], each 0 to 1."""
        return {f.name: f.from_share(shares[:, i]) for i, f in enumerate(self.factors)}

    def shares(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """[designs, factors] where in the ranges designs lie, 0 to 1."""
        return np.column_stack([f.share(columns[f.name]) for f in self.factors])

    def holds(self, constraint: int, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """[designs] whether one constraint holds. What cannot be computed does not."""
        node, order = self._trees[constraint]
        n = size(columns)
        value = np.empty((len(order), n))
        for row, ref in enumerate(order):
            factor, given = self.factor(ref.point), columns[ref.point]
            value[row] = factor.codes(given) if isinstance(factor, Categorical) else given
        now = Now(value, np.ones(value.shape, bool), np.zeros(value.shape, np.int64),
                  np.zeros(value.shape, np.int64), 0)  # fmt: skip
        truth, known = compile_(node, order, [self._input(ref) for ref in order], n)(now)
        return truth & known

    def allows(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """[designs] whether all constraints hold."""
        held = np.ones(size(columns), bool)
        for i in range(len(self.constraints)):
            held &= self.holds(i, columns)
        return held

    def nobody(self, held: Sequence[int], tried: int) -> str:
        """What to say where no design of those tried meets the constraints.

        Args:
            held: how many designs meet each constraint by itself.
        """
        alone = [text for text, n in zip(self.constraints, held, strict=True) if not n]
        which = " and ".join(f"'{text}'" for text in alone or self.constraints)
        how = "meets" if alone or len(self.constraints) == 1 else "meets at once"
        return (
            f"no design is possible: none of {tried:,} {how} {which};"
            " loosen it or widen the ranges of its factors"
        )

    def _input(self, ref: Ref) -> Input:
        factor = self.factor(ref.point)
        if isinstance(factor, Categorical):
            return Input(Kind.ENUM, "", tuple(enumerate(factor.levels)))
        return Input(Kind.FLOAT, "" if factor.unit == "1" else factor.unit)

    # --- plain form ---

    def to_plain(self) -> dict[str, Any]:
        """As JSON or YAML hold it; `from_plain` brings it back."""
        factors: dict[str, Any] = {}
        for factor in self.factors:
            match factor:
                case Continuous():
                    plain = {"low": factor.low, "high": factor.high, "unit": factor.unit}
                    factors[factor.name] = plain | ({"steps": factor.steps} if factor.steps else {})
                case Integer():
                    factors[factor.name] = {
                        "low": factor.low, "high": factor.high, "unit": factor.unit,
                        "integer": True, "step": factor.step,
                    }  # fmt: skip
                case Categorical():
                    factors[factor.name] = {"levels": list(factor.levels)}
        return {"factors": factors, "constraints": list(self.constraints)}

    @staticmethod
    def from_plain(plain: Any) -> Space:
        """The space that a file describes.

        Raises:
            SpaceError: it describes none; the message names the factor.
        """
        if not isinstance(plain, Mapping) or not isinstance(plain.get("factors"), Mapping):
            raise SpaceError("a space has 'factors': a name for each, with low and high or levels")
        unknown = set(plain) - {"factors", "constraints"}
        if unknown:
            raise SpaceError(f"a space has factors and constraints, not '{min(unknown)}'")
        constraints = plain.get("constraints") or ()
        if isinstance(constraints, str) or not all(isinstance(c, str) for c in constraints):
            raise SpaceError("constraints: give a list of expressions")
        return Space(
            tuple(_factor(str(name), given) for name, given in plain["factors"].items()),
            tuple(constraints),
        )


def size(columns: Mapping[str, NDArray[Any]]) -> int:
    """How many designs columns hold."""
    return len(next(iter(columns.values())))


def design(columns: Mapping[str, NDArray[Any]], row: int) -> dict[str, float | int | str]:
    """One design as plain values."""
    return {name: column[row].item() for name, column in columns.items()}


def in_words(one: Mapping[str, float | int | str]) -> str:
    """One design in a line: `buffer=3, rule=fifo`."""
    return ", ".join(
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in one.items()
    )


def _factor(name: str, given: Any) -> Factor:
    if isinstance(given, Sequence) and not isinstance(given, str):
        given = {"levels": given}
    if not isinstance(given, Mapping):
        raise SpaceError(f"factor '{name}': give low and high, or levels")
    if "levels" in given:
        _only(name, given, {"levels"})
        return Categorical(name, tuple(str(level) for level in given["levels"]))
    _only(name, given, {"low", "high", "unit", "steps", "integer", "step"})
    try:
        low, high = given["low"], given["high"]
    except KeyError as error:
        raise SpaceError(f"factor '{name}': {error.args[0]} is missing") from None
    for number in (low, high, given.get("steps", 0), given.get("step", 1)):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise SpaceError(f"factor '{name}': '{number}' is no number")
    unit = str(given.get("unit", "1"))
    if given.get("integer"):
        if any(float(x) != int(x) for x in (low, high, given.get("step", 1))):
            raise SpaceError(f"factor '{name}': the ends of an integer are integers")
        return Integer(name, int(low), int(high), unit, int(given.get("step", 1)))
    return Continuous(name, float(low), float(high), unit, int(given.get("steps", 0)))


def _only(name: str, given: Mapping[str, Any], known: set[str]) -> None:
    unknown = set(given) - known
    if unknown:
        raise SpaceError(f"factor '{name}': '{min(unknown)}' is not known beside {sorted(known)}")


def _name(name: str) -> None:
    if not name or name in RESERVED:
        raise SpaceError(f"a factor cannot be called '{name}'; give it another name")


def _range(name: str, low: float, high: float) -> None:
    _name(name)
    if not (isfinite(low) and isfinite(high) and low < high):
        raise SpaceError(f"factor '{name}': {low} … {high} is no range; the lower end comes first")


def _unit(name: str, unit: str) -> None:
    try:
        units.parse(unit)
    except units.UnitError as error:
        raise SpaceError(f"factor '{name}': {error}") from None


def _step(share: NDArray[np.float64], steps: int) -> NDArray[np.int64]:
    return np.clip(np.floor(np.asarray(share) * steps), 0, steps - 1).astype(np.int64)
