"""What travels between sites: stretches of a record, and what its points are called.

A stretch is the record's own blocks (`record/blocks.py`, `record/bodies.py`), each block a chain
of its own, with where in the record it lies. Bytes come from elsewhere, so whatever they say of
their size is checked before memory is given to it, and they are read by the loops that check their
bounds, not by the compiled ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import zstandard

from mirrorworld.record import blocks, bodies
from mirrorworld.record.codec import PLAIN
from mirrorworld.record.container import open_container
from mirrorworld.world.changes import Change, Command
from mirrorworld.world.frames import Frame
from mirrorworld.world.plain import from_tagged, to_plain

VERSION: Final = 1
ROOT: Final = "mirrorworld"
"""The first part of the keys of all sites."""

ROWS_MAX: Final = 1 << 18
CHANGES_MAX: Final = 1 << 16
POINTS_MAX: Final = 1 << 24
HEAP_BYTES_MAX: Final = 32 << 20
BLOCK_BYTES_MAX: Final = 128 << 20
EXPANDED_BYTES_MAX: Final = 512 << 20

SITE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_SAMPLES: Final = 1
_CHANGES: Final = 2


class BrokenMessage(ValueError):
    """Bytes that are no message of this version."""


def key_of(site: str, what: str) -> str:
    """The key of something of a site: `live`, `changes`, `structure`, `alive` or `held`."""
    return f"{ROOT}/{site}/{what}"


class Stretch(msgspec.Struct, array_like=True, frozen=True):
    """Changes of a record after one sequence and up to another, without gap.

    Changes that are a site's own (its commands) are left out, so `last` may be past the last one.
    """

    version: int
    record: str
    """The record's own id, in hex."""
    epoch: int
    after: int
    last: int
    kept_from: int
    """The first sequence that the record still has; beyond `after + 1`, what lies between is
    gone."""
    names_from: int
    """Handle of the first point in `names`."""
    names: list[tuple[str, str]]
    """(twin, point) of points that came in since the last stretch."""
    parts: list[tuple[int, bytes]]

    def changes(self, n_points: int) -> Iterator[Change]:
        """The changes in order. Points are the site's own handles, all below `n_points`.

        Raises:
            BrokenMessage: they are not what they say.
        """
        for kind, payload in self.parts:
            try:
                yield from _read(kind, payload, self.epoch, n_points)
            except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
                raise BrokenMessage(f"changes after {self.after}: {error}") from error
            except (msgspec.MsgspecError, zstandard.ZstdError) as error:
                raise BrokenMessage(f"changes after {self.after}: {error}") from error


class Structure(msgspec.Struct, array_like=True, frozen=True):
    """All that a world is made of, as the edits that would make it, and how its points count."""

    version: int
    record: str
    epoch: int
    sequence: int
    """It is the structure at this sequence."""
    after: int
    """The next live stretch follows this sequence."""
    kept_from: int
    edits: list[Any]
    """In their plain form."""
    events: list[Any]
    """Conditions as they stand, in their plain form."""
    dropped: list[str]
    """Twins that there are no more."""
    twins: list[str]
    """Ids by ordinal."""
    point_twin: list[int]
    """By handle: ordinal of its twin."""
    point_name: list[str]
    """By handle."""


class Held(msgspec.Struct, array_like=True, frozen=True):
    """Up to where somebody has a site's record on disk."""

    record: str
    sequence: int


class Order(msgspec.Struct, array_like=True, frozen=True):
    """A command for a site, in the site's own words."""

    version: int
    command: Any
    """In its plain form."""
    deadline_ns: int
    """By the site's own clock: afterwards it is not carried out."""


def _read(kind: int, payload: bytes, epoch: int, n_points: int) -> Iterator[Change]:
    if kind == _SAMPLES:
        block = open_container(payload)
        if not 0 <= block.n_rows <= ROWS_MAX or not 0 <= block.n_changes <= CHANGES_MAX:
            raise ValueError(f"a block of {block.n_rows} rows")
        if block.expanded_bytes > BLOCK_BYTES_MAX:
            raise ValueError(f"a block that expands to {block.expanded_bytes} bytes")
        samples = blocks.decode(
            payload,
            blocks.PointState(),
            epoch=epoch,
            is_anchor=True,
            points_end=n_points,
            codec=PLAIN,
        )
        if len(samples.point) and int(samples.point.max()) >= n_points:
            raise ValueError(f"point {int(samples.point.max())} of {n_points} that have a name")
        if (samples.rows < 0).any() or (samples.heap_bytes < 0).any():
            raise ValueError("a change of less than no rows")
        yield from samples.changes()
    elif kind == _CHANGES:
        yield from bodies.decode(_bounded(payload), epoch)
    else:
        raise ValueError(f"a part of kind {kind}")


def _bounded(data: bytes) -> bytes:
    """Compressed bytes that say how large they become, and not too large."""
    if not 0 <= zstandard.frame_content_size(data) <= EXPANDED_BYTES_MAX:
        raise ValueError("it does not say how large it becomes, or too large")
    return data


def parts_of(changes: Sequence[Change]) -> list[tuple[int, bytes]]:
    """Changes in order, as the parts of a stretch."""
    compressor = zstandard.ZstdCompressor(level=blocks.COMPRESSION_LEVEL)
    parts: list[tuple[int, bytes]] = []
    for is_frame, run in _runs(changes):
        if is_frame:
            payload = blocks.encode(
                run, blocks.PointState(), is_anchor=True, codec=PLAIN, compressor=compressor
            )
            parts.append((_SAMPLES, payload))
        else:
            parts.append((_CHANGES, bodies.encode(run, compressor)))
    return parts


def _runs(changes: Sequence[Change]) -> Iterator[tuple[bool, list[Change]]]:
    run: list[Change] = []
    rows = heap = 0
    for change in changes:
        body = change.body
        is_frame = isinstance(body, Frame)
        size, extra = (len(body), len(body.heap)) if isinstance(body, Frame) else (0, 0)
        same = bool(run) and isinstance(run[0].body, Frame) == is_frame
        if run and (not same or rows + size > ROWS_MAX or heap + extra > HEAP_BYTES_MAX):
            yield isinstance(run[0].body, Frame), run
            run, rows, heap = [], 0, 0
        run.append(change)
        rows, heap = rows + size, heap + extra
    if run:
        yield isinstance(run[0].body, Frame), run


_ENCODER: Final = msgspec.msgpack.Encoder()
_STRETCH: Final = msgspec.msgpack.Decoder(Stretch)
_STRUCTURE: Final = msgspec.msgpack.Decoder(Structure)
_HELD: Final = msgspec.msgpack.Decoder(Held)
_ORDER: Final = msgspec.msgpack.Decoder(Order)


def encode(message: Stretch | Structure | Held | Order) -> bytes:
    """A message as bytes."""
    data = _ENCODER.encode(message)
    if isinstance(message, Structure):
        return zstandard.ZstdCompressor(level=3).compress(data)
    return data


def stretch(data: bytes) -> Stretch:
    """Reads a stretch; BrokenMessage if it is none."""
    try:
        found = _STRETCH.decode(data)
    except msgspec.MsgspecError as error:
        raise BrokenMessage(f"not a stretch of changes: {error}") from error
    _check(found.version)
    if not 0 <= found.after <= found.last or not 0 <= found.names_from <= POINTS_MAX:
        raise BrokenMessage(f"a stretch from {found.after} to {found.last}")
    return found


def structure(data: bytes) -> Structure:
    """Reads a structure; BrokenMessage if it is none."""
    try:
        found = _STRUCTURE.decode(zstandard.ZstdDecompressor().decompress(_bounded(data)))
    except (ValueError, msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise BrokenMessage(f"not a structure: {error}") from error
    _check(found.version)
    n = len(found.point_twin)
    ordinals = range(len(found.twins))
    if n > POINTS_MAX or n != len(found.point_name):
        raise BrokenMessage(f"a structure of {n} points and {len(found.point_name)} names")
    if any(ordinal not in ordinals for ordinal in found.point_twin):
        raise BrokenMessage("a point of a twin that is not there")
    return found


def order(data: bytes) -> Order:
    """Reads an order; BrokenMessage if it is none."""
    try:
        found = _ORDER.decode(data)
    except msgspec.MsgspecError as error:
        raise BrokenMessage(f"not an order: {error}") from error
    _check(found.version)
    return found


def encode_command(command: Command) -> bytes:
    """How far a command has come."""
    return _ENCODER.encode(to_plain(command, tagged=True))


def command(plain: Any) -> Command:
    """A command of its plain form; BrokenMessage if it is none."""
    try:
        found = from_tagged(plain, "command")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BrokenMessage(f"not a command: {error}") from error
    if not isinstance(found, Command):
        raise BrokenMessage(f"{type(found).__name__} is no command")
    return found


def decode_command(data: bytes) -> Command:
    """A command of its bytes; BrokenMessage if they are none."""
    try:
        return command(msgspec.msgpack.decode(data))
    except msgspec.MsgspecError as error:
        raise BrokenMessage(f"not a command: {error}") from error


def held(data: bytes) -> Held:
    """Reads up to where somebody has it; BrokenMessage if it is nothing such."""
    try:
        return _HELD.decode(data)
    except msgspec.MsgspecError as error:
        raise BrokenMessage(f"not a position: {error}") from error


def _check(version: int) -> None:
    if version != VERSION:
        raise BrokenMessage(
            f"it speaks version {version} of the live plane, this is {VERSION}; upgrade the older"
        )
