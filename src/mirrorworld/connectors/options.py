"""A connector's options: a frozen dataclass says which there are, and this reads them.

Options come from the command line as text and from Python as values; both end as the type that
the dataclass names. An unknown option is an error, since a misspelt one would do nothing.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceError

T = TypeVar("T")

_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def read_options(cls: type[T], given: Mapping[str, Scalar], source: str) -> T:
    """The options of a source as its connector's dataclass.

    Fields are annotated `bool`, `int`, `float` or `str`; `__post_init__` may raise ValueError
    whose message begins with the option's name.

    Raises:
        SourceError: an option is unknown or not of its type; it names both and what is allowed.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # pyright: ignore[reportArgumentType]
    values: dict[str, Any] = {}
    for name, value in given.items():
        field = fields.get(name)
        if field is None:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(fields)}"
            raise SourceError(f"{source}: no option '{name}'; {hint}")
        if value is not None:
            values[name] = _read(name, str(field.type), value, source)
    try:
        return cls(**values)
    except ValueError as error:
        raise SourceError(f"{source}: option {error}") from error


def _read(name: str, type_: str, value: Scalar, source: str) -> Any:
    try:
        if type_ == "bool":
            if isinstance(value, bool):
                return value
            text = str(value).lower()
            if text in _TRUE | _FALSE:
                return text in _TRUE
        elif type_ == "int" and not isinstance(value, bool):
            if isinstance(value, str) or value == int(value or 0):
                return int(value or 0)
        elif type_ == "float" and not isinstance(value, bool):
            return float(value or 0.0)
        elif type_ == "str":
            return str(value)
    except ValueError:
        pass
    wanted = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    raise SourceError(f"{source}: option {name}={value!r} is not {wanted.get(type_, 'a text')}")
