"""What the server and the process of a run say to each other: messages and changes, framed, over
the process's own pipes. A pipe holds little, so whoever writes faster than the other reads waits.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Final

import msgspec
import numpy as np

from mirrorworld.world.changes import Change, Origin, OriginKind
from mirrorworld.world.frames import Frame
from mirrorworld.world.plain import from_tagged, to_plain

HEAD: Final = struct.Struct("<IB")
BYTES_MAX: Final = 256 << 20
MESSAGE: Final = 0
FRAME: Final = 1
OTHER: Final = 2

_FRAME = msgspec.msgpack.Decoder(tuple[int, int, str, bytes, bytes, bytes, bytes, bytes])
_OTHER = msgspec.msgpack.Decoder(tuple[int, int, str, Any])


def message(what: dict[str, Any]) -> bytes:
    """A message as bytes."""
    return _framed(MESSAGE, msgspec.msgpack.encode(what))


def change(one: Change) -> bytes:
    """A change as bytes: its body, origin and time."""
    body, origin = one.body, one.origin
    told = (one.received_ns, int(origin.kind), origin.by)
    if isinstance(body, Frame):
        columns = (body.point, body.cell, body.quality, body.source_ns)
        parts = (*(np.ascontiguousarray(column).tobytes() for column in columns), body.heap)
        return _framed(FRAME, msgspec.msgpack.encode((*told, *parts)))
    return _framed(OTHER, msgspec.msgpack.encode((*told, to_plain(body, tagged=True))))


def _framed(kind: int, payload: bytes) -> bytes:
    if len(payload) > BYTES_MAX:
        raise ValueError(f"{len(payload)} bytes in one change; at most {BYTES_MAX} are carried")
    return HEAD.pack(len(payload), kind) + payload


def read(kind: int, payload: bytes) -> dict[str, Any] | Change:
    """What was said.

    Raises:
        ValueError: it is nothing that is said here.
    """
    try:
        if kind == MESSAGE:
            return msgspec.msgpack.decode(payload, type=dict[str, Any])
        if kind == FRAME:
            received_ns, of, by, point, cell, quality, source_ns, heap = _FRAME.decode(payload)
            frame = Frame(
                np.frombuffer(point, np.uint32),
                np.frombuffer(cell, np.int64),
                np.frombuffer(quality, np.uint32),
                np.frombuffer(source_ns, np.int64),
                heap,
            )
            return Change(frame, Origin(OriginKind(of), by), received_ns)
        received_ns, of, by, plain = _OTHER.decode(payload)
        body = from_tagged(plain, "a change of a run")
        return Change(body, Origin(OriginKind(of), by), received_ns)  # pyright: ignore
    except msgspec.MsgspecError as error:
        raise ValueError(f"what came over the pipe makes no sense: {error}") from error


def read_from(pipe: BinaryIO) -> dict[str, Any] | Change | None:
    """The next thing said; None: the other side is gone."""
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    length, kind = HEAD.unpack(head)
    payload = pipe.read(length)
    return read(kind, payload) if len(payload) == length else None
