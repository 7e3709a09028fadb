"""The writing loops of the frame codec, compiled, and the steps that reading shares with them.

The same functions as in `vectorised.py`, which says what they do; they give the same bytes.
`codec.py` chooses between the two.
Every loop releases the interpreter lock, so that a commit does not hold up the event loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirrorworld.record.vectorised import (
    DEC32_LIMIT,
    DEC64_LIMIT,
    INT_LIMIT,
    LOW_29,
    MODE_DEC32,
    MODE_DEC64,
    MODE_INT,
    MODE_RAW32,
    MODE_RAW64,
    MODE_UNSET,
    NEGATIVE_ZERO,
    POWERS,
    SMALL_LIMIT,
    UNITS_NS,
)

try:
    from numba import njit  # pyright: ignore[reportMissingImports]
except ImportError:  # pragma: no cover - exercised where numba is not installed
    njit = None

HAS_NUMBA = njit is not None


def compile_loop(function: Any) -> Any:
    """A function compiled on its first call, if numba is there."""
    return njit(cache=True, nogil=True)(function) if njit is not None else function


@compile_loop
def is_excused(cell: Any, number: Any) -> Any:
    """Whether a decimal mode keeps the cell as an exception."""
    return not np.isfinite(number) or cell == NEGATIVE_ZERO


@compile_loop
def is_decimal(mode: Any) -> Any:
    """Whether a mode is one of decimals."""
    return MODE_DEC64 <= mode < MODE_RAW32


@compile_loop
def fits(mode: Any, cell: Any, number: Any) -> Any:
    """Whether a cell comes back bit for bit in a mode."""
    if mode == MODE_INT:
        return -INT_LIMIT < cell < INT_LIMIT
    if mode < MODE_DEC32:
        power = POWERS[mode - MODE_DEC64]
        scaled = np.rint(number * power)
        return abs(scaled) < DEC64_LIMIT and scaled / power == number and cell != NEGATIVE_ZERO
    if mode < MODE_RAW32:
        power = POWERS[mode - MODE_DEC32]
        scaled = np.rint(number * power)
        return (
            abs(scaled) < DEC32_LIMIT
            and np.float64(np.float32(scaled / power)) == number
            and cell != NEGATIVE_ZERO
        )
    if mode == MODE_RAW32:
        return (cell & LOW_29) == 0
    return mode == MODE_RAW64


@compile_loop
def transform(mode: Any, cell: Any, number: Any) -> Any:
    """What a cell that fits is in a mode."""
    if mode in (MODE_INT, MODE_RAW64):
        return cell
    if mode == MODE_RAW32:
        return cell >> 29
    if mode < MODE_DEC32:
        return np.int64(np.rint(number * POWERS[mode - MODE_DEC64]))
    return np.int64(np.rint(number * POWERS[mode - MODE_DEC32]))


@compile_loop
def restore_one(mode: Any, value: Any, cells: Any, numbers: Any, row: Any) -> Any:
    """Puts the cell of one value in its place; `numbers` is the same memory as floats."""
    if mode in (MODE_INT, MODE_RAW64):
        cells[row] = value
    elif mode == MODE_RAW32:
        cells[row] = value << 29
    elif mode < MODE_DEC32:
        numbers[row] = np.float64(value) / POWERS[mode - MODE_DEC64]
    else:
        numbers[row] = np.float64(np.float32(np.float64(value) / POWERS[mode - MODE_DEC32]))


@compile_loop
def zigzag(value: Any) -> Any:
    """A signed number as an unsigned one, small if it was near zero."""
    return np.uint64((value << np.int64(1)) ^ (value >> np.int64(63)))


@compile_loop
def unzigzag(number: Any) -> Any:
    """The reverse of `zigzag`."""
    return np.int64(number >> np.uint64(1)) ^ -np.int64(number & np.uint64(1))


@compile_loop
def width_of(number: Any) -> Any:
    """How many bytes a number takes."""
    width = 0
    while number:
        width += 1
        number >>= np.uint64(8)
    return width


@compile_loop
def change_mode(
    handle: Any, new: Any, last: Any, mode: Any, scratch: Any, scratch_number: Any
) -> Any:
    """Puts a point in another mode, its last value with it."""
    old = mode[handle]
    value = np.int64(0)
    if old != MODE_UNSET:
        restore_one(old, last[handle], scratch, scratch_number, 0)
        if fits(new, scratch[0], scratch_number[0]):
            value = transform(new, scratch[0], scratch_number[0])
    last[handle] = value
    mode[handle] = new


@compile_loop
def _settle_loop(
    point: Any, cell: Any, number: Any, last: Any, mode: Any, scratch: Any, scratch_number: Any
) -> Any:
    n = len(point)
    value = np.empty(n, np.int64)
    is_dirty = np.zeros(0, np.uint8)
    chosen = np.zeros(0, np.uint8)
    dirty_count = 0
    n_exceptions = 0
    for row in range(n):
        handle = point[row]
        current = mode[handle]
        # The commonest modes first, and each row's value worked out once.
        if MODE_DEC64 <= current < MODE_DEC32:
            power = POWERS[current - MODE_DEC64]
            scaled = np.rint(number[row] * power)
            if (
                abs(scaled) < DEC64_LIMIT
                and scaled / power == number[row]
                and cell[row] != NEGATIVE_ZERO
            ):
                value[row] = np.int64(scaled)
                continue
        elif fits(current, cell[row], number[row]):
            value[row] = transform(current, cell[row], number[row])
            continue
        if is_decimal(current) and is_excused(cell[row], number[row]):
            n_exceptions += 1
            continue
        if len(is_dirty) == 0:
            is_dirty = np.zeros(len(mode), np.uint8)
            chosen = np.zeros(len(mode), np.uint8)
        if not is_dirty[handle]:
            is_dirty[handle] = 1
            chosen[handle] = MODE_INT if current == MODE_UNSET else current
            dirty_count += 1
    handles = np.empty(dirty_count, np.uint32)
    modes = np.empty(dirty_count, np.uint8)
    if dirty_count:
        moved = True
        while moved:
            moved = False
            for row in range(n):
                handle = point[row]
                if not is_dirty[handle]:
                    continue
                candidate = chosen[handle]
                while not (
                    fits(candidate, cell[row], number[row])
                    or (is_decimal(candidate) and is_excused(cell[row], number[row]))
                ):
                    candidate += 1
                    moved = True
                chosen[handle] = candidate
        at = 0
        for handle in range(len(is_dirty)):
            if is_dirty[handle]:
                handles[at] = handle
                modes[at] = chosen[handle]
                at += 1
                change_mode(handle, chosen[handle], last, mode, scratch, scratch_number)
        n_exceptions = 0
        for row in range(n):
            current = mode[point[row]]
            if is_decimal(current) and is_excused(cell[row], number[row]):
                n_exceptions += 1
            elif is_dirty[point[row]]:
                value[row] = transform(current, cell[row], number[row])
    exceptions = np.empty(n_exceptions, np.int64)
    if n_exceptions:
        at = 0
        for row in range(n):
            if is_decimal(mode[point[row]]) and is_excused(cell[row], number[row]):
                exceptions[at] = row
                at += 1
    return handles, modes, exceptions, value


def settle(point: Any, cell: Any, last: Any, mode: Any) -> Any:
    """See `vectorised.settle`."""
    scratch = np.zeros(1, np.int64)
    return _settle_loop(
        point, cell, cell.view(np.float64), last, mode, scratch, scratch.view(np.float64)
    )


@compile_loop
def _planes_of(large: Any) -> Any:
    """Class counts and bytes of numbers that are too large for symbols."""
    counts = np.zeros(8, np.int64)
    for at in range(len(large)):
        counts[width_of(large[at]) - 1] += 1
    size = 0
    starts = np.zeros(9, np.int64)
    for width in range(1, 9):
        starts[width] = size
        size += counts[width - 1] * width
    planes = np.empty(size, np.uint8)
    for at in range(len(large)):
        number = large[at]
        width = width_of(number)
        place = starts[width]
        starts[width] += 1
        for _ in range(width):
            planes[place] = np.uint8(number & np.uint64(255))
            number >>= np.uint64(8)
            place += counts[width - 1]
    return counts, planes


@compile_loop
def _emit(number: Any, symbols: Any, row: Any, large: Any, n_large: Any) -> Any:
    """Puts a number's symbol, and the number itself with the large ones if it is one."""
    if number < np.uint64(SMALL_LIMIT):
        symbols[row] = np.uint8(number)
        return n_large
    symbols[row] = np.uint8(SMALL_LIMIT - 1 + width_of(number))
    large[n_large] = number
    return n_large + 1


@compile_loop
def residuals(
    point: Any,
    value: Any,
    quality: Any,
    time: Any,
    exceptions: Any,
    base_ns: Any,
    last: Any,
    last_quality: Any,
    last_time: Any,
) -> Any:
    """See `vectorised.residuals`."""
    n = len(point)
    by_handle, by_value, by_quality = (
        np.empty(n, np.uint8),
        np.empty(n, np.uint8),
        np.empty(n, np.uint8),
    )
    large_handle, large_value, large_quality = (
        np.empty(n, np.uint64),
        np.empty(n, np.uint64),
        np.empty(n, np.uint64),
    )
    n_handle = n_value = n_quality = 0
    by_row = np.empty(n, np.int64)
    by_point = np.empty(n, np.int64)
    before_handle = np.int64(-1)
    before_time = np.int64(base_ns)
    next_exception = 0
    for row in range(n):
        handle = point[row]
        step = zigzag(np.int64(handle) - before_handle - np.int64(1))
        n_handle = _emit(step, by_handle, row, large_handle, n_handle)
        before_handle = np.int64(handle)
        step = np.uint64(quality[row] ^ last_quality[handle])
        n_quality = _emit(step, by_quality, row, large_quality, n_quality)
        last_quality[handle] = quality[row]
        moment = time[row]
        by_row[row] = moment - before_time
        before_time = moment
        by_point[row] = moment - last_time[handle]
        last_time[handle] = moment
        if next_exception < len(exceptions) and exceptions[next_exception] == row:
            next_exception += 1
            by_value[row] = 0
            continue
        step = zigzag(value[row] - last[handle])
        n_value = _emit(step, by_value, row, large_value, n_value)
        last[handle] = value[row]
    handle_counts, handle_planes = _planes_of(large_handle[:n_handle])
    value_counts, value_planes = _planes_of(large_value[:n_value])
    quality_counts, quality_planes = _planes_of(large_quality[:n_quality])
    return (
        (by_handle, handle_counts, handle_planes),
        (by_value, value_counts, value_planes),
        (by_quality, quality_counts, quality_planes),
        by_row,
        by_point,
    )


@compile_loop
def cost(steps: Any) -> Any:
    """See `vectorised.cost`."""
    total = 0
    for row in range(len(steps)):
        if steps[row]:
            total += width_of(zigzag(steps[row]))
    return total


@compile_loop
def scale(steps: Any) -> Any:
    """See `vectorised.scale`."""
    n = len(steps)
    index = 0
    for row in range(n):
        if steps[row] == 0:
            continue
        while steps[row] % UNITS_NS[index] != 0:
            index += 1
        if index == len(UNITS_NS) - 1:
            break
    unit = UNITS_NS[index]
    symbols = np.empty(n, np.uint8)
    large = np.empty(n, np.uint64)
    n_large = 0
    for row in range(n):
        step = steps[row]
        if step == 0:
            symbols[row] = 0
            continue
        n_large = _emit(zigzag(step // unit if unit != 1 else step), symbols, row, large, n_large)
    counts, planes = _planes_of(large[:n_large])
    return index, (symbols, counts, planes)


@compile_loop
def split(numbers: Any) -> Any:
    """See `vectorised.split`."""
    n = len(numbers)
    symbols = np.empty(n, np.uint8)
    large = np.empty(n, np.uint64)
    n_large = 0
    for row in range(n):
        n_large = _emit(numbers[row], symbols, row, large, n_large)
    counts, planes = _planes_of(large[:n_large])
    return symbols, counts, planes
