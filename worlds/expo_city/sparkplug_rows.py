"""Sparkplug B DATA payloads as columns: every metric a row of bytes of one width.

A metric of a DATA message is its alias, its time and its value (Eclipse Sparkplug 3.0.0, §6.4.6;
the data type is said in the birth). With aliases of three bytes and times of six, each float is a
row of 18 bytes and each double one of 22, so that a tick writes two columns of a matrix and cuts
the rows that changed. Knows bytes; refuses to know what is measured.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

ALIAS_FIRST: Final = 1 << 14
"""From here on an alias has three bytes."""
ALIAS_END: Final = 1 << 21
_TIME_BYTES: Final = 6
_TIME_AT: Final = 7
_VALUE_AT: Final = 14

Rows = NDArray[np.uint8]


def rows(alias: NDArray[np.int64], dtype: str) -> Rows:
    """Rows of metrics without time and value, shape (n, 18) for `<f4` and (n, 22) for `<f8`.

    Raises:
        ValueError: an alias has not three bytes.
    """
    if len(alias) and not (alias.min() >= ALIAS_FIRST and alias.max() < ALIAS_END):
        raise ValueError(f"aliases must be from {ALIAS_FIRST} to {ALIAS_END - 1}")
    size = np.dtype(dtype).itemsize
    out = np.zeros((len(alias), _VALUE_AT + size), np.uint8)
    out[:, 0] = 2 << 3 | 2  # metric
    out[:, 1] = out.shape[1] - 2
    out[:, 2] = 2 << 3  # alias
    for i in range(3):
        out[:, 3 + i] = (alias >> 7 * i & 0x7F) | (0x80 if i < 2 else 0)
    out[:, 6] = 3 << 3  # timestamp
    out[:, 13] = (12 << 3 | 5) if size == 4 else (13 << 3 | 1)  # float_value, double_value
    return out


def fill(out: Rows, values: NDArray[np.floating], time_ms: int) -> None:
    """Writes one time and all values into rows."""
    out[:, _TIME_AT : _TIME_AT + _TIME_BYTES] = np.frombuffer(time_bytes(time_ms), np.uint8)
    size = out.shape[1] - _VALUE_AT
    raw = np.ascontiguousarray(values, f"<f{size}").view(np.uint8)
    out[:, _VALUE_AT:] = raw.reshape(-1, size)


def payload(metrics: bytes, time_ms: int, seq: int) -> bytes:
    """A payload of rows."""
    tail = bytes((3 << 3, seq)) if seq < 0x80 else bytes((3 << 3, seq & 0x7F | 0x80, seq >> 7))
    return b"\x08" + time_bytes(time_ms) + metrics + tail


def time_bytes(time_ms: int) -> bytes:
    """A time as a varint of six bytes: every one from 2004 to 2109 has so many.

    Raises:
        ValueError: it has not.
    """
    if not 1 << 35 <= time_ms < 1 << 42:
        raise ValueError(f"time {time_ms} ms is not between 1971 and 2109")
    return bytes(time_ms >> 7 * i & 0x7F | (0x80 if i < 5 else 0) for i in range(6))
