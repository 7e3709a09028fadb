"""The loops of the frame codec, compiled. Without numba `CODEC` is the NumPy version.

The same functions as in `vectorised.py`, which says what they do; they give the same bytes.
Every loop releases the interpreter lock, so that a commit does not hold up the event loop.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from mirrorworld.record import vectorised
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


def _compile(function: Any) -> Any:
    return njit(cache=True, nogil=True)(function) if njit is not None else function


@_compile
def _is_excused(cell: Any, number: Any) -> Any:
    return not np.isfinite(number) or cell == NEGATIVE_ZERO


@_compile
def _is_decimal(mode: Any) -> Any:
    return MODE_DEC64 <= mode < MODE_RAW32


@_compile
def _fits(mode: Any, cell: Any, number: Any) -> Any:
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


@_compile
def _transform(mode: Any, cell: Any, number: Any) -> Any:
    if mode in (MODE_INT, MODE_RAW64):
        return cell
    if mode == MODE_RAW32:
        return cell >> 29
    if mode < MODE_DEC32:
        return np.int64(np.rint(number * POWERS[mode - MODE_DEC64]))
    return np.int64(np.rint(number * POWERS[mode - MODE_DEC32]))


@_compile
def _restore_one(mode: Any, value: Any, cells: Any, numbers: Any, row: Any) -> Any:
    """Puts the cell of one value in its place; `numbers` is the same memory as floats."""
    if mode in (MODE_INT, MODE_RAW64):
        cells[row] = value
    elif mode == MODE_RAW32:
        cells[row] = value << 29
    elif mode < MODE_DEC32:
        numbers[row] = np.float64(value) / POWERS[mode - MODE_DEC64]
    else:
        numbers[row] = np.float64(np.float32(np.float64(value) / POWERS[mode - MODE_DEC32]))


@_compile
def _zigzag(value: Any) -> Any:
    return np.uint64((value << np.int64(1)) ^ (value >> np.int64(63)))


@_compile
def _unzigzag(number: Any) -> Any:
    return np.int64(number >> np.uint64(1)) ^ -np.int64(number & np.uint64(1))


@_compile
def _width_of(number: Any) -> Any:
    width = 0
    while number:
        width += 1
        number >>= np.uint64(8)
    return width


@_compile
def _change_mode(
    handle: Any, new: Any, last: Any, mode: Any, scratch: Any, scratch_number: Any
) -> Any:
    old = mode[handle]
    value = np.int64(0)
    if old != MODE_UNSET:
        _restore_one(old, last[handle], scratch, scratch_number, 0)
        if _fits(new, scratch[0], scratch_number[0]):
            value = _transform(new, scratch[0], scratch_number[0])
    last[handle] = value
    mode[handle] = new


@_compile
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
        elif _fits(current, cell[row], number[row]):
            value[row] = _transform(current, cell[row], number[row])
            continue
        if _is_decimal(current) and _is_excused(cell[row], number[row]):
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
                    _fits(candidate, cell[row], number[row])
                    or (_is_decimal(candidate) and _is_excused(cell[row], number[row]))
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
                _change_mode(handle, chosen[handle], last, mode, scratch, scratch_number)
        n_exceptions = 0
        for row in range(n):
            current = mode[point[row]]
            if _is_decimal(current) and _is_excused(cell[row], number[row]):
                n_exceptions += 1
            elif is_dirty[point[row]]:
                value[row] = _transform(current, cell[row], number[row])
    exceptions = np.empty(n_exceptions, np.int64)
    if n_exceptions:
        at = 0
        for row in range(n):
            if _is_decimal(mode[point[row]]) and _is_excused(cell[row], number[row]):
                exceptions[at] = row
                at += 1
    return handles, modes, exceptions, value


def settle(point: Any, cell: Any, last: Any, mode: Any) -> Any:
    """See `vectorised.settle`."""
    scratch = np.zeros(1, np.int64)
    return _settle_loop(
        point, cell, cell.view(np.float64), last, mode, scratch, scratch.view(np.float64)
    )


@_compile
def _residuals_loop(
    point: Any,
    value: Any,
    quality: Any,
    time: Any,
    exceptions: Any,
    base: Any,
    last: Any,
    last_quality: Any,
    last_time: Any,
) -> Any:
    n = len(point)
    by_handle = np.empty(n, np.uint64)
    by_value = np.empty(n, np.uint64)
    by_quality = np.empty(n, np.uint64)
    by_row = np.empty(n, np.int64)
    by_point = np.empty(n, np.int64)
    before_handle = np.int64(-1)
    before_time = np.int64(base)
    next_exception = 0
    for row in range(n):
        handle = point[row]
        by_handle[row] = _zigzag(np.int64(handle) - before_handle - np.int64(1))
        before_handle = np.int64(handle)
        by_quality[row] = np.uint64(quality[row] ^ last_quality[handle])
        last_quality[handle] = quality[row]
        moment = time[row]
        by_row[row] = moment - before_time
        before_time = moment
        by_point[row] = moment - last_time[handle]
        last_time[handle] = moment
        if next_exception < len(exceptions) and exceptions[next_exception] == row:
            next_exception += 1
            by_value[row] = np.uint64(0)
            continue
        by_value[row] = _zigzag(value[row] - last[handle])
        last[handle] = value[row]
    return by_handle, by_value, by_quality, by_row, by_point


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
    return _residuals_loop(
        point, value, quality, time, exceptions, base_ns, last, last_quality, last_time
    )


@_compile
def cost(steps: Any) -> Any:
    """See `vectorised.cost`."""
    total = 0
    for row in range(len(steps)):
        if steps[row]:
            total += _width_of(_zigzag(steps[row]))
    return total


@_compile
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
    scaled = np.empty(n, np.uint64)
    unit = UNITS_NS[index]
    if unit == 1:
        for row in range(n):
            scaled[row] = _zigzag(steps[row])
    else:
        for row in range(n):
            scaled[row] = _zigzag(steps[row] // unit) if steps[row] else np.uint64(0)
    return index, scaled


@_compile
def split(numbers: Any) -> Any:
    """See `vectorised.split`."""
    n = len(numbers)
    limit = np.uint64(SMALL_LIMIT)
    symbols = np.empty(n, np.uint8)
    counts = np.zeros(8, np.int64)
    for row in range(n):
        number = numbers[row]
        if number < limit:
            symbols[row] = np.uint8(number)
        else:
            width = _width_of(number)
            counts[width - 1] += 1
            symbols[row] = SMALL_LIMIT - 1 + width
    size = 0
    starts = np.zeros(9, np.int64)
    for width in range(1, 9):
        starts[width] = size
        size += counts[width - 1] * width
    planes = np.empty(size, np.uint8)
    if size:
        for row in range(n):
            number = numbers[row]
            if number >= limit:
                width = _width_of(number)
                at = starts[width]
                starts[width] += 1
                step = counts[width - 1]
                for _ in range(width):
                    planes[at] = np.uint8(number & np.uint64(255))
                    number >>= np.uint64(8)
                    at += step
    return symbols, counts, planes


@_compile
def _starts(counts: Any) -> Any:
    """Where the first bytes of each class of a column begin."""
    starts = np.zeros(9, np.int64)
    size = 0
    for width in range(1, 9):
        starts[width] = size
        size += counts[width - 1] * width
    return starts


@_compile
def _large(symbol: Any, starts: Any, counts: Any, planes: Any) -> Any:
    """The next number of a class."""
    width = np.int64(symbol) - (SMALL_LIMIT - 1)
    at = starts[width]
    starts[width] += 1
    number = np.uint64(0)
    for b in range(width):
        number |= np.uint64(planes[at]) << np.uint64(8 * b)
        at += counts[width - 1]
    return number


@_compile
def join(symbols: Any, counts: Any, planes: Any) -> Any:
    """See `vectorised.join`."""
    n = len(symbols)
    numbers = np.empty(n, np.uint64)
    starts = _starts(counts)
    for row in range(n):
        symbol = symbols[row]
        if symbol < SMALL_LIMIT:
            numbers[row] = symbol
        else:
            numbers[row] = _large(symbol, starts, counts, planes)
    return numbers


@_compile
def pick(symbols: Any, counts: Any, planes: Any, rows: Any) -> Any:
    """See `vectorised.pick`."""
    picked = np.empty(len(rows), np.uint64)
    starts = _starts(counts)
    row = 0
    for at in range(len(rows)):
        wanted = rows[at]
        while row < wanted:
            symbol = np.int64(symbols[row])
            if symbol >= SMALL_LIMIT:
                starts[symbol - (SMALL_LIMIT - 1)] += 1
            row += 1
        symbol = symbols[row]
        if symbol < SMALL_LIMIT:
            picked[at] = np.uint64(symbol)
        else:
            # The same row is not asked for twice, so its number is the next of its class.
            picked[at] = _large(symbol, starts, counts, planes)
            row += 1
    return picked


@_compile
def latest(
    point: Any,
    cell: Any,
    quality: Any,
    time: Any,
    limit_ns: Any,
    best_cell: Any,
    best_time: Any,
    best_quality: Any,
) -> Any:
    """See `vectorised.latest`."""
    for row in range(len(point)):
        moment = time[row]
        handle = point[row]
        if moment <= limit_ns and moment >= best_time[handle]:
            best_cell[handle] = cell[row]
            best_time[handle] = moment
            best_quality[handle] = quality[row]


@_compile
def known(
    point: Any,
    cell: Any,
    quality: Any,
    time: Any,
    rows: Any,
    received_ns: Any,
    sequence: Any,
    origin: Any,
    first: Any,
    end: Any,
    best_cell: Any,
    best_quality: Any,
    best_time: Any,
    best_received: Any,
    best_sequence: Any,
    best_origin: Any,
) -> Any:
    """See `vectorised.known`."""
    row = 0
    for change in range(first):
        row += rows[change]
    for change in range(first, end):
        received = received_ns[change]
        for _ in range(rows[change]):
            handle = point[row]
            arrived = min(time[row], received)
            if arrived >= min(best_time[handle], best_received[handle]):
                best_cell[handle] = cell[row]
                best_quality[handle] = quality[row]
                best_time[handle] = time[row]
                best_received[handle] = received
                best_sequence[handle] = sequence[change]
                best_origin[handle] = origin[change]
            row += 1


@_compile
def _restore_loop(
    handle_symbols: Any,
    handle_counts: Any,
    handle_planes: Any,
    value_symbols: Any,
    value_counts: Any,
    value_planes: Any,
    quality_symbols: Any,
    quality_counts: Any,
    quality_planes: Any,
    time_symbols: Any,
    time_counts: Any,
    time_planes: Any,
    is_time_by_row: Any,
    unit_ns: Any,
    base_ns: Any,
    exceptions: Any,
    exception_cells: Any,
    last: Any,
    mode: Any,
    last_quality: Any,
    last_time: Any,
    cell: Any,
    number: Any,
) -> Any:
    n = len(handle_symbols)
    point = np.empty(n, np.uint32)
    quality = np.empty(n, np.uint32)
    time = np.empty(n, np.int64)
    handle_starts, value_starts = _starts(handle_counts), _starts(value_counts)
    quality_starts, time_starts = _starts(quality_counts), _starts(time_counts)
    handle = np.int64(-1)
    moment = np.int64(base_ns)
    for row in range(n):
        step = np.uint64(handle_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, handle_starts, handle_counts, handle_planes)
        handle += _unzigzag(step) + np.int64(1)
        point[row] = handle
        step = np.uint64(quality_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, quality_starts, quality_counts, quality_planes)
        code = last_quality[handle] ^ np.uint32(step)
        last_quality[handle] = code
        quality[row] = code
        step = np.uint64(time_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, time_starts, time_counts, time_planes)
        moment = (moment if is_time_by_row else last_time[handle]) + _unzigzag(step) * np.int64(
            unit_ns
        )
        last_time[handle] = moment
        time[row] = moment
        step = np.uint64(value_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, value_starts, value_counts, value_planes)
        value = last[handle] + _unzigzag(step)
        last[handle] = value
        _restore_one(mode[handle], value, cell, number, row)
    for at in range(len(exceptions)):
        cell[exceptions[at]] = exception_cells[at]
    return point, cell, quality, time


def restore(
    by_handle: Any,
    by_value: Any,
    by_quality: Any,
    by_time: Any,
    is_time_by_row: Any,
    unit_ns: Any,
    base_ns: Any,
    exceptions: Any,
    exception_cells: Any,
    last: Any,
    mode: Any,
    last_quality: Any,
    last_time: Any,
) -> Any:
    """See `vectorised.restore`."""
    cell = np.empty(len(by_handle[0]), np.int64)
    return _restore_loop(
        *by_handle,
        *by_value,
        *by_quality,
        *by_time,
        is_time_by_row,
        unit_ns,
        base_ns,
        exceptions,
        exception_cells,
        last,
        mode,
        last_quality,
        last_time,
        cell,
        cell.view(np.float64),
    )


@_compile
def _advance_loop(
    handle_symbols: Any,
    handle_counts: Any,
    handle_planes: Any,
    value_symbols: Any,
    value_counts: Any,
    value_planes: Any,
    quality_symbols: Any,
    quality_counts: Any,
    quality_planes: Any,
    time_symbols: Any,
    time_counts: Any,
    time_planes: Any,
    is_time_by_row: Any,
    unit_ns: Any,
    base_ns: Any,
    exceptions: Any,
    exception_cells: Any,
    last: Any,
    last_quality: Any,
    last_time: Any,
    is_odd: Any,
    odd_cell: Any,
) -> Any:
    handle_starts, value_starts = _starts(handle_counts), _starts(value_counts)
    quality_starts, time_starts = _starts(quality_counts), _starts(time_counts)
    handle = np.int64(-1)
    moment = np.int64(base_ns)
    is_rising = True
    next_exception = 0
    for row in range(len(handle_symbols)):
        step = np.uint64(handle_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, handle_starts, handle_counts, handle_planes)
        handle += _unzigzag(step) + np.int64(1)
        step = np.uint64(quality_symbols[row])
        if step:
            if step >= SMALL_LIMIT:
                step = _large(step, quality_starts, quality_counts, quality_planes)
            last_quality[handle] ^= np.uint32(step)
        step = np.uint64(time_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, time_starts, time_counts, time_planes)
        before = last_time[handle]
        moment = (moment if is_time_by_row else before) + _unzigzag(step) * np.int64(unit_ns)
        if moment < before and is_odd[handle] != 2:
            is_rising = False
        last_time[handle] = moment
        step = np.uint64(value_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, value_starts, value_counts, value_planes)
        last[handle] += _unzigzag(step)
        is_odd[handle] = 0
        if next_exception < len(exceptions) and exceptions[next_exception] == row:
            is_odd[handle] = 1
            odd_cell[handle] = exception_cells[next_exception]
            next_exception += 1
    return is_rising


def advance(
    by_handle: Any,
    by_value: Any,
    by_quality: Any,
    by_time: Any,
    is_time_by_row: Any,
    unit_ns: Any,
    base_ns: Any,
    exceptions: Any,
    exception_cells: Any,
    last: Any,
    mode: Any,
    last_quality: Any,
    last_time: Any,
    is_odd: Any,
    odd_cell: Any,
) -> bool:
    """See `vectorised.advance`."""
    return _advance_loop(
        *by_handle,
        *by_value,
        *by_quality,
        *by_time,
        is_time_by_row,
        unit_ns,
        base_ns,
        exceptions,
        exception_cells,
        last,
        last_quality,
        last_time,
        is_odd,
        odd_cell,
    )


@_compile
def handles(by_handle: Any) -> Any:
    """See `vectorised.handles`."""
    point = np.empty(len(by_handle), np.uint32)
    handle = np.int64(-1)
    for row in range(len(by_handle)):
        handle += _unzigzag(by_handle[row]) + np.int64(1)
        point[row] = handle
    return point


@_compile
def _remode_loop(
    handles: Any, modes: Any, last: Any, mode: Any, scratch: Any, scratch_number: Any
) -> Any:
    for at in range(len(handles)):
        _change_mode(handles[at], modes[at], last, mode, scratch, scratch_number)


def remode(handles: Any, modes: Any, last: Any, mode: Any) -> Any:
    """See `vectorised.remode`."""
    scratch = np.zeros(1, np.int64)
    _remode_loop(handles, modes, last, mode, scratch, scratch.view(np.float64))


CODEC: Any = sys.modules[__name__] if HAS_NUMBA else vectorised
"""What the record uses: compiled where numba is installed."""
