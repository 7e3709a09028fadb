"""What payloads look like, and how those of one look are read: shapes.

A payload's *signature* says its names, their order and the types of their values. A *shape* is
what a signature is compiled into: a typed decoder and a getter, two calls into C, which refuse
every payload that looks otherwise.

Knows payloads; refuses to know topics and worlds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.connectors import guesses
from mirrorworld.world import quality
from mirrorworld.world.frames import encode_array
from mirrorworld.world.model import Kind

DEPTH_LIMIT: Final = 16
FIELDS_LIMIT: Final = 4_096
"""Of one message."""
LIST_LIMIT: Final = 64
"""Objects in one list that become points of their own."""
TEXT_LIMIT_BYTES: Final = 1 << 16
EXACT_INTEGERS: Final = 1 << 53
"""Up to here a float64 holds every integer."""

Signature = Any
"""What a payload looks like: nested tuples of one-letter types, hashable."""


class TooComplex(ValueError):
    """A payload deeper or wider than the limits."""


@dataclass(frozen=True, slots=True)
class Column:
    """One value in a row of a shape."""

    point: str
    kind: Kind | None
    """None: null, which says nothing of what the value would be."""
    time: int
    """Which column of times holds its time; -1: none."""
    unit: str = ""
    is_whole: bool = False


@dataclass(slots=True)
class Shape:
    """How payloads of one look are read, and the rows of it in the batch at hand."""

    read: Callable[[bytes], Any]
    """A payload to its values, then its times; one value alone is not in a tuple."""
    columns: tuple[Column, ...]
    times: int
    handles: list[NDArray[np.uint32]] = field(default_factory=list)
    """By topic of the shape; `REFUSED_HANDLE` for what stays out."""
    index: dict[str, int] = field(default_factory=dict)
    """Twin of a topic of the shape → its place in `handles`."""
    scales: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)
    """Place → (factors, offsets) by column, of the topics that send another unit."""
    rows: list[Any] = field(default_factory=list)
    topics: list[int] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    table: NDArray[np.uint32] | None = None


REFUSED_HANDLE: Final = 0xFFFF_FFFF


# --- what a payload looks like --------------------------------------------------------------


class Describer:
    """Turns decoded payloads into signatures."""

    def __init__(self, zone: ZoneInfo | None, *, keeps_integers: bool) -> None:
        self._zone = zone
        self._keeps_integers = keeps_integers
        self._fields = 0

    def describe(self, value: Any) -> Signature:
        """The signature of a decoded payload.

        Raises:
            TooComplex: it is beyond the limits.
        """
        self._fields = 0
        return self._describe(value, 0)

    def _describe(self, value: Any, depth: int) -> Signature:
        self._fields += 1
        if depth > DEPTH_LIMIT or self._fields > FIELDS_LIMIT:
            raise TooComplex
        if isinstance(value, bool):
            return "b"
        if isinstance(value, int):
            if abs(value) > EXACT_INTEGERS:
                return "i" if -(1 << 63) <= value < 1 << 63 else "n"
            return "i" if self._keeps_integers else "n"
        if isinstance(value, float):
            return "n"
        if isinstance(value, str):
            return "s"
        if value is None:
            return "0"
        if isinstance(value, dict):
            return self._describe_object(value, depth)
        if value and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value):
            return "[n"
        if value and len(value) <= LIST_LIMIT and all(isinstance(v, dict) for v in value):
            return ("[", tuple(self._describe(v, depth + 1) for v in value))
        return "[]" if not value else "[*"

    def _describe_object(self, value: dict[str, Any], depth: int) -> Signature:
        time: str | None = None
        unit: str | None = None
        for key, item in value.items():
            if time is None and guesses.is_time_name(key) and guesses.is_time(item, self._zone):
                time = key
            elif unit is None and guesses.bare(key) in guesses.UNIT_NAMES and isinstance(item, str):
                unit = key
        parts: list[tuple[str, Signature]] = []
        for key, item in value.items():
            if key == time:
                parts.append((key, "ts" if isinstance(item, str) else "tn"))
            elif key == unit and len(item) <= units.LENGTH_LIMIT:
                parts.append((key, ("u", item)))
            else:
                parts.append((key, self._describe(item, depth + 1)))
        return ("{", tuple(parts))


_TYPES: Final[dict[str, Any]] = {
    "n": float | None,
    "i": int | None,
    "b": bool | None,
    "s": str | None,
    "0": None,
    "[n": list[float] | None,
    "[]": list[float],
    "[*": list[msgspec.Raw],
    "tn": int | float | None,
    "ts": str | None,
}
KINDS: Final = {
    "n": Kind.FLOAT,
    "i": Kind.INT,
    "b": Kind.BOOL,
    "s": Kind.TEXT,
    "[n": Kind.ARRAY,
    "[*": Kind.TEXT,
    "text": Kind.TEXT,
    "nan": Kind.FLOAT,
}


def walk(
    signature: Signature, path: tuple[str, ...], time: int, times: list[str], unit: str = ""
) -> Iterator[tuple[str, Column]]:
    """(attribute path in the struct, column) of every value below a signature."""
    if isinstance(signature, str):
        kind = KINDS.get(signature)
        if kind is not None or signature == "0":
            name = ".".join(path) or "value"
            yield "", Column(name, kind, time, unit, signature == "i")
        return
    tag, parts = signature
    if tag == "[":
        for i, part in enumerate(parts):
            before = len(times)
            for place, column in walk(part, (*path, str(i)), time, times):
                yield f"[{i}].{place}", column
            times[before:] = [f"[{i}].{place}" for place in times[before:]]
        return
    if tag != "{":
        return
    for i, (_, part) in enumerate(parts):
        if part in ("tn", "ts"):
            time = len(times)
            times.append(f"f{i}")
    given = next((part[1] for _, part in parts if part[0] == "u"), "")
    numbers = [key for key, part in parts if part in ("n", "i")]
    named = [key for key in numbers if guesses.bare(key) in guesses.VALUE_NAMES]
    carrier = (named or (numbers if len(numbers) == 1 else [""]))[0] if given else ""
    for i, (key, part) in enumerate(parts):
        own = given if key == carrier else ""
        before = len(times)
        for place, column in walk(part, (*path, key), time, times, own):
            yield (f"f{i}.{place}" if place else f"f{i}"), column
        times[before:] = [f"f{i}.{place}" for place in times[before:]]


def is_loose(signature: Signature) -> bool:
    """Whether payloads of another look could be read by it."""
    if isinstance(signature, str):
        return signature in ("[*", "[]")
    tag, parts = signature
    if tag == "[":
        return any(is_loose(part) for part in parts)
    return tag == "{" and any(is_loose(part) for _, part in parts)


def _type_of(signature: Signature) -> Any:
    """The msgspec type that decodes exactly the payloads of a signature."""
    if isinstance(signature, str):
        return _TYPES[signature]
    tag, parts = signature
    if tag == "u":
        return Literal[parts]
    if tag == "[":
        return tuple[tuple(_type_of(part) for part in parts)]
    fields = [(f"f{i}", _type_of(part)) for i, (_, part) in enumerate(parts)]
    return msgspec.defstruct(
        "Payload",
        fields,
        rename={f"f{i}": key for i, (key, _) in enumerate(parts)},
        forbid_unknown_fields=True,
        gc=False,
    )


def _getter(places: Sequence[str]) -> Callable[[Any], Any]:
    """Reads values at attribute paths; paths through lists (`f0.[1].f2`) step by step."""
    if not any("[" in place for place in places):
        return operator.attrgetter(*places)
    steps = [
        [int(s[1:-1]) if s.startswith("[") else s for s in place.split(".") if s]
        for place in places
    ]

    def get(value: Any) -> Any:
        row: list[Any] = []
        for path in steps:
            at = value
            for step in path:
                at = at[step] if isinstance(step, int) else getattr(at, step)
            row.append(at)
        return tuple(row) if len(row) > 1 else row[0]

    return get


def _general(
    signature: Signature, places: Sequence[str], describer: Describer
) -> Callable[[bytes], Any]:
    """Reads payloads of a signature without a compiled type: by looking at each in full."""
    steps = [[int(step.strip("f[]")) for step in place.split(".") if step] for place in places]

    def read(payload: bytes) -> Any:
        value = msgspec.json.decode(payload)
        if describer.describe(value) != signature:
            raise msgspec.DecodeError("looks different")
        row: list[Any] = []
        for path in steps:
            at = value
            for step in path:
                at = list(at.values())[step] if isinstance(at, dict) else at[step]
            is_list = isinstance(at, list) and not all(
                isinstance(v, int | float) and not isinstance(v, bool) for v in at
            )
            row.append(msgspec.json.encode(at) if is_list else at)
        return tuple(row) if len(row) != 1 else row[0]

    return read


def _read_text(payload: bytes) -> str:
    """A payload that is no JSON. What may be more than a text is looked at in full."""
    if payload[:1] in (b"{", b"[", b"") or len(payload) > TEXT_LIMIT_BYTES:
        raise msgspec.DecodeError("not a plain text")
    text = payload.decode()
    if not text.isprintable() and any(c < " " and c not in "\t\r\n" for c in text):
        raise msgspec.DecodeError("not a plain text")
    return text


def compile_shape(
    signature: Signature,
    columns: Sequence[tuple[str, Column]],
    times: Sequence[str],
    describer: Describer,
) -> Shape:
    """The shape that reads payloads of a signature."""
    kept = tuple(column for _, column in columns)
    if isinstance(signature, str):
        if signature == "text":
            return Shape(_read_text, kept, 0)
        return Shape(msgspec.json.Decoder(_type_of(signature)).decode, kept, 0)
    places = [*(place for place, _ in columns), *times]
    try:
        decode = msgspec.json.Decoder(_type_of(signature)).decode
    except (ValueError, TypeError):  # a name that msgspec cannot have, as one with quotes
        return Shape(_general(signature, places, describer), kept, len(times))
    if not kept:
        return Shape(decode, (), 0)
    get = _getter(places)
    return Shape(lambda payload: get(decode(payload)), kept, len(times))


def fill_column(
    kind: Kind,
    values: Sequence[Any],
    cell: NDArray[np.int64],
    codes: NDArray[np.uint32],
    heap: bytearray,
) -> None:
    """Writes one column of values as cells."""
    if kind is Kind.FLOAT:
        numbers = np.array(values, np.float64)
        cell[:] = numbers.view(np.int64)
        codes[np.isnan(numbers)] = quality.BAD_NO_DATA
        return
    empty = [i for i, value in enumerate(values) if value is None]
    codes[empty] = quality.BAD_NO_DATA
    if kind in (Kind.INT, Kind.BOOL):
        cell[:] = np.array([0 if v is None else v for v in values] if empty else values, np.int64)
        return
    for i, value in enumerate(values):
        if kind is Kind.ARRAY:
            raw = encode_array(np.array([] if value is None else value, np.float64))
        elif isinstance(value, str):
            raw = value.encode()
        elif isinstance(value, list):  # of anything: kept as JSON
            raw = b"[" + b",".join(bytes(item) for item in value) + b"]"
        else:
            raw = b"" if value is None else bytes(value)
        cell[i] = len(heap) << 32 | len(raw)
        heap += raw
