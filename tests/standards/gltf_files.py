"""glTF files made for tests: a plain good one, to be bent into bad ones."""

from __future__ import annotations

import copy
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOX = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (0, 1) for z in (-0.5, 0.5)], np.float32)
FACES = np.array(
    [0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1,
     2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3],
    np.uint16,
)  # fmt: skip


def png(width: int = 2, height: int = 2) -> bytes:
    """A PNG of those measures; its pixels are all one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x30\x90\xd0" * min(width, 64)) * min(height, 64))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def model(
    positions: NDArray[np.float32] = BOX, indices: NDArray[Any] | None = FACES
) -> tuple[dict[str, Any], bytes]:
    """(JSON, binary chunk) of a model of one mesh with a texture; without indices each three
    positions are a triangle."""
    picture = png()
    uv = np.zeros((len(positions), 2), np.float32)
    parts = [positions.astype("<f4").tobytes(), uv.astype("<f4").tobytes(), picture]
    if indices is not None:
        parts.append(indices.tobytes())
    binary, views = b"", []
    for part in parts:
        views.append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(part)})
        binary += part + b"\0" * (-len(part) % 4)
    accessors: list[dict[str, Any]] = [
        {"bufferView": 0, "componentType": 5126, "count": len(positions), "type": "VEC3",
         "min": positions.min(0).tolist(), "max": positions.max(0).tolist()},
        {"bufferView": 1, "componentType": 5126, "count": len(positions), "type": "VEC2"},
    ]  # fmt: skip
    primitive: dict[str, Any] = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}
    if indices is not None:
        code = {"u1": 5121, "u2": 5123, "u4": 5125}[indices.dtype.str[1:]]
        accessors.append(
            {"bufferView": 3, "componentType": code, "count": len(indices), "type": "SCALAR"}
        )
        primitive["indices"] = 2
    root = {
        "asset": {"version": "2.0", "generator": "tests"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "box", "mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "textures": [{"source": 0}],
        "images": [{"bufferView": 2, "mimeType": "image/png"}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(binary)}],
    }
    return root, binary


def packed(root: dict[str, Any] | bytes, binary: bytes = b"") -> bytes:
    """A GLB container of a JSON chunk and, if it is not empty, a binary one."""
    text = root if isinstance(root, bytes) else json.dumps(root).encode()
    chunks = [(b"JSON", text + b" " * (-len(text) % 4))]
    chunks += [(b"BIN\0", binary)] if binary else []
    body = b"".join(struct.pack("<I", len(data)) + kind + data for kind, data in chunks)
    return b"glTF" + struct.pack("<II", 2, 12 + len(body)) + body


def glb(bend: Callable[[dict[str, Any]], object] = lambda root: None) -> bytes:
    """A good GLB, after its JSON was bent."""
    root, binary = model()
    root = copy.deepcopy(root)
    bend(root)
    return packed(root, binary)


def stl_triangles(content: bytes) -> NDArray[np.float32]:
    """Corners of the triangles of a binary STL file, shape (3 n, 3)."""
    (n,) = struct.unpack("<I", content[80:84])
    row = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    return np.frombuffer(io.BytesIO(content[84:]).getvalue(), row, n)["corners"].reshape(-1, 3)
