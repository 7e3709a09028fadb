"""Changes other than samples as bytes: their plain form, in MessagePack, compressed.

Edits, commands and events are few beside samples, so they are kept in the form that explains
itself and that files and the wire share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import zstandard

from mirrorworld.world.changes import Change, Origin, OriginKind, Position
from mirrorworld.world.plain import from_tagged, to_plain

EXPANDED_LIMIT_BYTES: Final = 1 << 31

_DECODER = msgspec.msgpack.Decoder(list[tuple[int, int, str, int, str, int, int, Any]])


def encode(changes: Sequence[Change], compressor: zstandard.ZstdCompressor) -> bytes:
    """The payload of a block of changes."""
    entries = [
        (
            change.position.sequence if change.position else 0,
            int(change.origin.kind),
            change.origin.by,
            change.received_ns,
            change.source,
            change.incarnation,
            change.source_seq,
            to_plain(change.body, tagged=True),
        )
        for change in changes
    ]
    return compressor.compress(msgspec.msgpack.encode(entries))


def decode(payload: bytes, epoch: int) -> Iterator[Change]:
    """The changes of a block's payload."""
    plain = zstandard.ZstdDecompressor().decompress(payload, max_output_size=EXPANDED_LIMIT_BYTES)
    for sequence, kind, by, received_ns, source, incarnation, seq, body in _DECODER.decode(plain):
        position = Position(epoch, sequence)
        yield Change(
            from_tagged(body, f"change {position}"),
            Origin(OriginKind(kind), by),
            received_ns,
            source,
            incarnation,
            seq,
            position,
        )
