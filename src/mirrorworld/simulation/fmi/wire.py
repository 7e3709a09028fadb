"""What a unit's process and its owner say to each other: frames over two pipes.

A frame is `<IB` (payload length, code) and the payload: JSON where something is arranged, little
endian columns of float64 where numbers are moved. Nothing is ever unpickled.
"""

from __future__ import annotations

import enum
import os
import struct
from typing import Final

FOLDER_PREFIX: Final = "mirrorworld-fmu-"
"""Of the temporary folder of one unit's process; nothing else is so called."""
FRAME_BYTES_MAX: Final = 256 << 20
READ_BYTES: Final = 1 << 16

_HEAD: Final = struct.Struct("<IB")

STEP: Final = struct.Struct("<ddB")
"""Of a step: start (s), length (s), flags."""
RUN: Final = struct.Struct("<ddIIB")
"""Of many steps: start (s), length of each (s), how many, rows of inputs (0, 1 or as many),
flags."""
STATE: Final = struct.Struct("<I")
REACHED: Final = struct.Struct("<dBdI")
"""Of an answer with outputs: time reached (s), marks, next event (s), rows that follow."""


class Op(enum.IntEnum):
    """What the owner asks."""

    START = 1
    """Load, instantiate, set starts, enter initialisation. JSON; answers with outputs."""
    SET = 2
    """Set inputs and get outputs, without time going on."""
    BEGIN = 3
    """Leave initialisation; answers with outputs."""
    STEP = 4
    RUN = 5
    EVENT = 6
    """FMI 3: through event mode once, with inputs."""
    SAVE = 7
    RESTORE = 8
    FREE = 9
    SERIALISE = 10
    DESERIALISE = 11
    TEXTS = 12
    """Values of text variables. JSON."""
    STOP = 13


class Answer(enum.IntEnum):
    """How it went."""

    DONE = 0
    FAILED = 1
    """JSON: call, status, why."""


# Flags of a step. Plain numbers: an enum's `&` costs more than the rest of a frame's head.
MAY_RESTORE: Final = 1
"""The owner may go back behind the start of this step."""
SLOPES: Final = 2
"""Derivatives of the inputs follow the inputs (FMI 2)."""

# Marks of an answer.
EVENT: Final = 1
"""FMI 3: the unit wants event mode."""
ENDED: Final = 2
"""The unit asks to end the simulation."""
EARLY: Final = 4
"""It stopped before the end of the step."""
NEXT_EVENT: Final = 8
"""The time of its next event is known."""


def send(fd: int, code: int, *parts: bytes | memoryview) -> None:
    """Writes one frame; OSError if the other side is gone."""
    data = b"".join((_HEAD.pack(sum(map(len, parts)), code), *parts))
    written = os.write(fd, data)
    while written < len(data):
        written += os.write(fd, data[written:])


def receive(fd: int) -> tuple[int, bytes]:
    """Reads one frame: (code, payload). Each side waits for the other's frame before it sends the
    next, so nothing of a later frame can come with it.

    Raises:
        EOFError: the other side is gone.
        ValueError: what comes is no frame.
    """
    data = _more(fd, READ_BYTES)
    while len(data) < _HEAD.size:
        data += _more(fd, _HEAD.size - len(data))
    length, code = _HEAD.unpack_from(data)
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes")
    missing = _HEAD.size + length - len(data)
    if missing < 0:
        raise ValueError("more than a frame")
    if not missing:
        return code, data[_HEAD.size :]
    parts = [data[_HEAD.size :]]
    while missing:
        parts.append(_more(fd, min(missing, 1 << 20)))
        missing -= len(parts[-1])
    return code, b"".join(parts)


def _more(fd: int, n: int) -> bytes:
    data = os.read(fd, n)
    if not data:
        raise EOFError
    return data
