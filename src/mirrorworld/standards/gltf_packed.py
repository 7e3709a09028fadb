"""Packed parts of a glTF file: what they say of themselves, and whether that is possible.

Reads heads and unpacks nothing: what a part unpacks to is what counts against the limits, and
whether its numbers are right is known only where it is unpacked, in the page. Meshopt after
EXT_ and KHR_meshopt_compression; Draco after KHR_draco_mesh_compression and the Draco bitstream
2.2; KTX 2.0 as KHR_texture_basisu takes it.
"""

from __future__ import annotations

import struct
from typing import Any, Final

DRACO: Final = "KHR_draco_mesh_compression"
MESHOPT: Final = ("EXT_meshopt_compression", "KHR_meshopt_compression")
KTX2: Final = b"\xabKTX 20\xbb\r\n\x1a\n"

_MESHOPT_HEADS: Final = {
    "ATTRIBUTES": (b"\xa0", b"\xa1"),
    "TRIANGLES": (b"\xe0", b"\xe1"),
    "INDICES": (b"\xd0", b"\xd1"),
}
_DRACO_METADATA: Final = 0x8000
_EDGEBREAKER: Final = 1
_ETC1S: Final = 163
_UASTC: Final = 166
_BLOCK_BYTES: Final = 16
_SCHEMES: Final = {_ETC1S: (1,), _UASTC: (0, 2)}
"""How each kind of picture may be packed once more: BasisLZ; not, or Zstandard."""


class PackedError(ValueError):
    """A part that is not what it says; the message says why."""


def meshopt_of(about: dict[str, Any]) -> dict[str, Any] | None:
    """How a buffer view is packed, or of what a buffer is the fallback; None: it is plain."""
    extensions = about.get("extensions")
    if not isinstance(extensions, dict):
        return None
    found = next((extensions[name] for name in MESHOPT if name in extensions), None)
    if found is not None and not isinstance(found, dict):
        raise PackedError("its meshopt part is no object")
    return found


def check_meshopt(packed: dict[str, Any], stream: bytes | memoryview, size: int) -> None:
    """Looks whether a stream of meshopt can be what its view says.

    Args:
        size: of the view, unpacked, in bytes.
    """
    mode, count, stride = packed.get("mode"), packed.get("count"), packed.get("byteStride")
    heads = _MESHOPT_HEADS.get(mode) if isinstance(mode, str) else None
    if heads is None:
        raise PackedError("it is packed in no known way")
    if not (type(count) is int and type(stride) is int and count > 0 and 0 < stride <= 256):
        raise PackedError("its count or byteStride is none")
    if stride % 4 if mode == "ATTRIBUTES" else stride not in (2, 4):
        raise PackedError(f"a byteStride of {stride} is none of {mode}")
    if mode == "TRIANGLES" and count % 3:
        raise PackedError(f"{count} indices are no triangles")
    if count * stride != size:
        raise PackedError(f"it unpacks to {count * stride} bytes and says {size}")
    if bytes(stream[:1]) not in heads:
        raise PackedError(f"it is no stream of {mode}")


def draco_triangles(stream: bytes | memoryview) -> int:
    """Triangles that a Draco stream says it has."""
    if len(stream) < 11 or bytes(stream[:5]) != b"DRACO":
        raise PackedError("it is no Draco stream")
    major, minor, kind, method, flags = struct.unpack("<BBBBH", stream[5:11])
    if (major, minor) != (2, 2):
        raise PackedError(f"it is Draco {major}.{minor}; 2.2 is what glTF has")
    if kind != 1 or method > _EDGEBREAKER:
        raise PackedError("it is no mesh")
    if flags & _DRACO_METADATA:
        raise PackedError("it has metadata, which glTF does not have there")
    at = 11
    if method == _EDGEBREAKER:  # how it is walked, and how many vertices were encoded
        _, at = _varint(stream, at + 1)
    return _varint(stream, at)[0]


def _varint(stream: bytes | memoryview, at: int) -> tuple[int, int]:
    """(number, where the next begins)."""
    value = 0
    for i in range(5):
        if at + i >= len(stream):
            raise PackedError("it is cut short")
        byte = stream[at + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise PackedError("a number in it does not end")


def ktx2_size(picture: bytes | memoryview) -> tuple[int, int]:
    """(width, height) in pixels of a picture in KTX2, all of whose levels fit."""
    if len(picture) < 104:
        raise PackedError("it is cut short")
    form, _, width, height, depth, layers, faces, levels, scheme, about = struct.unpack_from(
        "<10I", picture, 12
    )
    if (form, depth, layers, faces) != (0, 0, 0, 1):
        raise PackedError("it is no flat picture in Basis Universal")
    if not width or not height or width % 4 or height % 4:
        raise PackedError(f"its sides, {width} × {height}, are no multiples of 4")
    if not 1 <= levels <= max(width, height).bit_length():
        raise PackedError(f"it has {levels} levels")
    if about + 13 > len(picture) or 80 + 24 * levels > len(picture):
        raise PackedError("it is cut short")
    model = picture[about + 12]
    if scheme not in _SCHEMES.get(model, ()):
        raise PackedError("it is neither ETC1S nor UASTC")
    if sum(struct.unpack_from("<2Q", picture, 64)) > len(picture):
        raise PackedError("it is cut short")
    for i in range(levels):
        start, length, plain = struct.unpack_from("<3Q", picture, 80 + 24 * i)
        if start + length > len(picture):
            raise PackedError("it is cut short")
        blocks = -(-max(1, width >> i) // 4) * -(-max(1, height >> i) // 4)
        says = plain if scheme else length
        if model == _UASTC and says != blocks * _BLOCK_BYTES:
            raise PackedError(f"level {i} has {says} bytes; {blocks * _BLOCK_BYTES} are right")
    return width, height
