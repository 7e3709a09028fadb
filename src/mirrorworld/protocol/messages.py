"""The messages of the stream, `/api/stream`.

Text frames are JSON with the message's name under `"@"`; binary frames are columns of values
(`binary.py`). A session: the page says Hello, gets Welcome, the structure in parts (unless its
resume was accepted), Events, Commands, Sources, then one snapshot of values and from there
deltas. Everything later is told by the same messages: a structure message without `reset` only
adds and replaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import msgspec

from mirrorworld.protocol.rest import (
    AnyValue,
    Arm,
    Command,
    Event,
    PointType,
    PointValue,
    Relation,
    Sheet,
    Source,
    Twin,
    TwinType,
    Who,
)

PROTOCOL_VERSION: Final = 1
STREAM_PATH: Final = "/api/stream"
RATE_HZ_DEFAULT: Final = 20.0
RATE_HZ_MAX: Final = 60.0

# --- from page to server --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a session."""

    resume: str | None = None
    """Position (`epoch:sequence`) up to which the page has everything; null: it has nothing."""
    rate_hz: float = RATE_HZ_DEFAULT
    """How often it wants deltas at most; above 60 is 60."""
    watch: list[int] | None = None
    """Handles of the points that it wants values of; null: all."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Wants the values of other points from now on. The server answers with a snapshot of them."""

    points: list[int] | None
    """Handles; null: all."""


@dataclass(frozen=True, slots=True)
class Seek:
    """Wants to see the past (`source_ms`, `speed`) or the present again (null)."""

    source_ms: float | None
    """Source time in Unix milliseconds; null: live."""
    speed: float = 0.0
    """0: stand still; 1: as fast as it was; at most 3600."""


@dataclass(frozen=True, slots=True)
class AskExact:
    """Wants the exact values of a few points (at most 1000), with origin and quality."""

    id: int
    """Comes back in the answer."""
    points: list[int]


@dataclass(frozen=True, slots=True)
class Ping:
    """Is the server there? It answers Pong with the same id."""

    id: int


ClientMessage = Hello | Watch | Seek | AskExact | Ping

# --- from server to page --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Welcome:
    """The session is open."""

    protocol: int
    world: str
    position: str
    now_ms: float
    """The server's clock, to tell the age of values by."""
    principal: Who
    rate_hz: float
    is_resumed: bool
    """True: only what changed since `resume` follows. False: drop what you have."""
    first_ms: float
    """Source time from which Seek makes sense; 0: nothing recorded yet."""
    features: list[str]


@dataclass(frozen=True, slots=True)
class PointTable:
    """Points in columns of equal length; `type` is an index into the message's `point_types`."""

    handle: list[int] = field(default_factory=list)
    twin: list[int] = field(default_factory=list)
    """Ordinal of the twin."""
    type: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TwinAt:
    """A twin and its ordinal, a small integer that stays its own.

    `twin` null: it has ended, and its relations and arms with it."""

    ordinal: int
    twin: Twin | None


@dataclass(frozen=True, slots=True)
class RelationKey:
    """What identifies a relation."""

    kind: str
    source: str
    target: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class ArmKey:
    """What identifies an arm."""

    twin: str
    name: str


@dataclass(frozen=True, slots=True)
class SheetKey:
    """What identifies a sheet."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Structure:
    """Types, twins, relations, points and arms, whole (in parts, `reset` in the first) or what
    changed. Applied in order: what is dropped first, then what is put."""

    position: str
    reset: bool = False
    """Forget all structure and values before this."""
    part: int = 0
    parts: int = 1
    """The page is complete when `part` is `parts - 1`."""
    types: list[TwinType] = field(default_factory=list)
    twins: list[TwinAt] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    relations_dropped: list[RelationKey] = field(default_factory=list)
    point_types: list[PointType] = field(default_factory=list)
    points: PointTable = field(default_factory=PointTable)
    arms: list[Arm] = field(default_factory=list)
    arms_dropped: list[ArmKey] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    sheets_dropped: list[SheetKey] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Events:
    """Conditions that are new or changed; the latest under an id replaces what was before."""

    events: list[Event]
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands that are new or have moved on; the latest under an id replaces the earlier."""

    commands: list[Command]
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources as they stand; sent when something in it changed, at most once a second."""

    sources: list[Source]
    position: str
    durable: str
    viewers: int
    people: int
    """Who is in a meeting now."""
    rows: int
    """Samples accepted since the world was opened; two of these tell samples per second."""
    written: int = 0
    """Twins about which somebody wrote notes or tasks."""
    arranging: int = 0
    """Pages on which somebody arranges the plant now."""


@dataclass(frozen=True, slots=True)
class TextAt:
    """The value of a text, array or blob point. `is_left_out`: too long to send unasked."""

    handle: int
    value: AnyValue
    is_left_out: bool = False


@dataclass(frozen=True, slots=True)
class Texts:
    """Values that are no numbers. Comes right before the binary frame of the same sequence, which
    has their status and age and ends the moment."""

    sequence: int
    values: list[TextAt]


@dataclass(frozen=True, slots=True)
class Exact:
    """The answer to AskExact."""

    id: int
    values: list[PointValue]


@dataclass(frozen=True, slots=True)
class Sought:
    """What this viewer looks at now. Frames of kind as-of follow, or a snapshot of the present."""

    source_ms: float | None
    """null: live again."""
    speed: float


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to Ping."""

    id: int
    now_ms: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message of the page's could not be followed. The session goes on."""

    detail: str
    place: str = ""
    mend: str = ""


ServerMessage = (
    Welcome | Structure | Events | Commands | Sources | Texts | Exact | Sought | Pong | Refusal
)


def by_name(union: Any) -> dict[str, type]:
    """The classes of a union of messages, by the name that stands under "@"."""
    return {cls.__name__: cls for cls in get_args(union)}


_CLIENT: Final = by_name(ClientMessage)
_SERVER: Final = by_name(ServerMessage)
_encoder: Final = msgspec.json.Encoder()


def encode(message: Any) -> bytes:
    """A message as JSON (UTF-8)."""
    body = _encoder.encode(message)
    head = b'{"@":"' + type(message).__name__.encode() + b'"'
    return head + (b"," if len(body) > 2 else b"") + body[1:]


def read_client(text: str | bytes) -> ClientMessage:
    """What a page said.

    Raises:
        ValueError: it is no message; the text names the field and what was expected.
    """
    return read(text, _CLIENT)


def read_server(text: str | bytes) -> ServerMessage:
    """What a server said. Raises ValueError as `read_client`."""
    return read(text, _SERVER)


def read(text: str | bytes, known: Mapping[str, type]) -> Any:
    """The message of one of the classes. Raises ValueError as `read_client`."""
    try:
        plain = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not JSON: {error}") from error
    name = plain.get("@") if isinstance(plain, dict) else None
    cls = known.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"'@' is {name!r:.40}; it may be {', '.join(known)}")
    try:
        return msgspec.convert(plain, cls)
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from error
