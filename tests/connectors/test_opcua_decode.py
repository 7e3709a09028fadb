"""The two decoders of data changes, against asyncua's encoder and against each other."""

from __future__ import annotations

import datetime
import math
import struct
import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrorworld.connectors import opcua_decode as decode
from mirrorworld.world.model import Kind

ua = pytest.importorskip("asyncua").ua
from asyncua.ua.ua_binary import struct_to_binary  # noqa: E402

AT = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
AT_NS = 1767323045678901000
VARIANTS = {
    "Boolean": st.booleans(),
    "SByte": st.integers(-128, 127),
    "Byte": st.integers(0, 255),
    "Int16": st.integers(-(1 << 15), (1 << 15) - 1),
    "UInt16": st.integers(0, (1 << 16) - 1),
    "Int32": st.integers(-(1 << 31), (1 << 31) - 1),
    "UInt32": st.integers(0, (1 << 32) - 1),
    "Int64": st.integers(-(1 << 63), (1 << 63) - 1),
    "UInt64": st.integers(0, (1 << 64) - 1),
    "Float": st.floats(width=32),
    "Double": st.floats(),
    "String": st.text(max_size=20),
    "Guid": st.uuids(),
    "ByteString": st.binary(max_size=20),
    "StatusCode": st.sampled_from([ua.StatusCode(0), ua.StatusCode(0x80320000)]),
    "LocalizedText": st.text(max_size=8).map(lambda t: ua.LocalizedText(t, "en")),
    "QualifiedName": st.text(max_size=8).map(lambda t: ua.QualifiedName(t, 3)),
    "NodeId": st.one_of(
        st.integers(0, 70_000).map(lambda i: ua.NodeId(i, 2)),
        st.text(min_size=1, max_size=8).map(lambda t: ua.NodeId(t, 2)),
        st.uuids().map(lambda u: ua.NodeId(u, 2)),
    ),
}


@st.composite
def data_values(draw: st.DrawFn) -> ua.DataValue:
    name = draw(st.sampled_from(sorted(VARIANTS)))
    value = draw(VARIANTS[name])
    if draw(st.integers(0, 9)) == 0:
        value = draw(st.lists(VARIANTS[name], max_size=4))
    variant = ua.Variant(value, ua.VariantType[name])
    if draw(st.integers(0, 9)) == 0:
        variant = None
    return ua.DataValue(
        variant,
        draw(st.sampled_from([None, ua.StatusCode(0x40000000), ua.StatusCode(0x480)])),
        draw(st.sampled_from([None, AT])),
        draw(st.sampled_from([None, AT])),
        draw(st.sampled_from([None, 1234])),
        draw(st.sampled_from([None, 55])),
    )


def encoded(values: list[tuple[int, ua.DataValue]]) -> tuple[bytes, int, int]:
    """(bytes, start, end) of the list in a DataChangeNotification."""
    note = ua.DataChangeNotification()
    for item, value in values:
        one = ua.MonitoredItemNotification()
        one.ClientHandle, one.Value = item, value
        note.MonitoredItems.append(one)
    body = struct_to_binary(note)
    return body, 4, len(body)


def items_of(kinds: list[Kind]) -> decode.Items:
    n = len(kinds)
    return decode.Items.of(np.arange(100, 100 + n, dtype=np.uint32), np.array(kinds, np.uint8))


def both(values: list[tuple[int, ua.DataValue]], kinds: list[Kind]) -> list[dict]:
    """What each decoder makes of the same values."""
    data, start, end = encoded(values)
    found = []
    for loop in (decode.decode_items, decode.decode_plain):
        items, out = items_of(kinds), decode.Columns.of(len(values) + 4)
        n, m = loop(data, start, end, len(values), items, out, 0, 0)
        found.append(
            {
                "point": out.point[:n].tolist(),
                "cell": out.cell[:n].tolist(),
                "quality": out.quality[:n].tolist(),
                "source_ns": out.source_ns[:n].tolist(),
                "slow": list(
                    zip(out.slow_item[:m].tolist(), out.slow_at[:m].tolist(), strict=True)
                ),
                "counts": out.counts.tolist(),
                "last": [
                    items.last_cell.tolist(),
                    items.last_quality.tolist(),
                    items.last_ns.tolist(),
                ],
            }
        )
    return found


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    if decode.HAS_NUMBA:
        decode.warm()
        assert decode.is_warm()


@given(
    st.lists(st.tuples(st.integers(0, 8), data_values()), min_size=1, max_size=20),
    st.lists(st.sampled_from(list(Kind)[:6]), min_size=8, max_size=8),
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_loops_agree(values: list[tuple[int, ua.DataValue]], kinds: list[Kind]) -> None:
    compiled, plain = both(values, kinds)
    assert compiled == plain
    rows = len(plain["point"]) + len(plain["slow"]) + sum(plain["counts"][:3])
    assert rows == len(values), "a change was neither carried nor counted"


@given(st.binary(max_size=120), st.integers(0, 20))
@settings(max_examples=300, deadline=None)
def test_noise_is_an_error_or_a_value_and_the_same_to_both(data: bytes, count: int) -> None:
    outcomes = []
    for loop in (decode.decode_items, decode.decode_plain):
        out = decode.Columns.of(64)
        try:
            n, m = loop(data, 0, len(data), count, items_of([Kind.FLOAT] * 8), out, 0, 0)
            outcomes.append((n, m, out.cell[:n].tolist(), out.quality[:n].tolist()))
        except decode.DecodeError:
            outcomes.append("error")
    if count > len(data) // 5:
        assert outcomes[0] == "error"
    else:
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("cut", [1, 3, 9])
def test_a_list_cut_short_is_an_error(cut: int) -> None:
    values = [(0, ua.DataValue(ua.Variant(1.5, ua.VariantType.Double), SourceTimestamp=AT))]
    data, start, end = encoded(values)
    end -= 4 + cut  # the empty list of diagnostics, and some of the value
    for loop in (decode.decode_items, decode.decode_plain):
        with pytest.raises(decode.DecodeError):
            loop(data[:end], start, end, 1, items_of([Kind.FLOAT]), decode.Columns.of(4), 0, 0)


@pytest.mark.parametrize(
    ("name", "value", "kind", "expected"),
    [
        ("Double", 1.25, Kind.FLOAT, 1.25),
        ("Double", math.nan, Kind.FLOAT, math.nan),
        ("Float", 0.5, Kind.FLOAT, 0.5),
        ("Int16", -7, Kind.FLOAT, -7.0),
        ("UInt64", (1 << 64) - 1, Kind.FLOAT, float(1 << 64)),
        ("Int64", -5, Kind.INT, -5),
        ("UInt32", 4_000_000_000, Kind.INT, 4_000_000_000),
        ("Boolean", True, Kind.BOOL, 1),
        ("Int32", 2, Kind.ENUM, 2),
        ("DateTime", AT, Kind.INT, AT_NS),
    ],
)
def test_scalars(name: str, value: object, kind: Kind, expected: float) -> None:
    sample = ua.DataValue(ua.Variant(value, ua.VariantType[name]), SourceTimestamp=AT)
    for found in both([(0, sample)], [kind]):
        cell = np.array(found["cell"], np.int64)
        got = cell.view(np.float64)[0] if kind is Kind.FLOAT else cell[0]
        assert got == expected or (math.isnan(expected) and math.isnan(got))
        assert found["source_ns"] == [AT_NS]
        assert found["point"] == [100]


@pytest.mark.parametrize(
    ("name", "value", "kind", "what"),
    [
        ("Double", 1.0, Kind.INT, decode.WRONG_TYPE),
        ("Double", 1.0, Kind.BOOL, decode.WRONG_TYPE),
        ("Boolean", True, Kind.FLOAT, decode.WRONG_TYPE),
        ("Boolean", True, Kind.INT, decode.WRONG_TYPE),
        ("UInt64", 1 << 63, Kind.INT, decode.TOO_LARGE),
    ],
)
def test_what_cannot_be_carried_is_counted(name: str, value: object, kind: Kind, what: int) -> None:
    for found in both([(0, ua.DataValue(ua.Variant(value, ua.VariantType[name])))], [kind]):
        assert not found["point"]
        assert found["counts"][what] == 1


def test_no_value_is_no_data_and_overflow_is_counted() -> None:
    values = [
        (0, ua.DataValue(None)),
        (0, ua.DataValue(ua.Variant(1.0, ua.VariantType.Double), ua.StatusCode(0x480))),
    ]
    for found in both(values, [Kind.FLOAT]):
        assert found["quality"] == [0x809B0000, 0x480]
        assert math.isnan(np.array(found["cell"]).view(np.float64)[0])
        assert found["counts"][decode.OVERFLOW] == 1


def test_times_beyond_the_range_are_clamped() -> None:
    assert decode.to_ns(0) == decode.NO_TIME
    assert decode.to_ns(1) == -decode.TICKS_MAX * 100
    assert decode.to_ns((1 << 63) - 1) == decode.TICKS_MAX * 100
    assert decode.to_ns(decode.EPOCH_TICKS + 15) == 1500


def test_the_frame_of_a_publish_response() -> None:
    message = ua.NotificationMessage(SequenceNumber=7, PublishTime=AT)
    change = ua.DataChangeNotification()
    one = ua.MonitoredItemNotification()
    one.ClientHandle = 0
    one.Value = ua.DataValue(ua.Variant(2.5, ua.VariantType.Double))
    change.MonitoredItems.append(one)
    gone = ua.StatusChangeNotification(Status=ua.StatusCode(ua.StatusCodes.BadTimeout))
    message.NotificationData = [change, gone]
    result = ua.PublishResult(
        SubscriptionId=12, AvailableSequenceNumbers=[6, 7], MoreNotifications=True
    )
    result.NotificationMessage = message
    data = b"head" + struct_to_binary(result)
    note = decode.notification(data, 4)
    assert (note.subscription, note.sequence, note.more) == (12, 7, True)
    assert note.available == (6, 7)
    assert note.publish_ns == AT_NS
    assert note.status == ua.StatusCodes.BadTimeout
    ((start, end, count),) = note.changes
    out = decode.Columns.of(2)
    assert decode.decode_plain(data, start, end, count, items_of([Kind.FLOAT]), out, 0, 0) == (1, 0)
    for cut in range(4, len(data) - 12, 5):
        with pytest.raises(decode.DecodeError):
            decode.notification(data[:cut], 4)


@pytest.mark.parametrize(
    "value",
    [
        ua.Variant("grüß", ua.VariantType.String),
        ua.Variant(["a", None], ua.VariantType.String),
        ua.Variant(ua.LocalizedText("x", "de"), ua.VariantType.LocalizedText),
        ua.Variant(uuid.UUID(int=5), ua.VariantType.Guid),
        ua.Variant([[1.0, 2.0], [3.0, 4.0]], ua.VariantType.Double),
        ua.Variant(ua.Range(1, 2), ua.VariantType.ExtensionObject),
        ua.Variant([ua.Variant(1), ua.Variant("x")], ua.VariantType.Variant),
    ],
)
def test_the_place_after_a_value_is_found(value: ua.Variant) -> None:
    sample = ua.DataValue(value, SourceTimestamp=AT)
    body = struct_to_binary(sample)
    variant, status, source_ns, after = decode.data_value(body + b"rest", 0)
    assert (variant, status, source_ns, after) == (1, 0, AT_NS, len(body))
    # And both loops leave it to the caller at the same place, whatever comes after it.
    number = ua.DataValue(ua.Variant(3.5, ua.VariantType.Double))
    compiled, plain = both([(0, sample), (1, number)], [Kind.TEXT, Kind.FLOAT])
    assert compiled == plain
    assert plain["slow"] == [(0, 8)]
    assert len(plain["cell"]) == 1


def test_an_array_of_numbers_is_read_without_a_copy() -> None:
    body = struct_to_binary(ua.DataValue(ua.Variant([1, -2, 3], ua.VariantType.Int16)))
    found = decode.numbers(body, 1)
    assert found is not None and found.tolist() == [1, -2, 3] and found.dtype == np.int16
    lying = body[:2] + struct.pack("<i", 1 << 20) + body[6:]
    with pytest.raises(decode.DecodeError):
        decode.numbers(lying, 1)
