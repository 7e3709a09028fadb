"""What a branch keeps beside its log: its head, how its run stands, its evaluations. Small JSON
files, each put in place in one step, so that a crash leaves the old or the new one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from mirrorworld.protocol.branches import AttachedModel, RunState
from mirrorworld.record.files import Files, write_whole

T = TypeVar("T")

HEAD: Final = "branch.json"
RUN: Final = "run.json"
LOG: Final = "log"
BASE: Final = "base"
EVALUATIONS: Final = "evaluations"
VERSION: Final = 1
ID: Final = re.compile(r"b-[0-9a-f]{12}")


@dataclass(slots=True)
class Head:
    """What a branch is."""

    id: str
    name: str
    author: str
    parent: str
    """Id of a branch; empty: the live world."""
    at: str
    """Position of the fork in the parent."""
    at_ns: int
    made_ns: int
    record: str
    """Which log this is, in hex."""
    is_shared: bool = False
    note: str = ""
    models: list[AttachedModel] = field(default_factory=list[AttachedModel])
    has_base: bool = False
    """Whether the world at the fork is kept with it: the parent's record cannot give it again."""
    version: int = VERSION


@dataclass(slots=True)
class Figures:
    """One evaluation as it is kept."""

    id: str
    evaluator: str
    options: dict[str, Any]
    replications: int
    seed: int
    state: str
    by: str
    made_ns: int
    position: str
    detail: str = ""
    progress: float = 0.0
    kpis: list[Kept] = field(default_factory=lambda: list[Kept]())


@dataclass(slots=True)
class Kept:
    """A figure over replications; null where there is no value."""

    name: str
    unit: str
    better: str
    values: list[float | None]


def write(path: Path, what: Any) -> None:
    """Keeps a value; durable on return."""
    write_whole(Files(), path, msgspec.json.encode(what))


def read(path: Path, shape: type[T]) -> T:
    """A kept value.

    Raises:
        ValueError: the file does not hold one; the message names it.
        FileNotFoundError: there is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {error}; restore it from a backup") from error


def read_head(directory: Path) -> Head:
    """The head of the branch in a directory; ValueError where a newer version wrote it."""
    head = read(directory / HEAD, Head)
    if head.version != VERSION:
        raise ValueError(f"{directory}: version {head.version} of a branch; this reads {VERSION}")
    return head


def read_run(directory: Path) -> RunState | None:
    """How the last run stood when it was last written down."""
    try:
        return read(directory / RUN, RunState)
    except FileNotFoundError:
        return None
