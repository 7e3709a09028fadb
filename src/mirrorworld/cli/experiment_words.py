"""What people write on the command line about experiments, made into spaces, limits and options."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from mirrorworld.simulation.experiments.space import (
    Categorical,
    Continuous,
    Factor,
    Integer,
    Space,
    SpaceError,
)

_NUMBER: Final = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE: Final = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?:/(\d+))?(?:\s+(\S+))?")
_LIMIT: Final = re.compile(rf"(.+?)\s*(<=|>=)\s*({_NUMBER})")


def space_of(file: Path | None, factors: Sequence[str], constraints: Sequence[str]) -> Space:
    """The space of a file (YAML or JSON), and of `--factor` and `--constraint`.

    Raises:
        SpaceError: nothing, or something that is none, was given.
    """
    of_file = Space.from_plain(read_plain(file)) if file is not None else None
    own = tuple(factor_of(text) for text in factors)
    if of_file is None and not own:
        raise SpaceError("say what may vary: --factor 'buffer=1..8', or --space FILE")
    return Space(
        (*(of_file.factors if of_file else ()), *own),
        (*(of_file.constraints if of_file else ()), *constraints),
    )


def factor_of(text: str) -> Factor:
    """`buffer=1..8`, `speed=0.5..2/4 m/s` (four steps), `rule=fifo,edd`.

    Raises:
        SpaceError: it is none of these.
    """
    name, _, what = (part.strip() for part in text.partition("="))
    found = _RANGE.fullmatch(what)
    if found is None:
        levels = tuple(level.strip() for level in what.split(","))
        if len(levels) < 2 or not all(levels):
            raise SpaceError(
                f"'{text}' is no factor; write NAME=LOW..HIGH, NAME=LOW..HIGH/STEPS UNIT, or"
                " NAME=WORD,WORD"
            )
        return Categorical(name, levels)
    low, high, steps, unit = found.groups()
    if all(re.fullmatch(r"[-+]?\d+", end) for end in (low, high)):
        step, wide = 1, int(high) - int(low)
        if steps is not None:
            if int(steps) < 2 or wide % (int(steps) - 1):
                raise SpaceError(f"'{text}': whole numbers have no {steps} equal steps there")
            step = wide // (int(steps) - 1)
        return Integer(name, int(low), int(high), unit or "1", step)
    return Continuous(name, float(low), float(high), unit or "1", int(steps or 0))


def limits_of(texts: Sequence[str]) -> dict[str, tuple[float | None, float | None]]:
    """`cost <= 100`, `yield >= 0.9`: figure -> (least, most).

    Raises:
        ValueError: one of them is no limit.
    """
    limits: dict[str, tuple[float | None, float | None]] = {}
    for text in texts:
        found = _LIMIT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"'{text}' is no limit; write FIGURE <= NUMBER or FIGURE >= NUMBER")
        figure, sign, number = found.groups()
        least, most = limits.get(figure, (None, None))
        limits[figure] = (least, float(number)) if sign == "<=" else (float(number), most)
    return limits


def options_of(texts: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE, values as JSON where they are, else as words.

    Raises:
        ValueError: there is no "=".
    """
    options: dict[str, Any] = {}
    for text in texts:
        key, is_pair, value = text.partition("=")
        if not is_pair:
            raise ValueError(f"option '{text}': write KEY=VALUE")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def read_plain(file: Path) -> Any:
    """What a YAML or JSON file holds.

    Raises:
        ValueError: it holds neither.
    """
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: {error}") from None
