"""Values in the memory of a controller: from bytes to columns, and one value back to bytes.

A `Field` says where a value lies. `Columns` decodes many fields of one answer at once: the order
of bytes and words is folded into an index when the plan is made, so that a poll costs a gather,
a view and a multiplication for each data type, and no Python object for a sample.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.frames import Cells, Qualities
from mirrorworld.world.model import Kind, Scalar

BAD_OUT_OF_RANGE: Final = 0x803C_0000
"""A 64-bit number that a signed one cannot hold."""

BIT: Final = "bit"
TEXT: Final = "text"
S7_TEXT: Final = "s7_text"
"""Siemens STRING: a byte for the room, a byte for the length, then the characters."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value lies, and as what."""

    area: Hashable
    """What can be read together: unit and table, or data block."""
    start: int
    """First item of the area: a register, a bit or a byte."""
    size: int
    """How many items."""
    dtype: str
    """A numpy code (`<u2`, `<f4`), or BIT, TEXT, S7_TEXT."""
    order: tuple[int, ...] = ()
    """Which bytes of the items, from the least significant on; of a text, in reading order."""
    bit: int = 0
    """Of BIT: which bit of that byte."""
    scale: float = 1.0
    offset: float = 0.0
    encoding: str = "latin-1"

    @property
    def factors(self) -> tuple[float, float]:
        """(times, divided by). A scale of 0.1 divides by 10, which 0.1 in binary would miss."""
        if 0 < abs(self.scale) < 1:
            divisor = round(1 / self.scale)
            if math.isclose(1 / self.scale, divisor, rel_tol=1e-12):
                return 1.0, float(divisor)
        return self.scale, 1.0


class Columns:
    """The fields of one answer, by what can be decoded in one go.

    `rows` is the order in which the values come out: positions in the fields as given.
    """

    def __init__(
        self, fields: Sequence[Field], kinds: Sequence[Kind], start: int, item_bytes: float
    ) -> None:
        """`item_bytes` is 2 for registers, 1 for bytes, 1/8 for bits."""
        self._texts: list[tuple[int, int, Field]] = []
        self._numbers: list[tuple[slice, NDArray[np.intp], str, Kind, Any]] = []
        classes: dict[tuple[str, bool], list[int]] = {}
        for i, one in enumerate(fields):
            is_float = kinds[i] is Kind.FLOAT
            classes.setdefault((one.dtype, is_float), []).append(i)
        self.rows: list[int] = []
        for (dtype, is_float), members in classes.items():
            at = slice(len(self.rows), len(self.rows) + len(members))
            self.rows += members
            if dtype in (TEXT, S7_TEXT):
                for row, i in zip(range(at.start, at.stop), members, strict=True):
                    first = int((fields[i].start - start) * item_bytes)
                    self._texts.append((row, first, fields[i]))
                continue
            chosen = [fields[i] for i in members]
            if item_bytes < 1:
                bits = np.array([one.start - start for one in chosen])
                index, factors = (bits >> 3)[:, None], (bits & 7).astype(np.uint8)
            else:
                first = np.array([int((one.start - start) * item_bytes) for one in chosen])
                index = first[:, None] + np.array([one.order for one in chosen])
                factors = np.array([one.bit for one in chosen], np.uint8)
            if is_float:
                times, over = (np.array(c) for c in zip(*(o.factors for o in chosen), strict=True))
                offset = np.array([one.offset for one in chosen])
                is_plain = bool((times == 1).all() and (over == 1).all() and (offset == 0).all())
                factors = None if is_plain else (times, over, offset)
            kind = Kind.FLOAT if is_float else Kind.INT
            self._numbers.append((at, index.astype(np.intp), dtype, kind, factors))

    def decode(
        self, data: bytes, cells: Cells, quality: Qualities, texts: dict[int, bytes]
    ) -> None:
        """Writes one answer into columns of the length of the fields; `texts` gets bytes by row.

        The cell of a text is a number that changes with it.
        """
        raw = np.frombuffer(data, np.uint8)
        quality[:] = 0
        for at, index, dtype, kind, factors in self._numbers:
            if dtype == BIT:
                cells[at] = (raw[index[:, 0]] >> factors) & 1
                continue
            values = raw[index].view(dtype)[:, 0]
            if kind is Kind.FLOAT:
                numbers = values.astype(np.float64)
                if factors is not None:
                    times, over, offset = factors
                    numbers = numbers * times / over + offset
                cells[at] = numbers.view(np.int64)
            else:
                cells[at] = values.astype(np.int64)
                if dtype == "<u8":
                    quality[at][cells[at] < 0] = BAD_OUT_OF_RANGE
                    cells[at][cells[at] < 0] = np.iinfo(np.int64).max
        for row, first, one in self._texts:
            text = _text(one, data, first)
            if texts.get(row) != text:
                texts[row] = text
                cells[row] += 1


def _text(one: Field, data: bytes, first: int) -> bytes:
    if one.dtype == S7_TEXT:
        length = min(data[first + 1], data[first], one.size - 2)
        raw = data[first + 2 : first + 2 + length]
    else:
        raw = bytes(data[first + at] for at in one.order).split(b"\0", 1)[0].rstrip(b" ")
    return raw.decode(one.encoding, "replace").encode()


def encode(one: Field, kind: Kind, value: Scalar) -> bytes:
    """A value as the bytes of its items, scaled back. Of a BIT: one byte, 0 or 1.

    Raises:
        ValueError: it does not fit; the message says what would.
    """
    if one.dtype == BIT:
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not true or false")
        return bytes([value])
    if one.dtype in (TEXT, S7_TEXT):
        return _encode_text(one, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    number: int | float = value
    if kind is Kind.FLOAT:
        times, over = one.factors
        number = (float(value) - one.offset) * over / times
    native = np.dtype(one.dtype)
    if native.kind != "f":
        limits = np.iinfo(native)
        if not math.isfinite(number):
            raise ValueError(f"{value!r} is not a finite number")
        number = round(number)
        if not limits.min <= number <= limits.max:
            low, high = (x * one.scale + one.offset for x in (int(limits.min), int(limits.max)))
            raise ValueError(
                f"{value!r} does not fit: it would be written as {number}, and"
                f" {limits.dtype} goes from {min(low, high):g} to {max(low, high):g}"
            )
    elif native.itemsize == 4 and math.isfinite(number) and abs(number) > np.finfo("<f4").max:
        raise ValueError(f"{value!r} does not fit a 32-bit float")
    little = np.array([number], native).tobytes()
    out = bytearray(len(little))
    for byte, at in zip(little, one.order, strict=True):
        out[at] = byte
    return bytes(out)


def _encode_text(one: Field, value: Scalar) -> bytes:
    room = one.size - 2 if one.dtype == S7_TEXT else len(one.order)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    try:
        raw = value.encode(one.encoding)
    except UnicodeEncodeError:
        raise ValueError(f"{value!r} has letters that {one.encoding} has not") from None
    if len(raw) > room:
        raise ValueError(f"{value!r} is longer than the {room} bytes that there are")
    if one.dtype == S7_TEXT:
        return bytes([room, len(raw)]) + raw
    out = bytearray(room)
    for byte, at in zip(raw.ljust(room, b"\0"), one.order, strict=True):
        out[at] = byte
    return bytes(out)


def order(n_bytes: int, *, item_bytes: int, words_big: bool, bytes_big: bool) -> tuple[int, ...]:
    """Which byte of a number of several items comes when, from the least significant on.

    `words_big`: the first item holds the most significant part. `bytes_big`: so does the first
    byte of an item.
    """
    n_items = max(n_bytes // item_bytes, 1)
    items = range(n_items - 1, -1, -1) if words_big else range(n_items)
    within = range(item_bytes - 1, -1, -1) if bytes_big else range(item_bytes)
    return tuple(item * item_bytes + byte for item in items for byte in within)[:n_bytes]


_INTEGER: Final = re.compile(r"-?(0x[0-9a-fA-F]+|0|[1-9][0-9]*)")


def integer(text: str) -> int:
    """A whole number, decimal or hexadecimal; ValueError where it is not sure what is meant."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(text)
    return int(text, 16 if "x" in text else 10)
