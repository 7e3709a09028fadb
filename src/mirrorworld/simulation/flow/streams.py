"""Streams of chance: the n-th uniform of a stream is a function of its key and n, nothing else.

A key is mixed from a seed, a replication, the name of an element and what is drawn for (purpose).
So a run can be repeated from any place, replications need no order, and a station that is added
or taken out leaves the numbers of all others as they are: two designs can be compared on common
random numbers.

The generator is splitmix64 read by counter (Steele, Lea, Flood: Fast splittable pseudorandom
number generators, OOPSLA 2014). `uniform` and `substream` are plain functions of integers that
compiled code may call too, and there they are compiled; `uniforms` does the same for arrays. All
give the same bits.
"""

# numba has no type stubs.
# pyright: basic

from __future__ import annotations

import enum
import hashlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

try:
    from numba import njit
    from numba.extending import overload, register_jitable
except ImportError:  # the `simulation` extra is not installed
    njit = overload = register_jitable = None

HAS_NUMBA: Final = njit is not None

GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
_ALL: Final = 0xFFFF_FFFF_FFFF_FFFF
_STEP: Final = 2.0**-52


class Purpose(enum.IntEnum):
    """What a stream of an element is drawn for. Numbers are never used again for another."""

    PROCESS = 0
    FAIL = 1
    REPAIR = 2
    ROUTE = 3
    SCRAP = 4
    ARRIVE = 5
    SETUP = 6
    TYPE = 7
    TRAVEL = 8
    MAINTENANCE = 9
    REWORK = 10
    STAY = 11
    LOAD = 12
    UNLOAD = 13
    HOT = 14
    DUE = 15


def needs_numba() -> None:
    """Raises RuntimeError with what to install where compiled engines cannot run."""
    if not HAS_NUMBA:
        raise RuntimeError("numba is not installed: pip install 'mirrorworld[simulation]'")


def compiled(function: Any) -> Any:
    """A loop compiled on its first call; without numba, one that says what to install."""
    if njit is not None:
        return njit(cache=True, nogil=True)(function)

    def refuse(*_: Any) -> Any:
        needs_numba()

    return refuse


def jitable(function: Any) -> Any:
    """The plain function itself; compiled code may call it and gets it compiled."""
    return register_jitable(function) if register_jitable is not None else function


def finalise(z: int) -> int:
    """64 well mixed bits of 64 bits (the finaliser of splitmix64)."""
    z = ((z ^ (z >> 30)) * _FIRST) & _ALL
    z = ((z ^ (z >> 27)) * _SECOND) & _ALL
    return z ^ (z >> 31)


def name_hash(name: str) -> int:
    """64 bits of an element's name, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def stream_key(
    seed: int, replication: int, name: str, purpose: int, *, is_antithetic: bool = False
) -> int:
    """The key of a stream, 64 bits.

    The lowest bit says whether it is antithetic: every uniform u of it is 1 − u of the stream
    whose key is even, exactly.
    """
    key = 0
    for part in (seed & _ALL, replication & _ALL, name_hash(name), int(purpose)):
        key = finalise((key + GOLDEN) & _ALL ^ part)
    return (key & ~1) | is_antithetic


def stream_keys(
    seed: int,
    replications: int,
    name: str,
    purpose: int,
    *,
    first: int = 0,
    is_antithetic: bool = False,
) -> NDArray[np.uint64]:
    """[replications] keys of one element, from replication `first` on."""
    return np.array(
        [
            stream_key(seed, first + r, name, purpose, is_antithetic=is_antithetic)
            for r in range(replications)
        ],
        np.uint64,
    )


def uniform(key: int, n: int) -> float:
    """The n-th number of a stream, inside (0, 1) and never at its ends.

    Of 64 bits the upper 52 are kept, so that adding one half is exact; with 53 the greatest would
    round to 1.
    """
    key = int(key)
    z = finalise(((key & ~1) + int(n) * GOLDEN) & _ALL)
    if key & 1:
        z ^= _ALL
    return ((z >> 12) + 0.5) * _STEP


def substream(key: int, n: int) -> int:
    """The key of a stream of its own for the n-th variate, for those that need several numbers.

    Antithetic streams have antithetic substreams.
    """
    key = int(key)
    return (finalise(((key & ~1) ^ _FIRST) + int(n) * GOLDEN & _ALL) & ~1) | (key & 1)


def uniforms(key: int | NDArray[np.uint64], n: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """The same as `uniform` for arrays of keys and counters, which broadcast."""
    keys = np.atleast_1d(np.asarray(key, np.uint64))
    counters = np.atleast_1d(np.asarray(n)).astype(np.uint64)
    one = np.uint64(1)
    z = (keys & ~one) + counters * np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
    z ^= z >> np.uint64(31)
    z ^= np.where(keys & one, np.uint64(_ALL), np.uint64(0))
    return ((z >> np.uint64(12)).astype(np.float64) + 0.5) * _STEP


if overload is not None and register_jitable is not None:
    _U_GOLDEN, _U_FIRST, _U_SECOND = np.uint64(GOLDEN), np.uint64(_FIRST), np.uint64(_SECOND)
    _U0, _U1, _U_EVEN = np.uint64(0), np.uint64(1), np.uint64(_ALL - 1)
    _U12, _U27, _U30, _U31 = np.uint64(12), np.uint64(27), np.uint64(30), np.uint64(31)

    @register_jitable
    def _finalise(z: Any) -> Any:
        z = (z ^ (z >> _U30)) * _U_FIRST
        z = (z ^ (z >> _U27)) * _U_SECOND
        return z ^ (z >> _U31)

    @overload(uniform)
    def _uniform(key: Any, n: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        def run(key: Any, n: Any) -> Any:
            bits = np.uint64(key)
            z = _finalise((bits & _U_EVEN) + np.uint64(n) * _U_GOLDEN)
            z ^= _U0 - (bits & _U1)
            return (np.float64(z >> _U12) + 0.5) * _STEP

        return run

    @overload(substream)
    def _substream(key: Any, n: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        def run(key: Any, n: Any) -> Any:
            bits = np.uint64(key)
            z = _finalise(((bits & _U_EVEN) ^ _U_FIRST) + np.uint64(n) * _U_GOLDEN)
            return (z & _U_EVEN) | (bits & _U1)

        return run
