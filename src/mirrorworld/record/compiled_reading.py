"""The reading loops of the frame codec, compiled.

The same functions as in `vectorised.py`, which says what they do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mirrorworld.record.compiled import change_mode, compile_loop, restore_one, unzigzag
from mirrorworld.record.vectorised import SMALL_LIMIT


@compile_loop
def _starts(counts: Any) -> Any:
    """Where the first bytes of each class of a column begin."""
    starts = np.zeros(9, np.int64)
    size = 0
    for width in range(1, 9):
        starts[width] = size
        size += counts[width - 1] * width
    return starts


@compile_loop
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


@compile_loop
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


@compile_loop
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


@compile_loop
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


@compile_loop
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


@compile_loop
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
        handle += unzigzag(step) + np.int64(1)
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
        moment = (moment if is_time_by_row else last_time[handle]) + unzigzag(step) * np.int64(
            unit_ns
        )
        last_time[handle] = moment
        time[row] = moment
        step = np.uint64(value_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, value_starts, value_counts, value_planes)
        value = last[handle] + unzigzag(step)
        last[handle] = value
        restore_one(mode[handle], value, cell, number, row)
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


@compile_loop
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
        handle += unzigzag(step) + np.int64(1)
        step = np.uint64(quality_symbols[row])
        if step:
            if step >= SMALL_LIMIT:
                step = _large(step, quality_starts, quality_counts, quality_planes)
            last_quality[handle] ^= np.uint32(step)
        step = np.uint64(time_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, time_starts, time_counts, time_planes)
        before = last_time[handle]
        moment = (moment if is_time_by_row else before) + unzigzag(step) * np.int64(unit_ns)
        if moment < before and is_odd[handle] != 2:
            is_rising = False
        last_time[handle] = moment
        step = np.uint64(value_symbols[row])
        if step >= SMALL_LIMIT:
            step = _large(step, value_starts, value_counts, value_planes)
        last[handle] += unzigzag(step)
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


@compile_loop
def handles(by_handle: Any) -> Any:
    """See `vectorised.handles`."""
    point = np.empty(len(by_handle), np.uint32)
    handle = np.int64(-1)
    for row in range(len(by_handle)):
        handle += unzigzag(by_handle[row]) + np.int64(1)
        point[row] = handle
    return point


@compile_loop
def _remode_loop(
    handles: Any, modes: Any, last: Any, mode: Any, scratch: Any, scratch_number: Any
) -> Any:
    for at in range(len(handles)):
        change_mode(handles[at], modes[at], last, mode, scratch, scratch_number)


def remode(handles: Any, modes: Any, last: Any, mode: Any) -> Any:
    """See `vectorised.remode`."""
    scratch = np.zeros(1, np.int64)
    _remode_loop(handles, modes, last, mode, scratch, scratch.view(np.float64))
