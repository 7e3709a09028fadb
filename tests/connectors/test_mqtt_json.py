"""What payloads become: nesting, times, units, changes of type, and what is not readable."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld.connectors import guesses
from mirrorworld.connectors.json_messages import SHAPES_OF_TOPIC, JsonTopics
from mirrorworld.connectors.topics import TopicTwins
from mirrorworld.testing.connectors import Sample, WatchingSink
from mirrorworld.world import quality
from mirrorworld.world.model import Kind

MS = 1_700_000_000_123
NS = MS * 1_000_000
NOW = 1_800_000_000_000_000_000


class Reader:
    """Topics read into a world."""

    def __init__(self, max_points: int = 1000, **options) -> None:
        self.sink = WatchingSink()
        self.twins = TopicTwins("s", max_points)
        self.topics = JsonTopics(self.twins, **options)

    async def __call__(self, *messages: tuple[str, object], retained=()) -> list[Sample]:
        """The samples of one batch of messages."""
        payloads = [p if isinstance(p, bytes) else json.dumps(p).encode() for _, p in messages]
        topics = [topic.encode() for topic, _ in messages]
        before = len(self.sink.samples())
        frame = await self.topics.frame(topics, payloads, set(retained), NOW, self.sink)
        if frame is not None:
            await self.sink.push(frame)
        return self.sink.samples()[before:]

    @property
    def counts(self) -> dict[str, int]:
        return self.sink.counts


def short(samples: list[Sample]) -> list[tuple[str, str, object]]:
    return sorted((s.twin, s.point, s.value) for s in samples)


async def test_object_is_a_twin_and_scalar_is_a_point_of_the_level_above() -> None:
    read = Reader()
    got = await read(
        ("site/line/filler", {"level": 1.5, "on": True, "order": "A"}),
        ("site/line/filler/speed", 20),
        ("site/line/filler/state", b"RUNNING"),
        ("lonely", 7),
    )
    assert short(got) == [
        ("s", "lonely", 7.0),
        ("s/site/line/filler", "level", 1.5),
        ("s/site/line/filler", "on", True),
        ("s/site/line/filler", "order", "A"),
        ("s/site/line/filler", "speed", 20.0),
        ("s/site/line/filler", "state", "RUNNING"),
    ]
    structure = read.sink.inner.world.structure
    parents = {r.source: r.target for r in structure.relations.values()}
    assert parents["s/site/line/filler"] == "s/site/line"
    assert parents["s/site"] == "s"
    assert structure.twins["s/site/line"].name.best() == "line"


async def test_nesting_of_any_depth() -> None:
    read = Reader()
    deep = {"a": {"b": {"c": 1, "d": [1, 2.5]}}, "e": [{"x": 1}, {"x": 2}], "f": ["p", 1], "g": []}
    for _ in range(2):  # looked at in full, then by the shape
        got = await read(("t", deep))
        assert [(p, v) for _, p, v in short(got)] == [
            ("a.b.c", 1.0),
            ("a.b.d", repr(np.array([1.0, 2.5]))),
            ("e.0.x", 1.0),
            ("e.1.x", 2.0),
            ("f", '["p",1]'),
        ]
    assert not read.counts


@pytest.mark.parametrize(
    ("name", "value", "expected_ns"),
    [
        ("ts", MS, NS),
        ("timestamp", MS / 1000, NS),
        ("time", 1_700_000_000, 1_700_000_000 * 10**9),
        ("epoch_us", None, None),
        ("t", MS * 1000 + 7, NS + 7000),
        ("time", NS + 9, NS + 9),
        ("Timestamp", "2023-11-14T22:13:20.123Z", NS),
        ("date_time", "2023-11-14T23:13:20.123456789+01:00", NS + 456789),
        ("sourceTimestamp", "2023-11-14 22:13:20.123", NS),
        ("time", 12.5, None),
        ("time", "soon", None),
    ],
)
async def test_times(name: str, value: object, expected_ns: int | None) -> None:
    read = Reader()
    for _ in range(2):
        got = await read(("t", {name: value, "x": 1.5}))
        (x,) = [s for s in got if s.point == "x"]
        if expected_ns is None:
            assert abs(x.source_ns - NOW) < 10_000
        else:
            assert x.source_ns == expected_ns
            assert len(got) == 1, "the time itself is no point"


async def test_each_part_may_have_its_own_time() -> None:
    read = Reader()
    got = await read(("t", {"a": {"value": 1, "ts": MS}, "b": {"value": 2, "ts": MS + 1}, "c": 3}))
    times = {s.point: s.source_ns for s in got}
    assert (times["a.value"], times["b.value"]) == (NS, NS + 1_000_000)
    assert abs(times["c"] - NOW) < 10_000


async def test_list_of_timed_objects_is_as_many_messages() -> None:
    read = Reader()
    got = await read(("t", [{"ts": MS + i, "x": i} for i in range(3)]))
    assert [(s.point, s.value, s.source_ns) for s in got] == [
        ("x", float(i), NS + i * 1_000_000) for i in range(3)
    ]


async def test_equal_messages_without_time_stay_two() -> None:
    read = Reader()
    got = await read(("t/x", 1), ("t/x", 1))
    again = await read(("t/x", 1))
    assert len({s.source_ns for s in got + again}) == 3
    assert read.sink.inner.tally.duplicate == 0


async def test_units_beside_and_in_names() -> None:
    read = Reader()
    await read(
        ("a", {"value": 1, "unit": "°C"}),
        ("b", {"power_kW": 1, "Temp [°C]": 2, "x_c": 3}),
        ("c", {"value": 1, "unit": "furlongs?"}),
    )
    assert read.twins.point("s/a", "value").unit == "Cel"
    assert read.twins.point("s/b", "power_kW").unit == "kW"
    assert read.twins.point("s/b", "Temp [°C]").unit == "Cel"
    assert read.twins.point("s/b", "x_c").unit == ""
    assert read.counts == {"unit_unknown": 1}


async def test_unit_that_changes_is_converted_or_left_out() -> None:
    read = Reader()
    got = await read(
        ("a", {"value": 1.5, "unit": "bar"}),
        ("a", {"value": 1500, "unit": "mbar"}),
        ("a", {"value": 7, "unit": "kg"}),
        ("a", {"value": 2.5, "unit": "bar"}),
    )
    assert [s.value for s in got] == [1.5, 1.5, 2.5]
    assert [e.kind for e in read.sink.events] == ["unit_does_not_fit"]
    assert read.counts["samples_left_out"] == 1


async def test_type_never_changes_silently() -> None:
    read = Reader()
    got = await read(
        ("t", {"x": 1.5, "y": 1}),
        ("t", {"x": "broken", "y": 2}),
        ("t", {"x": True, "y": 3}),
        ("t", {"x": 2.5, "y": 4}),
    )
    assert [s.value for s in got if s.point == "x"] == [1.5, 2.5]
    assert [s.value for s in got if s.point == "y"] == [1.0, 2.0, 3.0, 4.0]
    assert [e.kind for e in read.sink.events] == ["type_changed"]
    assert read.counts["samples_left_out"] == 2
    assert read.twins.point("s/t", "x").kind is Kind.FLOAT


async def test_null_is_bad_and_nan_tokens_are_null() -> None:
    read = Reader()
    await read(("t", {"x": 1.5, "on": True}))
    got = await read(("t", {"x": None, "on": None}), ("t", b'{"x": NaN, "on": true}'))
    assert [(s.point, s.quality) for s in got if s.point == "x"] == [
        ("x", quality.BAD_NO_DATA),
        ("x", quality.BAD_NO_DATA),
    ]
    assert [s.quality for s in got if s.point == "on"] == [quality.BAD_NO_DATA, 0]
    assert read.counts == {"mqtt_json_with_nan": 1}
    assert (await read(("u", {"never": None}))) == []


async def test_plain_payloads() -> None:
    read = Reader()
    got = await read(
        ("a/n", b"20.5"),
        ("a/m", b" -3 "),
        ("a/b", b"true"),
        ("a/t", b"ON"),
        ("a/nan", b"nan"),
        ("a/long", "Größe\nzwei".encode()),
    )
    assert {s.point: s.value for s in got if s.point != "nan"} == {
        "n": 20.5,
        "m": -3.0,
        "b": True,
        "t": "ON",
        "long": "Größe\nzwei",
    }
    assert [s.quality for s in got if s.point == "nan"] == [quality.BAD_NO_DATA]
    assert read.counts == {}


async def test_unreadable_payloads_are_counted_by_cause() -> None:
    read = Reader()
    deep = b"[" * 100 + b"]" * 100
    got = await read(
        ("t", b'{"x": 1'),
        ("t", b"\xff\xfe\x00"),
        ("t", b"\x01\x02"),
        ("t", b""),
        ("t", b'{"a":' * 40 + b"1" + b"}" * 40),
        ("t", b"x" * 100_000),
        ("t/d", deep),
    )
    assert [s.point for s in got] == ["d"], "a list in a list is kept as text"
    assert read.counts == {
        "mqtt_broken_json": 1,
        "mqtt_binary_payload": 2,
        "mqtt_empty_payload": 1,
        "mqtt_too_complex": 2,
    }


async def test_text_topic_that_sends_an_object_once() -> None:
    read = Reader()
    got = await read(("t/s", b"OK"), ("t/s", {"x": 1}), ("t/s", b"BAD"))
    assert short(got) == [("s/t", "s", "BAD"), ("s/t", "s", "OK"), ("s/t/s", "x", 1.0)]


async def test_many_names_are_bounded() -> None:
    read = Reader(max_points=10)
    got = await read(*((f"t/p{i}", i) for i in range(50)))
    assert len(got) == 10
    assert read.counts["over_max_points"] == 40
    assert [e.kind for e in read.sink.events] == ["too_many_points"]
    assert len(await read(*((f"t/p{i}", i) for i in range(50)))) == 10


async def test_optional_fields_of_many_combinations() -> None:
    read = Reader()
    n = SHAPES_OF_TOPIC + 40
    sent = 0
    for i in range(n):
        fields = {f"f{bit}": float(bit) for bit in range(8) if i >> bit & 1}
        sent += len(fields)
        await read(("t", {"base": 1.0, **fields}))
    assert len(read.sink.samples()) == sent + n
    assert read.counts["mqtt_shape_not_kept"] > 0


async def test_integers() -> None:
    read = Reader()
    got = await read(("t", {"big": 2**60 + 1, "small": 5}), ("t", {"big": 3, "small": 5.5}))
    assert read.twins.point("s/t", "big").kind is Kind.INT
    assert [s.value for s in got if s.point == "big"] == [2**60 + 1, 3]
    assert [s.value for s in got if s.point == "small"] == [5.0, 5.5]
    read = Reader(keeps_integers=True)
    got = await read(("t", {"n": 5}), ("t", {"n": 5.5}))
    assert [s.value for s in got] == [5], "5.5 is not cut to 5"


async def test_retained_value_without_time_is_uncertain() -> None:
    read = Reader()
    got = await read(("a/x", 1), ("b", {"ts": MS, "x": 2}), retained={0, 1})
    assert {s.twin: s.quality for s in got} == {
        "s/a": quality.UNCERTAIN_LAST_USABLE,
        "s/b": 0,
    }


async def test_names_that_an_iri_cannot_have() -> None:
    read = Reader()
    got = await read(("ha ll/50%/a#b", {"x": 1}), ("//x", 2), ("Größe/温度", 3))
    assert {s.twin for s in got} == {"s/ha%20ll/50%25/a%23b", "s//", "s/Größe"}
    assert read.sink.inner.world.structure.twins["s/ha%20ll"].name.best() == "ha ll"


async def test_same_point_from_two_shapes_of_one_batch() -> None:
    """Fields come and go; the point's latest value is that of the last message."""
    read = Reader()
    got = await read(
        ("t", {"ts": MS, "x": 1}),
        ("t", {"ts": MS + 1, "x": 2, "y": 1}),
        ("t", {"ts": MS + 2, "x": 3}),
    )
    assert len(got) == 4
    (handle,) = read.sink.inner.world.handles([("s/t", "x")])
    assert read.sink.inner.world.value(int(handle)) == 3.0


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(json_values, min_size=1, max_size=6))
def test_whatever_json_is_read_the_same_in_full_and_by_shape(payloads) -> None:
    """Sent twice, everything arrives twice, the second time by compiled shapes."""
    import asyncio

    async def go() -> None:
        read = Reader()
        batch = [("t", payload) for payload in payloads]
        first = await read(*batch)
        second = await read(*batch)
        mark = lambda samples: sorted(  # noqa: E731
            (s.twin, s.point, repr(s.value), s.quality) for s in samples
        )
        assert len(second) >= len(first)
        if len(payloads) == 1:
            assert mark(first) == mark(second)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2020-02-29 12:00", 1582977600 * 10**9),
        ("2020-02-30 12:00:00", None),
        ("2020-01-01T00:00:00.1234567891Z", 1577836800123456789),
        ("20:00", None),
        ("2020-01-01", None),
    ],
)
def test_iso_times(text: str, expected: int | None) -> None:
    assert guesses.iso_ns(text) == expected


def test_a_message_costs_microseconds() -> None:
    """Not a benchmark: a guard against the fast path not being taken at all."""
    import asyncio

    async def go() -> float:
        read = Reader()
        raw = [b'{"ts":%d,"a":%d.5,"b":2,"on":true}' % (MS + i, i) for i in range(20_000)]
        topics = [b"t/%d" % (i % 50) for i in range(20_000)]
        await read.topics.frame(topics[:50], raw[:50], set(), NOW, read.sink)
        start = time.process_time()
        frame = await read.topics.frame(topics, raw, set(), NOW, read.sink)
        assert frame is not None and len(frame) == 60_000
        return (time.process_time() - start) / 20_000

    assert asyncio.run(go()) < 100e-6
