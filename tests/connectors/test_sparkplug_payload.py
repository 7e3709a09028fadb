"""The Sparkplug codec against bytes of another implementation, and its two readers of data."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.sparkplug_compiled import HAS_NUMBA
from mirrorworld.connectors.sparkplug_decode import DataDecoder
from mirrorworld.connectors.sparkplug_payload import (
    DataSet,
    DataType,
    MalformedPayload,
    Metric,
    Template,
)
from mirrorworld.world.model import Kind

# Serialised by protobuf's own runtime from the Sparkplug B messages.
FOREIGN = bytes.fromhex(
    "08fbd095ffbc3112660a0a54616e6b2f4c6576656c100718fcd095ffbc31200a4a440a07656e67556e69740a"
    "07656e67486967680a08726561644f6e6c790a016e1206080c42026d6d120b080a31000000000088b3401204"
    "080b38011208080318ffffffff0f6900000000000004c0120f0a02693810ac02200150fbffffff0f12120a03"
    "693634200458faffffffffffffffff01120d0a0375333220075080d0acf30e120a0a01662009650000003f12"
    "090a0162200b28017001120e0a0173200c7a074772c3b6c39f65120a0a046e756c6c2009380112230a016420"
    "108a011b08021201611201621803180c220d0a0608ffffffff0f0a03320178121e0a01742013920116120b0a"
    "0553706565642003500722054d6f746f72280018c80122036162632a020001"
)
# This codec's own bytes of nearly the same, which protobuf's runtime has read back.
METRICS = [
    Metric(
        "Tank/Level",
        7,
        1700000000124,
        10,
        value=-2.5,
        properties={"engUnit": "mm", "engHigh": 5000.0, "readOnly": True, "n": -1},
    ),
    Metric("i8", 300, datatype=1, value=-5),
    Metric("i64", datatype=4, value=-6),
    Metric("u32", datatype=7, value=4000000000),
    Metric("f", datatype=9, value=0.5),
    Metric("b", datatype=11, value=True, is_historical=True),
    Metric("s", datatype=12, value="Größe"),
    Metric("null", datatype=9, is_null=True),
    Metric("d", datatype=16, value=DataSet(["a", "b"], [3, 12], [[-1, "x"]])),
    Metric(
        "t",
        datatype=19,
        value=Template(metrics=[Metric("Speed", datatype=3, value=7)], template_ref="Motor"),
    ),
]


@pytest.mark.parametrize("raw", [FOREIGN, codec.encode(METRICS, 1700000000123, 200)])
def test_payload_of_another_implementation(raw: bytes) -> None:
    payload = codec.decode(raw)
    assert (payload.timestamp_ms, payload.seq) == (1700000000123, 200)
    by_name = {m.name: m for m in payload.metrics}
    values = {
        name: codec.typed(m, m.datatype)
        for name, m in by_name.items()
        if name not in ("null", "d", "t")
    }
    assert values == {
        "Tank/Level": -2.5,
        "i8": -5,
        "i64": -6,
        "u32": 4000000000,
        "f": 0.5,
        "b": True,
        "s": "Größe",
    }
    assert by_name["Tank/Level"].properties == {
        "engUnit": "mm",
        "engHigh": 5000.0,
        "readOnly": True,
        "n": -1,
    }
    assert by_name["i8"].alias == 300 and by_name["Tank/Level"].timestamp_ms == 1700000000124
    assert by_name["null"].is_null and by_name["b"].is_historical
    assert by_name["d"].value.rows == [[-1, "x"]]
    assert by_name["t"].value.metrics[0].value == 7
    assert by_name["t"].value.template_ref == "Motor"


@pytest.mark.parametrize(
    ("datatype", "carrier", "raw", "value"),
    [
        (1, 10, 0xFF, -1),
        (1, 10, 0xFFFF_FFFF, -1),
        (1, 11, 2**64 - 1, -1),
        (1, 10, 200, -56),
        (3, 10, 2**32 - 1, -1),
        (3, 11, 2**64 - 2**31, -(2**31)),
        (4, 11, 2**63, -(2**63)),
        (5, 10, 255, 255),
        (8, 11, 2**63 - 1, 2**63 - 1),
    ],
)
def test_whole_numbers_of_every_width(datatype: int, carrier: int, raw: int, value: int) -> None:
    assert codec.whole(raw, datatype, carrier) == value


@pytest.mark.parametrize(
    ("datatype", "carrier", "raw"), [(1, 10, 300), (5, 10, 256), (8, 11, 2**63), (2, 11, 2**40)]
)
def test_whole_numbers_that_do_not_fit(datatype: int, carrier: int, raw: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        codec.whole(raw, datatype, carrier)


@pytest.mark.parametrize(
    ("datatype", "value"),
    [(1, 128), (5, -1), (3, 1.5), (3, True), (11, 2), (4, 2**63), (17, b"x")],
)
def test_values_that_cannot_be_written(datatype: int, value: object) -> None:
    with pytest.raises(ValueError):
        codec.value_field(datatype, value)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    with contextlib.suppress(MalformedPayload):
        codec.decode(raw)


# --- the two readers of DATA ----------------------------------------------------------------

TYPES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 22]


def decoder(*, use_compiled: bool) -> DataDecoder:
    made = DataDecoder(use_compiled=use_compiled)
    for slot, datatype in enumerate(TYPES):
        kind = Kind.FLOAT if datatype in (7, 9, 10) else Kind.INT  # a UInt32 into a float point
        kind = {11: Kind.BOOL, 12: Kind.TEXT, 22: Kind.ARRAY}.get(datatype, kind)
        made.set_slot(slot, kind, datatype)
        made.put_alias(1, slot + 1000 * (slot % 3), slot)
        made.put_name(2, f"metric {slot}".encode(), slot)
    return made


def any_field(draw: st.DrawFn) -> bytes:
    number = draw(st.sampled_from([1, 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 14, 15, 16, 20]))
    if number in (2, 3, 4, 5, 7, 10, 11, 14):
        big = st.sampled_from([0, 1, 127, 128, 255, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
        return codec._number(number, draw(st.one_of(st.integers(0, 300), big)))
    if number == 12:
        return b"\x65" + draw(st.binary(min_size=4, max_size=4))
    if number == 13:
        return b"\x69" + draw(st.binary(min_size=8, max_size=8))
    return codec._bytes(number, draw(st.binary(max_size=8)) if number in (15, 16) else b"")


@st.composite
def messages(draw: st.DrawFn) -> list[bytes]:
    out: list[bytes] = []
    for _ in range(draw(st.integers(1, 3))):
        parts: list[bytes] = []
        if draw(st.booleans()):
            parts.append(codec._number(1, draw(st.integers(0, 2**50))))
        for _ in range(draw(st.integers(0, 6))):
            slot = draw(st.integers(0, len(TYPES)))
            metric = [codec._number(2, slot + 1000 * (slot % 3))]
            if draw(st.booleans()):
                metric = [codec._bytes(1, f"metric {slot}".encode())]
            metric += [any_field(draw) for _ in range(draw(st.integers(0, 4)))]
            parts.append(codec._bytes(2, b"".join(metric)))
        if draw(st.booleans()):
            parts.append(codec._number(3, draw(st.integers(0, 255))))
        raw = b"".join(draw(st.permutations(parts)))
        if draw(st.integers(0, 9)) == 0:
            raw = raw[: draw(st.integers(0, len(raw)))]
        out.append(raw)
    return out


@pytest.mark.skipif(
    not HAS_NUMBA, reason="numba is not installed; the plain reader is all there is"
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages())
def test_compiled_and_plain_readers_agree(payloads: list[bytes]) -> None:
    n = len(payloads)
    found = []
    for use_compiled in (True, False):
        made = decoder(use_compiled=use_compiled)
        scan = made.scan(payloads)
        found.append((scan, made.decode(payloads, [1] * n, [2] * n, scan)))
    (fast_scan, fast), (plain_scan, plain) = found
    for name in ("sequence", "time_ms"):
        intact = ~plain.is_malformed
        one, other = getattr(fast_scan, name)[intact], getattr(plain_scan, name)[intact]
        np.testing.assert_array_equal(one, other, name)
    for name in ("is_malformed", "slot", "fate", "quality", "source_ns", "message", "span"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(plain, name), name)
    # Signalling NaNs lose a bit on the way through a Python float; NaN is NaN.
    floats = np.isin(fast.slot, [6, 8, 9]) & (fast.fate == 0)
    np.testing.assert_array_equal(fast.cell[~floats], plain.cell[~floats])
    np.testing.assert_array_equal(
        fast.cell[floats].view(np.float64), plain.cell[floats].view(np.float64)
    )
    assert fast.heap == plain.heap


def test_scopes_grow_and_are_forgotten() -> None:
    made = DataDecoder(use_compiled=HAS_NUMBA)
    for scope in range(1, 60):
        for slot in range(20):
            made.set_slot(slot, Kind.FLOAT, DataType.DOUBLE)
            made.put_alias(scope, slot, (slot + scope) % 20)
        raw = codec.encode([Metric("", 3, datatype=DataType.DOUBLE, value=1.0)], 1_700_000_000_000)
        got = made.decode([raw], [scope], [0])
        assert got.slot.tolist() == [(3 + scope) % 20]
        made.drop_scope(scope - 1)
    assert made.slot_of(30, 0, 3, "") == -1
