"""The MQTT parser: any split of the bytes, any bytes at all, and what must not be held."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld.connectors.mqtt_packets import (
    QOS2_BIT,
    V5,
    V311,
    ConnectOptions,
    MalformedPacket,
    acknowledgements,
    connect_packet,
    publish_packet,
    read_properties,
    read_varint,
    varint,
)
from mirrorworld.connectors.mqtt_wire import Connection, Publishes


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def close(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def connection(version: int = V5, **options) -> tuple[Connection, Wire, list[Publishes]]:
    got: list[Publishes] = []
    made = Connection(ConnectOptions("x", version=version, **options), got.append, set())
    wire = Wire()
    made.connection_made(wire)
    wire.written.clear()
    return made, wire, got


def flat(got: list[Publishes]) -> list[tuple[bytes, bytes, int]]:
    return [row for p in got for row in zip(p.topics, p.payloads, p.ids, strict=True)]


published = st.lists(
    st.tuples(
        st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=20),
        st.binary(max_size=300),
        st.integers(0, 2),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(
    published, st.lists(st.integers(1, 50), min_size=1, max_size=30), st.sampled_from([V5, V311])
)
def test_any_split_gives_the_same_messages(messages, cuts, version) -> None:
    async def go() -> None:
        made, _, got = connection(version)
        raw = b"".join(
            publish_packet(topic, payload, version=version, qos=qos, packet_id=i + 1)
            for i, (topic, payload, qos) in enumerate(messages)
        )
        at = 0
        while at < len(raw):
            for cut in cuts:
                made.data_received(raw[at : at + cut])
                at += cut
        expected = [
            (topic.encode(), payload, (i + 1 | (QOS2_BIT if qos == 2 else 0)) if qos else 0)
            for i, (topic, payload, qos) in enumerate(messages)
        ]
        assert flat(got) == expected

    asyncio.run(go())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_end_the_connection(raw: bytes) -> None:
    async def go() -> None:
        made, wire, _ = connection(maximum_packet_bytes=1 << 20)
        made.data_received(raw)
        assert wire.is_aborted == (made.closed.done() and "not MQTT" in made.closed.result()) or (
            "ended" in made.closed.result()
        )

    asyncio.run(go())


@given(st.integers(0, (1 << 28) - 1))
def test_lengths(value: int) -> None:
    assert read_varint(varint(value), 0) == (value, len(varint(value)))


def test_what_cannot_be_written_or_read() -> None:
    with pytest.raises(ValueError):
        varint(1 << 28)
    with pytest.raises(MalformedPacket):
        read_varint(b"\xff\xff\xff\xff\x01", 0)
    with pytest.raises(MalformedPacket):
        read_properties(b"\x02\x7f\x00", 0)
    with pytest.raises(ValueError):
        publish_packet("x" * 70_000, b"", version=V311)


def test_acknowledgements_by_qos() -> None:
    assert acknowledgements([0, 1, 0x1234, 7 | QOS2_BIT]) == bytes.fromhex(
        "40020001400212345002 0007"
    )
    assert acknowledgements([0]) == b""


async def test_qos2_message_comes_once_and_is_released() -> None:
    made, wire, got = connection()
    packet = publish_packet("a", b"1", version=V5, qos=2, packet_id=9)
    made.data_received(packet + packet)
    assert flat(got) == [(b"a", b"1", 9 | QOS2_BIT)]
    assert not wire.written, "acknowledged before anyone said that it is kept"
    made.acknowledge([9 | QOS2_BIT])
    assert bytes(wire.written) == bytes.fromhex("50020009")
    wire.written.clear()
    made.data_received(bytes.fromhex("62020009"))
    assert bytes(wire.written) == bytes.fromhex("70020009")
    made.data_received(packet)
    assert len(flat(got)) == 2, "after its release the id is free for another message"


async def test_message_too_large_to_hold_passes_by() -> None:
    made, wire, got = connection(V311, maximum_packet_bytes=1000)
    large = publish_packet("big", b"x" * 5000, version=V311, qos=1, packet_id=3)
    small = publish_packet("small", b"y", version=V311, qos=1, packet_id=4)
    raw = large + small
    for at in range(0, len(raw), 700):
        made.data_received(raw[at : at + 700])
    assert flat(got) == [(b"small", b"y", 4)]
    assert made.skipped_too_large == 1
    assert bytes(wire.written) == bytes.fromhex("40020003")


def test_connect_has_no_will_and_hides_nothing_else() -> None:
    options = ConnectOptions("id", username="u", password="hunter2")
    packet = connect_packet(options)
    flags = packet[9]
    assert not flags & 0x04, "a will would make the broker publish for us"
    assert flags & 0xC0 == 0xC0
    assert "hunter2" not in repr(options)


async def test_connack_codes_of_both_versions() -> None:
    made, _, _ = connection(V311)
    made.data_received(bytes.fromhex("20020004"))
    assert (await made.accepted).code == 0x86
    made, _, _ = connection(V5)
    made.data_received(bytes.fromhex("20020001"))
    assert (await made.accepted).code == 0x84, "a broker of 3.1.1 refuses version 5 in its own way"


async def test_properties_of_a_publish_are_passed_over() -> None:
    made, _, got = connection(V5)
    properties = b"\x26" + struct.pack(">H", 1) + b"k" + struct.pack(">H", 1) + b"v" + b"\x01\x01"
    body = b"\x00\x01a" + varint(len(properties)) + properties + b"payload"
    made.data_received(bytes((0x30,)) + varint(len(body)) + body)
    assert flat(got) == [(b"a", b"payload", 0)]
