"""Modbus TCP, and RTU frames over TCP: the registers that a map names become points.

The map is that of `register_map.py`; this adds unit ids, tables, register addresses, types and
the orders of words and bytes. Nothing is asked for that the map does not name.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final
from urllib.parse import SplitResult

from mirrorworld.connectors import modbus_wire as wire
from mirrorworld.connectors.register_map import Dialect, Entry, MapPoint, Wrong
from mirrorworld.connectors.register_plan import Block, Limits
from mirrorworld.connectors.register_poll import (
    BAD_BUSY,
    BAD_COMMUNICATION,
    BAD_CONFIGURATION,
    BAD_DEVICE_FAILURE,
    BAD_NOT_CONNECTED,
    BAD_TIMEOUT,
    ReadFailed,
)
from mirrorworld.connectors.register_source import NotWritten, RegisterSource
from mirrorworld.connectors.register_values import BIT, TEXT, Field, encode, order
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import ConnectorAbout, OptionAbout, SourceError

REGISTERS_MAX: Final = 125
BITS_MAX: Final = 2000
"""What one request may read (MODBUS Application Protocol V1.1b3, §6.1 and §6.3)."""
WRITE_REGISTERS_MAX: Final = 123

TABLES: Final = {
    "coil": wire.READ_COILS,
    "discrete": wire.READ_DISCRETE,
    "holding": wire.READ_HOLDING,
    "input": wire.READ_INPUT,
}
_NUMBERED: Final = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
"""The first digit of a register's number in the old way of counting."""

TYPES: Final = {
    "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4", "u64": "<u8", "i64": "<i8",
    "f32": "<f4", "f64": "<f8", "bool": BIT, "text": TEXT,
}  # fmt: skip
_QUALITIES: Final = {
    1: BAD_CONFIGURATION,
    2: BAD_CONFIGURATION,
    3: BAD_CONFIGURATION,
    4: BAD_DEVICE_FAILURE,
    5: BAD_BUSY,
    6: BAD_BUSY,
    8: BAD_DEVICE_FAILURE,
    10: BAD_NOT_CONNECTED,
    11: BAD_NOT_CONNECTED,
}


@dataclass(frozen=True, slots=True)
class ModbusOptions:
    """What can be set. Text of the guide: docs/guide/modbus.md."""

    map: str = ""
    period_ms: int = 1000
    unchanged_s: float = 60.0
    timeout_s: float = 2.0
    max_gap: int = 16
    max_registers: int = REGISTERS_MAX
    max_bits: int = BITS_MAX
    in_flight: int = 1
    max_points: int = 100_000

    def __post_init__(self) -> None:
        for name, low, high in (
            ("period_ms", 10, 86_400_000),
            ("unchanged_s", 0, 86_400),
            ("timeout_s", 0.05, 60),
            ("max_gap", 0, REGISTERS_MAX),
            ("max_registers", 1, REGISTERS_MAX),
            ("max_bits", 1, BITS_MAX),
            ("in_flight", 1, 16),
            ("max_points", 1, 1_000_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}={value} is not from {low} to {high}")


def read_field(entry: Entry) -> Field:
    """Where a point lies, from the fields of its entry in a map; Wrong names what is not right."""
    unit = entry.integer("unit_id", 0, 255, default=1)
    table, address = _place(entry)
    address += entry.integer("base", 0, 65535, default=0)
    if table in ("coil", "discrete"):
        own = entry.own("type")
        if own is not None and own.text != "bool":
            raise Wrong(f"type: a {table} is a bool; leave type out")
        if entry.own("bit") is not None:
            raise Wrong(f"bit: a {table} is one bit already; leave it out")
        if address > 65535:
            raise Wrong(f"address: {address} with base is not from 0 to 65535")
        return Field((unit, table), address, 1, BIT)
    type_ = entry.choice("type", tuple(TYPES), "u16")
    words_big = entry.choice("word_order", ("big", "little"), "big") == "big"
    bytes_big = entry.choice("byte_order", ("big", "little"), "big") == "big"
    dtype = TYPES[type_]
    if entry.node("length") is not None and type_ != "text":
        raise Wrong("length is for type text, in registers; leave it out")
    if entry.node("bit") is not None and type_ != "bool":
        raise Wrong("bit is for type bool; leave it out, or write type: bool")
    encoding, bit = "latin-1", 0
    if type_ == "bool":
        number = entry.integer("bit", 0, 15)
        size, bit = 1, number % 8
        places = ((1 if number < 8 else 0) if bytes_big else number // 8,)
    elif type_ == "text":
        size = entry.integer("length", 1, REGISTERS_MAX)
        encoding = entry.choice("encoding", ("ascii", "latin-1", "utf-8"), "latin-1")
        swap = (0, 1) if bytes_big else (1, 0)
        places = tuple(register * 2 + byte for register in range(size) for byte in swap)
    else:
        n_bytes = int(dtype[-1])
        size = n_bytes // 2
        places = order(n_bytes, item_bytes=2, words_big=words_big, bytes_big=bytes_big)
    if address + size > 65536:
        raise Wrong(f"address: {address} and its {size} registers end beyond 65535")
    return Field((unit, table), address, size, dtype, places, bit, encoding=encoding)


def _place(entry: Entry) -> tuple[str, int]:
    """(table, address from 0) of `table` and `address`, or of `register: 40108`."""
    if entry.node("register") is None:
        table = entry.choice("table", tuple(TABLES), "holding")
        return table, entry.integer("address", 0, 65535)
    if entry.node("address") is not None:
        raise Wrong("register: says the same as address; leave one of them out")
    text = entry.text("register")
    if len(text) not in (5, 6) or not text.isdecimal() or text[0] not in _NUMBERED:
        raise Wrong(
            f"register: '{text[:40]}' is no register number of five or six digits, as 40108 for"
            " holding register 107; else write table and address"
        )
    number = int(text[1:])
    if not 1 <= number <= 65536:
        raise Wrong(f"register: {text} is not from {text[0]}0001 on; these numbers begin at 1")
    return _NUMBERED[text[0]], number - 1


DIALECT: Final = Dialect(
    "modbus",
    (
        "unit_id", "table", "address", "register", "bit", "length", "encoding", "word_order",
        "byte_order",
    ),
    ("base",),
    read_field,
)  # fmt: skip


class Modbus(RegisterSource):
    """Mirrors what a map names in Modbus devices."""

    schemes: ClassVar[tuple[str, ...]] = ("modbus", "modbus+rtu")
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "Modbus",
        "modbus://192.168.1.30:502/1",
        "Over TCP; modbus+rtu:// for RTU frames over TCP. The path is the unit.",
        (OptionAbout("map", "Register map", hint="Path of the YAML file that names registers."),),
        takes_login=False,
    )
    dialect = DIALECT
    options_class = ModbusOptions
    default_port = 502
    example_url = "modbus://host:502"
    guide = "docs/guide/modbus.md"

    def _check(self, options: ModbusOptions, parts: SplitResult) -> Dialect:
        """The unit id of the URL's path stands behind those of the map."""
        unit = _unit_of(parts.path, self._config.name)
        if unit is None:
            return self.dialect

        def field(entry: Entry) -> Field:
            if entry.node("unit_id") is not None:
                return read_field(entry)
            found = read_field(entry)
            _, table = found.area  # pyright: ignore[reportGeneralTypeIssues]
            return dataclasses.replace(found, area=(unit, table))

        return dataclasses.replace(self.dialect, field=field)

    async def _open(self, options: ModbusOptions, parts: SplitResult) -> ModbusLine:
        line = ModbusLine(
            parts.hostname or "",
            parts.port or self.default_port,
            options,
            is_rtu=parts.scheme == "modbus+rtu",
            unit=_unit_of(parts.path, self._config.name) or 1,
        )
        await line.open()
        return line


def _unit_of(path: str, source: str) -> int | None:
    text = path.strip("/")
    if not text:
        return None
    if not text.isdecimal() or int(text) > 255:
        raise SourceError(
            f"{source}: '/{text[:40]}' is no unit id from 0 to 255; an address reads like"
            " modbus://host:502/1, or without a unit id"
        )
    return int(text)


class ModbusLine:
    """A line to a device or a gateway."""

    def __init__(
        self, host: str, port: int, options: ModbusOptions, *, is_rtu: bool, unit: int
    ) -> None:
        self.in_flight = 1 if is_rtu else options.in_flight
        self._host, self._port, self._options = host, port, options
        self._is_rtu, self._unit = is_rtu, unit
        self._wire: wire.Wire | None = None

    async def open(self) -> None:
        """Connects; OSError if nobody is there."""
        self._wire = await wire.connect(
            self._host, self._port, is_rtu=self._is_rtu, timeout_s=self._options.timeout_s
        )

    async def close(self) -> None:
        """See Line."""
        if self._wire is not None:
            self._wire.close()

    def limits(self, area: Hashable) -> Limits:
        """See Reader."""
        assert isinstance(area, tuple)
        if area[1] in ("coil", "discrete"):
            return Limits(self._options.max_bits, self._options.max_gap * 16, 1 / 8)
        return Limits(self._options.max_registers, self._options.max_gap, 2)

    def unit(self, area: Hashable) -> Hashable:
        """See Reader."""
        assert isinstance(area, tuple)
        return area[0]

    def place(self, block: Block) -> str:
        """See Reader."""
        assert isinstance(block.area, tuple)
        unit, table = block.area
        last = block.start + block.count - 1
        return f"unit {unit} {table} {block.start}{f' to {last}' if last > block.start else ''}"

    async def _ask(self, requests: Sequence[tuple[int, bytes]]) -> list[bytes | wire.WireError]:
        assert self._wire is not None
        try:
            answers = await self._wire.ask(requests)
        except asyncio.CancelledError:
            if self._is_rtu:
                self._wire.close("a request was given up")  # as below
            raise
        if self._is_rtu and any(isinstance(a, wire.NoAnswer | wire.Nonsense) for a in answers):
            # RTU frames carry no number: what comes late would be taken for the next answer.
            self._wire.close("no answer")
            await self.open()
        return answers

    async def read(self, blocks: Sequence[Block]) -> list[bytes | ReadFailed]:
        """See Reader."""
        requests: list[tuple[int, bytes]] = []
        for block in blocks:
            assert isinstance(block.area, tuple)
            unit, table = block.area
            requests.append((unit, _request(TABLES[table], block.start, block.count)))
        answers = await self._ask(requests)
        return [_data(b, a) for b, a in zip(blocks, answers, strict=True)]

    async def write(self, point: MapPoint, value: Scalar) -> str:
        """See Line. One coil or register by functions 5 and 6, several registers by 16, a bit of a
        register by 22, so that its neighbours are left alone."""
        field = point.field
        assert isinstance(field.area, tuple)
        unit, table = field.area
        if table not in ("coil", "holding"):
            raise ValueError(f"the table {table} can only be read")
        data = encode(field, point.point.kind, value)
        if table == "coil":
            pdu = _request(wire.WRITE_COIL, field.start, 0xFF00 if data[0] else 0)
        elif field.dtype == BIT:
            mask = 1 << (field.bit + (0 if field.order[0] == 1 else 8))
            pdu = _request(wire.MASK_WRITE, field.start, 0xFFFF & ~mask)
            pdu += (mask if data[0] else 0).to_bytes(2, "big")
        elif field.size == 1:
            pdu = _request(wire.WRITE_REGISTER, field.start, int.from_bytes(data, "big"))
        elif field.size <= WRITE_REGISTERS_MAX:
            pdu = _request(wire.WRITE_REGISTERS, field.start, field.size)
            pdu += bytes([len(data)]) + data
        else:
            raise ValueError(f"{field.size} registers are more than one request can write")
        (answer,) = await self._ask([(unit, pdu)])
        where = f"unit {unit} {table} {field.start}"
        if isinstance(answer, wire.WireError):
            raise NotWritten(f"{where}: {answer}")
        if answer[1:5] != pdu[1:5]:
            raise NotWritten(f"{where}: the device confirmed another write than was asked for")
        return f"written to {where}"

    async def identify(self) -> list[tuple[str, str]]:
        """See Line. Basic device identification (§6.21), which many devices do not know."""
        pdu = bytes([wire.DEVICE_IDENTIFICATION, 14, 1, 0])
        if self._is_rtu:
            return []  # its answer has no length that a gateway could be framed by
        (answer,) = await self._ask([(self._unit, pdu)])
        if isinstance(answer, wire.WireError) or len(answer) < 7:
            return []
        names, found, at = ("vendor", "product", "revision"), list[tuple[str, str]](), 7
        for _ in range(min(answer[6], 16)):
            if at + 2 > len(answer) or at + 2 + answer[at + 1] > len(answer):
                break
            number, length = answer[at], answer[at + 1]
            text = answer[at + 2 : at + 2 + length].decode("latin-1")
            if number < len(names):
                found.append((names[number], text))
            at += 2 + length
        return found


def _request(function: int, first: int, second: int) -> bytes:
    return bytes([function]) + first.to_bytes(2, "big") + second.to_bytes(2, "big")


def _data(block: Block, answer: bytes | wire.WireError) -> bytes | ReadFailed:
    """The data of an answer to a read, or why there is none."""
    if isinstance(answer, wire.ExceptionReply):
        name = wire.EXCEPTIONS.get(answer.code, f"code {answer.code}").replace(" ", "_")
        return ReadFailed(
            str(answer),
            _QUALITIES.get(answer.code, BAD_COMMUNICATION),
            f"modbus_{name}",
            # Some devices say "illegal value" where the count reaches past their last register.
            splits=answer.code in (2, 3),
        )
    if isinstance(answer, wire.NoAnswer):
        return ReadFailed(str(answer), BAD_TIMEOUT, "modbus_no_answer", silent=True)
    if isinstance(answer, wire.WireError):
        return ReadFailed(str(answer), BAD_COMMUNICATION, "modbus_nonsense", nonsense=True)
    assert isinstance(block.area, tuple)
    is_bits = block.area[1] in ("coil", "discrete")
    wanted = (block.count + 7) // 8 if is_bits else block.count * 2
    if len(answer) != wanted + 2 or answer[1] != wanted:
        got = len(answer) - 2
        return ReadFailed(
            f"{got} bytes of data, {wanted} were asked for",
            BAD_COMMUNICATION,
            "modbus_nonsense",
            nonsense=True,
        )
    return answer[2:]
