"""The frame codec: lossless, the same bytes with and without numba."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mirrorworld.record import blocks, compiled, vectorised
from mirrorworld.record.codec import CODEC
from mirrorworld.testing import changes as signals
from mirrorworld.world.changes import Change, Origin, OriginKind, Position
from mirrorworld.world.frames import Frame

CODECS = [pytest.param(vectorised, id="numpy")]
if compiled.HAS_NUMBA:
    CODECS.append(pytest.param(CODEC, id="numba"))


def frames(seed: int, count: int, **options: int) -> list[Change]:
    made = signals.changes(seed, count, **options)
    return [c for c in made if isinstance(c.body, Frame)]


def in_blocks(changes: list[Change], size: int) -> list[list[Change]]:
    return [changes[i : i + size] for i in range(0, len(changes), size)]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("seed", range(5))
def test_blocks_come_back_bit_for_bit(codec, seed):
    writer, reader = blocks.PointState(), blocks.PointState()
    for i, part in enumerate(in_blocks(frames(seed, 200), 30)):
        is_anchor = i % 3 == 0
        payload = blocks.encode(part, writer, is_anchor=is_anchor, codec=codec)
        samples = blocks.decode(payload, reader, epoch=1, is_anchor=is_anchor, codec=codec)
        for got, expected in zip(samples.changes(), part, strict=True):
            signals.assert_same(got, expected)


@pytest.mark.skipif(not compiled.HAS_NUMBA, reason="numba is not installed")
@pytest.mark.parametrize("seed", range(5))
def test_with_and_without_numba_the_bytes_are_the_same(seed):
    states = blocks.PointState(), blocks.PointState()
    for i, part in enumerate(in_blocks(frames(seed, 200, n_points=20 + 50 * seed), 20)):
        one, other = (
            blocks.encode(part, state, is_anchor=i == 4, codec=codec)
            for state, codec in zip(states, (CODEC, vectorised), strict=True)
        )
        assert one == other


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("is_late", [False, True])
def test_moving_on_without_rows_leads_to_the_same_state(codec, is_late):
    made = frames(7, 200)
    for change in made[:100:3] if is_late else ():
        change.body.source_ns[:] -= 10**12
    if not is_late:
        for i, change in enumerate(made):
            change.body.source_ns[:] = i
    writer, reader, mover = blocks.PointState(), blocks.PointState(), blocks.PointState()
    is_odd, odd_cell = np.full(60, 2, np.uint8), np.zeros(60, np.int64)
    best, rising = {}, []
    for i, part in enumerate(in_blocks(made, 40)):
        payload = blocks.encode(part, writer, is_anchor=i == 0, codec=codec)
        samples = blocks.decode(payload, reader, epoch=1, is_anchor=i == 0, codec=codec)
        rows = zip(samples.point, samples.cell, samples.quality, samples.source_ns, strict=True)
        expected = True
        for point, *row in rows:
            expected &= point not in best or best[point][2] <= row[2]
            best[point] = row
        rising.append(expected)
        got = blocks.advance(
            payload, mover, is_odd, odd_cell, is_anchor=i == 0, points_end=60, codec=codec
        )
        assert got == expected
    for name in ("last", "mode", "quality", "time"):
        assert np.array_equal(getattr(mover, name)[:60], getattr(reader, name)[:60])
    cell = vectorised.restore_cells(mover.mode[:60], mover.last[:60])
    for point, row in best.items():
        got = odd_cell[point] if is_odd[point] == 1 else cell[point]
        assert [got, mover.quality[point], mover.time[point]] == row
    assert all(rising) is not is_late


@given(
    cells=arrays.arrays(np.int64, st.integers(1, 40)),
    points=st.data(),
    spread=st.integers(1, 1 << 31),
)
@settings(max_examples=60, deadline=None)
def test_any_cells_and_times_come_back(cells, points, spread):
    n = len(cells)
    point = points.draw(arrays.arrays(np.uint32, n, elements=st.integers(0, 2000)))
    time = points.draw(arrays.arrays(np.int64, n))
    quality = points.draw(arrays.arrays(np.uint32, n))
    body = Frame(point, cells, quality, time // spread)
    origin = Origin(OriginKind.MEASURED, "x")
    change = Change(body, origin, -5, "s", 1 << 62, -(1 << 63), Position(3, 9))
    for codec in (vectorised, CODEC):
        state = blocks.PointState()
        payload = blocks.encode([change], state, is_anchor=True, codec=codec)
        reader = blocks.PointState()
        (got,) = blocks.decode(payload, reader, epoch=3, is_anchor=True, codec=codec).changes()
        signals.assert_same(got, change)


def test_decimals_cost_less_than_their_bits():
    """A drifting value of two decimals takes about a byte, not eight."""
    random = np.random.default_rng(3)
    n = 5000
    value = np.round(20 + np.cumsum(random.normal(0, 0.05, n)), 2)
    body = Frame(
        np.zeros(n, np.uint32),
        value.view(np.int64),
        np.zeros(n, np.uint32),
        signals.START_NS + np.arange(n, dtype=np.int64) * 1_000_000_000,
    )
    change = Change(body, signals.ORIGINS[0], 0, position=Position(1, 1))
    payload = blocks.encode([change], blocks.PointState(), is_anchor=True)
    assert len(payload) < 1.1 * n


def test_what_is_not_a_block_is_refused():
    with pytest.raises(ValueError, match="not a block of samples"):
        blocks.decode(b"\x03\0\0\0abc", blocks.PointState(), epoch=1, is_anchor=True)
