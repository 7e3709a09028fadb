"""Siemens S7 (S7comm over ISO on TCP): what a map names in a controller's memory becomes points.

python-snap7 speaks the protocol; this plans the reads and decodes them as columns. The addresses
of a map are those of the engineering tool: `DB10.DBD4`, `M0.3`, `IW2`. Data blocks must have the
standard layout ("optimized block access" off) and the controller must allow PUT/GET.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import SplitResult

from mirrorworld.connectors.register_map import Dialect, Entry, MapPoint, Wrong
from mirrorworld.connectors.register_plan import Block, Limits
from mirrorworld.connectors.register_poll import (
    BAD_ACCESS,
    BAD_COMMUNICATION,
    BAD_CONFIGURATION,
    BAD_DEVICE_FAILURE,
    ReadFailed,
)
from mirrorworld.connectors.register_source import NotWritten, RegisterSource
from mirrorworld.connectors.register_values import BIT, S7_TEXT, TEXT, Field, encode, order
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import ConnectorAbout, OptionAbout, SourceError

TYPES: Final = {
    "BOOL": (BIT, 1), "BYTE": ("|u1", 1), "USINT": ("|u1", 1), "SINT": ("|i1", 1),
    "CHAR": (TEXT, 1), "WORD": ("<u2", 2), "UINT": ("<u2", 2), "INT": ("<i2", 2),
    "DWORD": ("<u4", 4), "UDINT": ("<u4", 4), "DINT": ("<i4", 4), "TIME": ("<i4", 4),
    "REAL": ("<f4", 4), "LWORD": ("<u8", 8), "ULINT": ("<u8", 8), "LINT": ("<i8", 8),
    "LREAL": ("<f8", 8), "STRING": (S7_TEXT, 256),
}  # fmt: skip
"""Type -> (how it is decoded, bytes)."""
_BY_LETTER: Final = {"X": ("BOOL", 1), "": ("BOOL", 1), "B": ("BYTE", 1), "W": ("WORD", 2),
                     "D": ("DWORD", 4)}  # fmt: skip
_AREAS: Final = {"M": 0x83, "I": 0x81, "E": 0x81, "Q": 0x82, "A": 0x82}
"""Flags, inputs and outputs, by their English and German letters."""
_AREA_NAMES: Final = {0x84: "DB", 0x83: "M", 0x81: "I", 0x82: "Q"}
DB: Final = 0x84

_ADDRESS: Final = re.compile(
    r"(?:DB(?P<db>\d{1,5})\.DB(?P<in_db>[XBWD])|(?P<area>[MIEQA])(?P<letter>[BWD]?))"
    r"(?P<byte>\d{1,5})(?:\.(?P<bit>[0-7]))?",
    re.IGNORECASE,
)

_RETURN_CODE: Final = re.compile(r"\(0x([0-9a-f]{2})\)")
_QUALITIES: Final = {
    0x01: BAD_DEVICE_FAILURE,
    0x03: BAD_ACCESS,
    0x05: BAD_CONFIGURATION,
    0x06: BAD_CONFIGURATION,
    0x0A: BAD_CONFIGURATION,
}
_CONNECTIONS: Final = {"pg": 1, "op": 2, "basic": 3}


@dataclass(frozen=True, slots=True)
class S7Options:
    """What can be set. Text of the guide: docs/guide/s7.md."""

    map: str = ""
    period_ms: int = 1000
    unchanged_s: float = 60.0
    timeout_s: float = 3.0
    max_gap: int = 64
    connection: str = "pg"
    max_points: int = 100_000

    def __post_init__(self) -> None:
        for name, low, high in (
            ("period_ms", 10, 86_400_000),
            ("unchanged_s", 0, 86_400),
            ("timeout_s", 0.05, 60),
            ("max_gap", 0, 900),
            ("max_points", 1, 1_000_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}={value} is not from {low} to {high}")
        if self.connection not in _CONNECTIONS:
            raise ValueError(f"connection='{self.connection}' is none of {', '.join(_CONNECTIONS)}")


def read_field(entry: Entry) -> Field:
    """Where a point lies, from `address`, `type` and `length`; Wrong names what is not right."""
    text = entry.text("address")
    match = _ADDRESS.fullmatch(text.strip())
    if match is None:
        raise Wrong(
            f"address: '{text[:40]}' is none; they read like DB10.DBX0.3, DB10.DBD4, M0.3, MW20,"
            " IB2 or QD8"
        )
    letter = (match["in_db"] or match["letter"] or "").upper()
    area = (DB, int(match["db"])) if match["db"] else (_AREAS[match["area"].upper()], 0)
    default, width = _BY_LETTER[letter]
    type_ = entry.choice("type", tuple(TYPES), default)
    dtype, size = TYPES[type_]
    bit = match["bit"]
    if (letter in ("", "X")) != (bit is not None):
        raise Wrong(
            f"address: '{text}' needs a bit, as M0.3 or DB1.DBX0.3"
            if bit is None
            else f"address: '{text}' is a {default} and has no bit; leave '.{bit}' out"
        )
    if letter in ("", "X") and type_ != "BOOL":
        if bit != "0" or size < 8:
            wanted = {1: "B", 2: "W", 4: "D"}.get(size, "B")
            raise Wrong(f"type: {type_} is not at a bit; write the address with {wanted}")
    elif type_ == "BOOL" and letter not in ("", "X"):
        raise Wrong(f"type: BOOL is one bit, and '{text}' names none; write DB1.DBX0.3 or M0.3")
    elif size <= 4 and size != width:
        raise Wrong(f"type: {type_} has {size} bytes, and '{text}' {width}")
    if entry.node("length") is not None and type_ != "STRING":
        raise Wrong("length is for type STRING, in characters; leave it out")
    start, encoding = int(match["byte"]), "latin-1"
    places: tuple[int, ...] = order(size, item_bytes=1, words_big=True, bytes_big=True)
    if type_ == "STRING":
        size, places = entry.integer("length", 1, 254, default=254) + 2, ()
    if start + size > 65536:
        raise Wrong(f"address: '{text}' ends beyond byte 65535")
    return Field(area, start, size, dtype, places, int(bit or 0), encoding=encoding)


DIALECT: Final = Dialect("s7", ("address", "length"), (), read_field)


class S7(RegisterSource):
    """Mirrors what a map names in an S7 controller."""

    schemes: ClassVar[tuple[str, ...]] = ("s7",)
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "Siemens S7",
        "s7://192.168.1.40/0/1",
        "The path is rack and slot.",
        (OptionAbout("map", "Address map", hint="Path of the YAML file that names addresses."),),
        takes_login=False,
    )
    dialect = DIALECT
    options_class = S7Options
    default_port = 102
    example_url = "s7://host/0/1"
    guide = "docs/guide/s7.md"

    def _check(self, options: S7Options, parts: SplitResult) -> Dialect:
        self._rack_and_slot(parts)
        return self.dialect

    def _rack_and_slot(self, parts: SplitResult) -> tuple[int, int]:
        levels = [level for level in parts.path.split("/") if level]
        numbers = [int(level) for level in levels if level.isdecimal() and len(level) < 4]
        if not levels:
            return 0, 1
        if len(levels) != 2 or len(numbers) != 2 or numbers[0] > 7 or numbers[1] > 31:
            raise SourceError(
                f"{self._config.name}: '{parts.path[:40]}' is not /RACK/SLOT; a 1200 or 1500 is at"
                " /0/1, a 300 at /0/2"
            )
        return numbers[0], numbers[1]

    async def _open(self, options: S7Options, parts: SplitResult) -> S7Line:
        line = S7Line(options)
        rack, slot = self._rack_and_slot(parts)
        await line.open(parts.hostname or "", parts.port or self.default_port, rack, slot)
        return line


class S7Line:
    """An open connection to a controller."""

    in_flight = 1

    def __init__(self, options: S7Options) -> None:
        self._options = options
        self._client: Any = None
        self._lock = asyncio.Lock()

    async def open(self, host: str, port: int, rack: int, slot: int) -> None:
        """Connects; OSError if nobody is there, or does not take the rack and slot."""
        try:
            from snap7 import AsyncClient
        except ImportError:
            raise SourceError("S7 needs python-snap7: pip install 'mirrorworld[s7]'") from None
        self._client = client = AsyncClient()
        client.connection_type = _CONNECTIONS[self._options.connection]
        try:
            async with asyncio.timeout(self._options.timeout_s):
                await client.connect(host, rack, slot, port)
        except TimeoutError:
            await self.close()
            raise TimeoutError(f"rack {rack}, slot {slot}") from None
        except Exception as error:
            raise _as_os_error(error) from error
        assert client.connection is not None
        client.connection.timeout = self._options.timeout_s
        _heed_cancel()

    async def close(self) -> None:
        """See Line."""
        if self._client is not None:
            writer = getattr(self._client.connection, "_writer", None)
            if writer is not None:
                writer.transport.abort()
            await self._client.disconnect()

    def limits(self, area: Hashable) -> Limits:
        """See Reader. A read's answer has 18 bytes of its own in the PDU."""
        return Limits(max(self._client.pdu_length - 18, 46), self._options.max_gap, 1)

    def unit(self, area: Hashable) -> Hashable:
        """See Reader."""
        return None

    def place(self, block: Block) -> str:
        """See Reader."""
        return _place(block.area, block.start, block.count)

    async def read(self, blocks: Sequence[Block]) -> list[bytes | ReadFailed]:
        """See Reader."""
        return [await self._read(block) for block in blocks]

    async def _read(self, block: Block) -> bytes | ReadFailed:
        from snap7 import Area
        from snap7.error import S7ProtocolError

        assert isinstance(block.area, tuple)
        area, db = block.area
        try:
            async with self._lock:
                data = await self._client.read_area(Area(area), db, block.start, block.count)
            _heed_cancel()
            return bytes(data)
        except S7ProtocolError as error:
            code = _RETURN_CODE.search(str(error))
            if code is None:
                return ReadFailed(str(error), BAD_COMMUNICATION, "s7_nonsense", nonsense=True)
            number = int(code[1], 16)
            text = str(error).removeprefix("Read operation failed: ")
            quality = _QUALITIES.get(number, BAD_COMMUNICATION)
            return ReadFailed(text, quality, f"s7_return_0x{number:02x}", splits=number == 5)
        except Exception as error:
            raise _as_os_error(error) from error

    async def write(self, point: MapPoint, value: Scalar) -> str:
        """See Line. A bit is written as a bit: its neighbours in the byte are left alone."""
        from snap7 import Area
        from snap7.datatypes import S7Area, S7WordLen
        from snap7.error import S7ProtocolError

        field, client = point.field, self._client
        assert isinstance(field.area, tuple)
        area, db = field.area
        if area == 0x81:
            raise ValueError("inputs can only be read")
        data = encode(field, point.point.kind, value)
        start = field.start
        if field.dtype == S7_TEXT:
            start, data = start + 1, data[1:]  # how long it may become, the controller knows
        try:
            async with self._lock:
                if field.dtype == BIT:
                    request = client.protocol.build_write_request(
                        S7Area(area), db, start * 8 + field.bit, S7WordLen.BIT, data
                    )
                    client.protocol.check_write_response(await client._send_receive(request))
                else:
                    await client.write_area(Area(area), db, start, bytearray(data))
            _heed_cancel()
        except S7ProtocolError as error:
            raise NotWritten(f"{_place(field.area, field.start, field.size)}: {error}") from error
        except Exception as error:
            raise _as_os_error(error) from error
        return f"written to {_place(field.area, field.start, field.size)}"

    async def identify(self) -> list[tuple[str, str]]:
        """See Line: what the CPU says of itself."""
        try:
            info = await self._client.get_cpu_info()
        except Exception:
            return []  # some controllers answer no system status lists
        found: list[tuple[str, str]] = []
        for name in ("ModuleTypeName", "SerialNumber", "ASName", "ModuleName"):
            raw = getattr(info, name, b"")
            text = raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)
            if text.strip("\0 "):
                found.append((name, text.strip("\0 ")))
        return found


def _heed_cancel() -> None:
    """Ends the task if it was told to: `asyncio.wait_for`, in which python-snap7 waits, forgets a
    cancellation that comes together with its result (until Python 3.12)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _place(area: Hashable, start: int, count: int) -> str:
    assert isinstance(area, tuple)
    code, db = area
    name = f"DB{db}" if code == DB else _AREA_NAMES[code]
    return f"{name} byte {start}{f' to {start + count - 1}' if count > 1 else ''}"


def _as_os_error(error: Exception) -> OSError:
    """python-snap7's errors and those of its parser, as what they mean for the line."""
    from snap7.error import S7Error, S7TimeoutError

    if isinstance(error, S7TimeoutError):
        return TimeoutError(str(error))
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError):
        return cause
    if isinstance(error, S7Error | OSError):
        return ConnectionError(str(error))
    return ConnectionError(f"what comes is no S7 ({type(error).__name__}: {error})")
