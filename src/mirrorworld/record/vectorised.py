"""The loops of the frame codec as NumPy expressions: the reference, and the road without numba.

`compiled.py` has the same functions as compiled loops; a test holds both to the same bytes.
What the numbers mean is told in docs/record-format.md.

A point's **mode** says how its cells become small integers: as they are, as decimals (the
value times a power of ten is whole; Afroozeh, Kuffo and Boncz: "ALP", SIGMOD 2024), as
float32 numbers, or as they are again when nothing better fits. Every row is checked to come
back bit for bit before a mode is used for it, so no mode can lose anything.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
U32 = NDArray[np.uint32]
U8 = NDArray[np.uint8]
Column = tuple[U8, I64, U8]
"""A column of numbers as `split` gives it."""

MODE_INT: Final = 0
MODE_DEC64: Final = 1
"""First of 11: decimals with 0 to 10 places that double precision holds."""
MODE_DEC32: Final = 12
"""First of 8: decimals with 0 to 7 places that were rounded to float32 (PLC `REAL`)."""
MODE_RAW32: Final = 20
MODE_RAW64: Final = 21
MODE_UNSET: Final = 255

INT_LIMIT: Final = 1 << 52
DEC64_LIMIT: Final = float(1 << 47)
DEC32_LIMIT: Final = float(1 << 21)
LOW_29: Final = (1 << 29) - 1
NEGATIVE_ZERO: Final = -(1 << 63)
POWERS: Final = np.array([10.0**k for k in range(11)])
UNITS_NS: Final = np.array([1_000_000_000, 1_000_000, 1_000, 100, 1], np.int64)
"""Source times are kept in the largest of these that divides every step of a block."""

SMALL_LIMIT: Final = 248
"""Residuals below this are one symbol; larger ones a class (their bytes less one) and bytes."""


def settle(point: U32, cell: I64, last: I64, mode: U8) -> tuple[U32, U8, I64, I64]:
    """Gives every point of a block a mode that fits its rows; updates `last` and `mode`.

    Returns:
        Handles whose mode changed (ascending), their new modes, the rows that are kept as
        exceptions beside the mode (not finite, or minus zero, in a decimal mode), and what each
        row is in its mode (exceptions: anything).
    """
    excused = _excused(cell)
    current = mode[point]
    fine = _fits(current, cell) | (excused & _is_decimal(current))
    dirty = np.unique(point[~fine])
    if len(dirty):
        is_dirty = np.zeros(len(mode), bool)
        is_dirty[dirty] = True
        rows = is_dirty[point]
        where = np.searchsorted(dirty, point[rows])
        part, part_excused = cell[rows], excused[rows]
        start = np.where(mode[dirty] == MODE_UNSET, MODE_INT, mode[dirty])
        chosen = np.full(len(dirty), MODE_RAW64, np.uint8)
        is_open = np.ones(len(dirty), bool)
        for candidate in range(MODE_RAW64):
            as_array = np.full(len(part), candidate, np.uint8)
            good = _fits(as_array, part) | (part_excused & _is_decimal(as_array))
            failing = np.bincount(where[~good], minlength=len(dirty)) > 0
            taken = is_open & ~failing & (start <= candidate)
            chosen[taken] = candidate
            is_open &= ~taken
            if not is_open.any():
                break
        old = mode[dirty]
        known = old != MODE_UNSET
        before = restore_cells(np.where(known, old, MODE_INT).astype(np.uint8), last[dirty])
        kept = known & _fits(chosen, before)
        last[dirty] = np.where(kept, _transform(chosen, np.where(kept, before, 0)), 0)
        mode[dirty] = chosen
        changed = chosen
    else:
        changed = np.empty(0, np.uint8)
    is_exception = excused & _is_decimal(mode[point])
    value = _transform(mode[point], np.where(is_exception, 0, cell))
    return dirty.astype(np.uint32), changed, np.flatnonzero(is_exception), value


def residuals(
    point: U32,
    value: I64,
    quality: U32,
    time: I64,
    exceptions: I64,
    base_ns: int,
    last: I64,
    last_quality: U32,
    last_time: I64,
) -> tuple[Column, Column, Column, I64, I64]:
    """The differences of a block's rows from what came before; updates the state.

    Returns:
        Of handles, values and qualities, as columns; of times against the row before, and
        against the point's time before, in nanoseconds.
    """
    n = len(point)
    handle = point.astype(np.int64)
    by_handle = _zigzag(np.diff(handle, prepend=-1) - 1)
    order, first = _groups(point)
    if n == 0:
        empty = np.empty(0, np.int64)
        return split(by_handle), split(by_handle), split(by_handle), empty, empty.copy()

    by_quality = np.empty(n, np.uint64)
    sorted_point = point[order]
    sorted_quality = quality[order]
    before = np.empty_like(sorted_quality)
    before[1:] = sorted_quality[:-1]
    before[first] = last_quality[sorted_point[first]]
    by_quality[order] = (sorted_quality ^ before).astype(np.uint64)
    ends = np.append(first[1:], n) - 1
    last_quality[sorted_point[ends]] = sorted_quality[ends]

    by_row = np.diff(time, prepend=np.int64(base_ns))
    by_point = np.empty(n, np.int64)
    sorted_time = time[order]
    earlier = np.empty_like(sorted_time)
    earlier[1:] = sorted_time[:-1]
    earlier[first] = last_time[sorted_point[first]]
    by_point[order] = sorted_time - earlier
    last_time[sorted_point[ends]] = sorted_time[ends]

    by_value = np.zeros(n, np.uint64)
    if len(exceptions):
        regular = np.ones(n, bool)
        regular[exceptions] = False
        rows = np.flatnonzero(regular)
        point, value = point[rows], value[rows]
        order, first = _groups(point)
        sorted_point = point[order]
    else:
        rows = np.arange(n)
    if len(point):
        value = value[order]
        previous = np.empty_like(value)
        previous[1:] = value[:-1]
        previous[first] = last[sorted_point[first]]
        by_value[rows[order]] = _zigzag(value - previous)
        ends = np.append(first[1:], len(point)) - 1
        last[sorted_point[ends]] = value[ends]
    return split(by_handle), split(by_value), split(by_quality), by_row, by_point


def cost(steps: I64) -> int:
    """How many bytes the differences would take, about: to choose between two ways."""
    return int(_widths(_zigzag(steps)).sum())


def scale(steps: I64) -> tuple[int, Column]:
    """Time differences in the largest unit that divides them all: (index in UNITS_NS, column)."""
    for index, unit in enumerate(UNITS_NS):
        if unit == 1 or not (steps % unit).any():
            return index, split(_zigzag(steps // unit if unit != 1 else steps))
    raise AssertionError("one nanosecond divides everything")


def split(numbers: U64) -> tuple[U8, I64, U8]:
    """Unsigned numbers as symbols, and the bytes of the large ones class by class.

    Returns:
        One symbol a number; how many numbers are in each class (1 to 8 bytes); the bytes:
        for each class its first bytes, then its second ones, and so on.
    """
    symbols = np.empty(len(numbers), np.uint8)
    small = numbers < SMALL_LIMIT
    widths = _widths(numbers)
    symbols[:] = np.where(small, numbers, 0).astype(np.uint8)
    symbols[~small] = (SMALL_LIMIT - 1 + widths[~small]).astype(np.uint8)
    counts = np.zeros(8, np.int64)
    planes: list[U8] = []
    if not small.all():
        for width in range(1, 9):
            chosen = numbers[~small & (widths == width)]
            counts[width - 1] = len(chosen)
            octets = chosen.astype("<u8").view(np.uint8).reshape(-1, 8)
            planes.extend(np.ascontiguousarray(octets[:, b]) for b in range(width))
    return symbols, counts, np.concatenate(planes) if planes else np.empty(0, np.uint8)


def join(symbols: U8, counts: I64, planes: U8) -> U64:
    """The numbers that `split` took apart."""
    numbers = symbols.astype(np.uint64)
    at = 0
    for width in range(1, 9):
        count = int(counts[width - 1])
        if not count:
            continue
        octets = np.zeros((count, 8), np.uint8)
        for b in range(width):
            octets[:, b] = planes[at : at + count]
            at += count
        numbers[symbols == SMALL_LIMIT - 1 + width] = octets.reshape(-1).view("<u8")
    return numbers


def pick(symbols: U8, counts: I64, planes: U8, rows: I64) -> U64:
    """What `join` would give, of some rows (ascending) only."""
    return join(symbols, counts, planes)[rows]


def latest(
    point: U32,
    cell: I64,
    quality: U32,
    time: I64,
    limit_ns: int,
    best_cell: I64,
    best_time: I64,
    best_quality: U32,
) -> None:
    """Puts samples not later than a time into columns by handle where they are not older than
    what is there; of equal times the later row wins."""
    rows = np.flatnonzero(time <= limit_ns)
    rows = rows[np.lexsort((rows, time[rows], point[rows]))]
    handles = point[rows]
    is_last = np.append(handles[1:] != handles[:-1], True)[: len(rows)]
    rows, handles = rows[is_last], handles[is_last]
    better = time[rows] >= best_time[handles]
    rows, handles = rows[better], handles[better]
    best_cell[handles], best_time[handles] = cell[rows], time[rows]
    best_quality[handles] = quality[rows]


def known(
    point: U32,
    cell: I64,
    quality: U32,
    time: I64,
    rows: I64,
    received_ns: I64,
    sequence: I64,
    origin: NDArray[np.uint16],
    first: int,
    end: int,
    best_cell: I64,
    best_quality: U32,
    best_time: I64,
    best_received: I64,
    best_sequence: I64,
    best_origin: NDArray[np.uint16],
) -> None:
    """Moves columns on by the changes `first` to `end` of a block, by the world's own rule: a
    sample is the latest unless the point has a younger one, and a time stamp later than its
    arrival counts as its arrival."""
    start = int(rows[:first].sum())
    for change in range(first, end):
        stop = start + int(rows[change])
        part = slice(start, stop)
        handles = point[part]
        arrived = np.minimum(time[part], received_ns[change])
        order = np.lexsort((np.arange(stop - start), arrived, handles))
        ordered = handles[order]
        winners = order[np.append(ordered[1:] != ordered[:-1], True)[: stop - start]]
        handles = handles[winners]
        had = np.minimum(best_time[handles], best_received[handles])
        better = arrived[winners] >= had
        handles, at = handles[better], winners[better] + start
        best_cell[handles], best_quality[handles] = cell[at], quality[at]
        best_time[handles], best_received[handles] = time[at], received_ns[change]
        best_sequence[handles], best_origin[handles] = sequence[change], origin[change]
        start = stop


def restore(
    by_handle: Column,
    by_value: Column,
    by_quality: Column,
    by_time: Column,
    is_time_by_row: bool,
    unit_ns: int,
    base_ns: int,
    exceptions: I64,
    exception_cells: I64,
    last: I64,
    mode: U8,
    last_quality: U32,
    last_time: I64,
) -> tuple[U32, I64, U32, I64]:
    """The columns (point, cell, quality, time) of a block; the state must hold every handle."""
    values, codes, steps = join(*by_value), join(*by_quality), _unzigzag(join(*by_time))
    point = handles(join(*by_handle))
    n = len(point)
    order, first = _groups(point)
    sorted_point = point[order]
    ends = np.append(first[1:], n) - 1 if n else first
    sizes = np.diff(np.append(first, n))

    sorted_quality = codes[order].astype(np.uint32)
    quality = np.empty(n, np.uint32)
    if n:
        running = np.bitwise_xor.accumulate(sorted_quality)
        before = np.zeros(len(first), np.uint32)
        before[1:] = running[first[1:] - 1]
        sorted_quality = running ^ np.repeat(before ^ last_quality[sorted_point[first]], sizes)
        quality[order] = sorted_quality
        last_quality[sorted_point[ends]] = sorted_quality[ends]

    steps = steps * np.int64(unit_ns)
    time = np.empty(n, np.int64)
    if n and is_time_by_row:
        time = np.cumsum(steps) + np.int64(base_ns)
        last_time[sorted_point[ends]] = time[order][ends]
    elif n:
        sorted_time = _running(steps[order], first, sizes, last_time[sorted_point[first]])
        time[order] = sorted_time
        last_time[sorted_point[ends]] = sorted_time[ends]

    cell = np.empty(n, np.int64)
    if n:
        # An exception's difference is zero, so it leaves the running sum as it was.
        value = _running(_unzigzag(values)[order], first, sizes, last[sorted_point[first]])
        cell[order] = restore_cells(mode[sorted_point], value)
        last[sorted_point[ends]] = value[ends]
        cell[exceptions] = exception_cells
    return point, cell, quality, time


def advance(
    by_handle: Column,
    by_value: Column,
    by_quality: Column,
    by_time: Column,
    is_time_by_row: bool,
    unit_ns: int,
    base_ns: int,
    exceptions: I64,
    exception_cells: I64,
    last: I64,
    mode: U8,
    last_quality: U32,
    last_time: I64,
    is_odd: U8,
    odd_cell: I64,
) -> bool:
    """Moves the state on as `restore` does, without giving the rows.

    Afterwards the state is each point's last sample, except where `is_odd` is 1: there its cell
    is in `odd_cell`. On entry `is_odd` is 2 for points that have none in the chain yet.

    Returns:
        Whether no point's source time went back: if so the last sample is the latest.
    """
    before = last_time.copy()
    point, cell, _, time = restore(
        by_handle,
        by_value,
        by_quality,
        by_time,
        is_time_by_row,
        unit_ns,
        base_ns,
        exceptions,
        exception_cells,
        last,
        mode,
        last_quality,
        last_time,
    )
    if not len(point):
        return True
    order, first = _groups(point)
    sorted_time, sorted_point = time[order], point[order]
    earlier = np.empty_like(sorted_time)
    earlier[1:] = sorted_time[:-1]
    starting = sorted_point[first]
    is_known = is_odd[starting] != 2
    earlier[first] = np.where(is_known, before[starting], sorted_time[first])
    ends = order[np.append(first[1:], len(point)) - 1]
    is_odd[starting] = np.isin(ends, exceptions)
    odd_cell[starting] = cell[ends]
    return bool((sorted_time >= earlier).all())


def handles(by_handle: U64) -> U32:
    """The handle column alone."""
    return (np.cumsum(_unzigzag(by_handle) + 1) - 1).astype(np.uint32)


def remode(handles: U32, modes: U8, last: I64, mode: U8) -> None:
    """Does to a reader's state what `settle` did to the writer's."""
    old = mode[handles]
    known = old != MODE_UNSET
    before = restore_cells(np.where(known, old, MODE_INT).astype(np.uint8), last[handles])
    kept = known & _fits(modes, before)
    last[handles] = np.where(kept, _transform(modes, np.where(kept, before, 0)), 0)
    mode[handles] = modes


def restore_cells(mode: U8, value: I64) -> I64:
    """Cells of the integers that the modes made of them."""
    cell = value.copy()
    for first, count, is_single in ((MODE_DEC64, 11, False), (MODE_DEC32, 8, True)):
        chosen = (mode >= first) & (mode < first + count)
        if chosen.any():
            number = value[chosen].astype(np.float64) / POWERS[mode[chosen] - first]
            if is_single:
                number = number.astype(np.float32).astype(np.float64)
            cell[chosen] = number.view(np.int64)
    single = mode == MODE_RAW32
    cell[single] = value[single] << 29
    return cell


# --- helpers --------------------------------------------------------------------------------


def _excused(cell: I64) -> NDArray[np.bool_]:
    return ~np.isfinite(cell.view(np.float64)) | (cell == NEGATIVE_ZERO)


def _is_decimal(mode: U8) -> NDArray[np.bool_]:
    return (mode >= MODE_DEC64) & (mode < MODE_RAW32)


def _scaled(mode: U8, number: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of decimal modes times their power of ten, rounded."""
    places = np.where(mode >= MODE_DEC32, mode - MODE_DEC32, mode - MODE_DEC64)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.rint(number * POWERS[places])


def _fits(mode: U8, cell: I64) -> NDArray[np.bool_]:
    """Whether each cell comes back bit for bit in its mode."""
    fits = mode == MODE_RAW64
    whole = mode == MODE_INT
    fits |= whole & (cell < INT_LIMIT) & (cell > -INT_LIMIT)
    fits |= (mode == MODE_RAW32) & ((cell & LOW_29) == 0)
    decimal = _is_decimal(mode)
    if decimal.any():
        part, number = mode[decimal], cell[decimal].view(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = _scaled(part, number)
            is_single = part >= MODE_DEC32
            within = np.abs(scaled) < np.where(is_single, DEC32_LIMIT, DEC64_LIMIT)
            places = np.where(is_single, part - MODE_DEC32, part - MODE_DEC64)
            back = scaled / POWERS[places]
            back = np.where(is_single, back.astype(np.float32).astype(np.float64), back)
            fits[decimal] = within & (back == number) & (cell[decimal] != NEGATIVE_ZERO)
    return fits


def _transform(mode: U8, cell: I64) -> I64:
    value = cell.copy()
    decimal = _is_decimal(mode)
    if decimal.any():
        value[decimal] = _scaled(mode[decimal], cell[decimal].view(np.float64)).astype(np.int64)
    single = mode == MODE_RAW32
    value[single] = cell[single] >> 29
    return value


def _zigzag(value: I64) -> U64:
    return ((value << 1) ^ (value >> 63)).view(np.uint64)


def _unzigzag(number: U64) -> I64:
    return (number >> np.uint64(1)).view(np.int64) ^ -(number & np.uint64(1)).view(np.int64)


def _widths(numbers: U64) -> I64:
    widths = np.zeros(len(numbers), np.int64)
    for width in range(8):
        widths += numbers >= np.uint64(1 << (8 * width))
    return widths


def _groups(point: U32) -> tuple[Any, Any]:
    """Order of rows by point, in which each point's rows keep theirs; where groups begin."""
    order = np.argsort(point, kind="stable")
    if not len(point):
        return order, order
    ordered = point[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return order, first


def _running(steps: I64, first: Any, sizes: Any, start: I64) -> I64:
    """Running sums within groups, each from its own start; wraps like the subtraction did."""
    total = np.cumsum(steps)
    before = np.zeros(len(first), np.int64)
    before[1:] = total[first[1:] - 1]
    return total + np.repeat(start - before, sizes)
