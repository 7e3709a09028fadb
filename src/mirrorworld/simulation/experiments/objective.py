"""What is asked of a design, and how rows of answers come of it, whatever an objective does.

An objective is something that can be called: `evaluate(design, seed, replications)` gives figures
by name, each a number or one for every replication. One that is cheap takes many designs at once,
as columns, and is marked with `@batch`; each of its figures is [designs] or [designs,
replications]. A derivative is a figure called `derivative("throughput", "buffer")`.

What raises, or gives what is no number, is named with its row; the other rows are kept.
"""

from __future__ import annotations

import enum
import importlib
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.space import Columns, design, size

F = TypeVar("F", bound=Callable[..., Any])


class ObjectiveError(ValueError):
    """An objective cannot be used; the message says what would mend it."""


class Status(enum.IntEnum):
    """How a design ended."""

    OK = 0
    FAILED = 1
    """It raised, or gave no figures."""
    NOT_FINITE = 2
    """A figure is NaN or infinite."""
    TIMEOUT = 3
    ENDED = 4
    """Its process ended."""


@dataclass(slots=True)
class Block:
    """Answers for some designs, as columns."""

    number: NDArray[np.int64]
    status: NDArray[np.uint8]
    detail: dict[int, str] = field(default_factory=dict[int, str])
    """Row -> what went wrong."""
    figures: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    """Name -> [rows, 1 or replications]; NaN where there is none."""


def batch(function: F) -> F:
    """Marks an objective as one that takes columns of many designs at once."""
    function.is_batch = True  # pyright: ignore[reportFunctionMemberAccess]
    return function


def derivative(figure: str, factor: str) -> str:
    """The name of the figure that is the derivative of a figure by a factor."""
    return f"d({figure})/d({factor})"


@dataclass(frozen=True, slots=True)
class Objective:
    """What is called, and the options that it is called with by keyword.

    Attributes:
        call: `module:function`, or an object that can be pickled.

    Raises:
        ObjectiveError: an option is nothing that JSON holds.
    """

    call: str | Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name, value in self.options.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                raise ObjectiveError(f"option '{name}' cannot be kept as JSON: {error}") from None

    @property
    def name(self) -> str:
        """`module:function` where it can be imported by that; else ""."""
        if isinstance(self.call, str):
            return self.call
        module, name = getattr(self.call, "__module__", ""), getattr(self.call, "__qualname__", "")
        if not module or not name or module == "__main__" or "<" in name:
            return ""
        return f"{module}:{name}"

    def load(self) -> Callable[..., Any]:
        """What is called.

        Raises:
            ObjectiveError: there is no such function.
        """
        if not isinstance(self.call, str):
            if not callable(self.call):
                raise ObjectiveError(f"an objective is called; {self.call!r} cannot be")
            return self.call
        module, _, path = self.call.partition(":")
        if not module or not path:
            raise ObjectiveError(f"'{self.call}' names no objective; write module:function")
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise ObjectiveError(f"objective '{self.call}': {error}") from None
        if not callable(found):
            raise ObjectiveError(f"objective '{self.call}' is no function")
        return found

    def check_it_travels(self) -> None:
        """Raises ObjectiveError where another process could not be given it."""
        try:
            pickle.dumps(self)
        except Exception as error:
            raise ObjectiveError(
                f"the objective cannot be sent to another process ({error}); name it as"
                ' "module:function", or run with where="here"'
            ) from None


@dataclass(frozen=True, slots=True)
class Task:
    """Some designs to be evaluated, together."""

    number: NDArray[np.int64]
    columns: Columns
    seed: NDArray[np.uint64] | int
    """One for all (common random numbers), or one for each."""
    replications: int

    def part(self, rows: slice) -> Task:
        """Only some rows."""
        seed = self.seed if isinstance(self.seed, int) else self.seed[rows]
        columns = {name: column[rows] for name, column in self.columns.items()}
        return Task(self.number[rows], columns, seed, self.replications)

    def seed_of(self, row: int) -> int:
        """The seed of one design."""
        return self.seed if isinstance(self.seed, int) else int(self.seed[row])


def evaluated(
    call: Callable[..., Any],
    options: Mapping[str, Any],
    task: Task,
    *,
    begins: Callable[[int], None] = lambda _: None,
    has_enough: Callable[[], bool] = lambda: False,
) -> Iterator[Block]:
    """Evaluates a task, in one block or several.

    Args:
        begins: hears the row before it is evaluated; -1: all of them at once.
        has_enough: asked after every row; true ends a block.
    """
    if getattr(call, "is_batch", False):
        begins(-1)
        yield from _together(call, options, task)
        return
    first = 0
    answers: list[dict[str, NDArray[np.float64]] | str] = []
    for row in range(len(task.number)):
        begins(row)
        answers.append(_one(call, options, task, row))
        if has_enough():
            yield _joined(task.number[first : row + 1], answers)
            first, answers = row + 1, []
    if answers:
        yield _joined(task.number[first:], answers)


def lost(number: NDArray[np.int64], status: Status, why: str) -> Block:
    """The block of designs that nothing is known of."""
    n = len(number)
    return Block(number, np.full(n, status, np.uint8), dict.fromkeys(range(n), why))


def _one(
    call: Callable[..., Any], options: Mapping[str, Any], task: Task, row: int
) -> dict[str, NDArray[np.float64]] | str:
    replications = task.replications
    try:
        given = call(design(task.columns, row), task.seed_of(row), replications, **options)
        if not isinstance(given, Mapping) or not given:
            return f"gave {type(given).__name__} and no figures by name"
        found: dict[str, NDArray[np.float64]] = {}
        for name, value in given.items():
            values = np.atleast_1d(np.asarray(value, np.float64))
            if values.ndim != 1 or len(values) not in (1, replications):
                return f"{name}: shape {values.shape} for {replications} replications"
            found[str(name)] = values
        return found
    except (Exception, SystemExit) as error:
        return _why(error)


def _together(call: Callable[..., Any], options: Mapping[str, Any], task: Task) -> Iterator[Block]:
    """A batch; one that raises is halved until the design is found that does it."""
    n = size(task.columns)
    try:
        given = call(task.columns, task.seed, task.replications, **options)
        if not isinstance(given, Mapping) or not given:
            raise TypeError(f"gave {type(given).__name__} and no figures by name")
        figures: dict[str, NDArray[np.float64]] = {}
        for name, value in given.items():
            values = np.asarray(value, np.float64)
            values = values[:, None] if values.ndim == 1 else values
            if (
                values.ndim != 2
                or len(values) != n
                or values.shape[1] not in (1, task.replications)
            ):
                raise ValueError(
                    f"{name}: shape {np.shape(value)} for {n} designs and"
                    f" {task.replications} replications"
                )
            figures[str(name)] = values
    except (Exception, SystemExit) as error:
        if n == 1:
            yield lost(task.number, Status.FAILED, _why(error))
            return
        yield from _together(call, options, task.part(slice(0, n // 2)))
        yield from _together(call, options, task.part(slice(n // 2, n)))
        return
    yield _looked_at(Block(task.number, np.zeros(n, np.uint8), {}, figures))


def _joined(
    number: NDArray[np.int64], answers: list[dict[str, NDArray[np.float64]] | str]
) -> Block:
    n = len(answers)
    block = Block(number, np.zeros(n, np.uint8))
    widths: dict[str, int] = {}
    for answer in answers:
        if not isinstance(answer, str):
            for name, values in answer.items():
                widths[name] = max(widths.get(name, 1), len(values))
    block.figures = {name: np.full((n, width), np.nan) for name, width in widths.items()}
    for row, answer in enumerate(answers):
        if isinstance(answer, str):
            block.status[row], block.detail[row] = Status.FAILED, answer
        else:
            for name, values in answer.items():
                block.figures[name][row, : len(values)] = values
            missing = widths.keys() - answer.keys()
            if missing:
                block.status[row] = Status.FAILED
                block.detail[row] = f"{min(missing)} is missing, which other designs have"
    return _looked_at(block)


def _looked_at(block: Block) -> Block:
    for name, values in block.figures.items():
        bad = ~np.isfinite(values)
        for row in np.flatnonzero(bad.any(axis=1) & (block.status == Status.OK)).tolist():
            at = int(np.argmax(bad[row]))
            where = f" in replication {at}" if values.shape[1] > 1 else ""
            block.status[row] = Status.NOT_FINITE
            block.detail[row] = f"{name} is {values[row, at]}{where}"
    return block


def _why(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:400]
