"""What goes over the wire comes back as it was, and the page's copy of it is up to date."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorworld.protocol import binary, messages, typescript
from mirrorworld.world import quality
from mirrorworld.world.model import Kind

ROOT = Path(__file__).resolve().parents[2]


def test_the_pages_file_is_what_the_definitions_say():
    assert (ROOT / typescript.TARGET).read_text(encoding="utf-8") == typescript.text()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.floats(width=32, allow_nan=False),
            st.integers(0, 255),
            st.integers(-(2**31), 2**31 - 1),
        ),
        max_size=9,
    ),
    st.integers(0, 2**63),
    st.integers(0, 2**32 - 1),
)
def test_a_frame_comes_back(rows, sequence, epoch):
    handle, value, status, age = zip(*rows, strict=True) if rows else ((), (), (), ())
    data = binary.encode(
        binary.DELTA,
        np.array(handle, np.uint32),
        np.array(value, np.float32),
        np.array(status, np.uint8),
        np.array(age, np.int32),
        sequence=sequence,
        epoch=epoch,
        base_ms=1e12,
        flags=binary.MORE,
    )
    assert len(data) % 4 == 0
    read = binary.decode(data)
    assert (read.kind, read.flags, read.sequence, read.epoch) == (2, binary.MORE, sequence, epoch)
    assert read.handle.tolist() == list(handle)
    assert read.value.tolist() == list(value)
    assert read.status.tolist() == list(status)
    assert read.age_ms.tolist() == list(age)
    with pytest.raises(ValueError, match="bytes"):
        binary.decode(data[:-1])


def test_a_status_says_severity_origin_and_detail():
    codes = np.array(
        [quality.GOOD, quality.UNCERTAIN_RANGE, quality.BAD_WAITING, quality.BAD, 0x80AB_0000],
        np.uint32,
    )
    status = binary.status(codes, np.array([0, 2, 1, 4, 3], np.uint8))
    assert (status >> 6).tolist() == [0, 1, 2, 2, 2]
    assert (status >> 3 & 7).tolist() == [0, 2, 1, 4, 3]
    assert [binary.DETAILS[s & 7] for s in status] == ["", "out_of_range", "waiting", "", "other"]


def test_numbers_follow_the_kind_of_the_point():
    cell = np.array([np.float64(1.5).view(np.int64), -7, 1, 3, 8, 8], np.int64)
    kind = np.array([Kind.FLOAT, Kind.INT, Kind.BOOL, Kind.ENUM, Kind.TEXT, Kind.BLOB], np.uint8)
    assert binary.numbers(cell, kind)[:4].tolist() == [1.5, -7, 1, 3]
    assert np.isnan(binary.numbers(cell, kind)[4:]).all()


def test_ages_are_clamped_and_tell_never_apart():
    now_ms = 1_800_000_000_000.0
    ns = int(now_ms) * 1_000_000
    ages = binary.ages(np.array([ns, ns - 5_000_000, 0, 1], np.int64), now_ms)
    assert ages.tolist() == [0, -5, binary.NO_TIME, -binary.AGE_LIMIT_MS]


@pytest.mark.parametrize(
    "message",
    [
        messages.Hello(resume="1:4711", rate_hz=5, watch=[1, 2]),
        messages.Seek(None),
        messages.AskExact(3, [1]),
    ],
)
def test_messages_come_back(message):
    assert messages.read_client(messages.encode(message)) == message


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{", "not JSON"),
        ("[]", "Hello, Watch"),
        ('{"@":"Welcome"}', "Hello, Watch"),
        ('{"@":"Watch","points":["a"]}', r"points\[0\]"),
        ('{"@":"Seek"}', "source_ms"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_what_is_no_message_is_refused_by_place(text, names):
    with pytest.raises(ValueError, match=names):
        messages.read_client(text)
