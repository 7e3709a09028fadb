"""Nodes with shapes and materials, written as binary glTF 2.0.

Only what the line needs: a tree of nodes with extras, meshes of triangles, metallic-roughness
materials, embedded PNG textures. It knows no machine.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .shapes import Shape, merge

_ARRAY_BUFFER: Final = 34962
_ELEMENT_ARRAY_BUFFER: Final = 34963
_FLOAT: Final = 5126
_UINT16: Final = 5123
_UINT32: Final = 5125


@dataclass(frozen=True, slots=True)
class Texture:
    """An RGB or RGBA picture, repeated in both directions."""

    name: str
    png: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Material:
    """Metallic-roughness. Colours are sRGB `#rrggbb`, as a designer names them."""

    name: str
    colour: str
    metallic: float = 0.0
    roughness: float = 0.5
    alpha: float = 1.0
    emissive: str = ""
    is_double_sided: bool = False
    texture: Texture | None = None
    texture_scale: tuple[float, float] = (1.0, 1.0)
    """Repetitions of the texture for one of u and of v (metres, mostly)."""


class Node:
    """A named node: where it is, what it shows, what it carries."""

    def __init__(
        self,
        name: str,
        at: tuple[float, float, float] = (0.0, 0.0, 0.0),
        yaw_deg: float = 0.0,
        extras: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.at = at
        self.yaw_deg = yaw_deg
        self.extras = extras or {}
        self.children: list[Node] = []
        self.shapes: dict[Material, list[Shape]] = {}

    def add(self, material: Material, *shapes: Shape) -> None:
        """Adds shapes of a material, in this node's frame."""
        self.shapes.setdefault(material, []).extend(shapes)

    def child(
        self,
        name: str,
        at: tuple[float, float, float] = (0.0, 0.0, 0.0),
        yaw_deg: float = 0.0,
        extras: dict[str, Any] | None = None,
    ) -> Node:
        """Adds a node below this one."""
        node = Node(name, at, yaw_deg, extras)
        self.children.append(node)
        return node

    @property
    def triangles(self) -> int:
        """How many triangles it and its children have."""
        own = sum(len(s.index) for shapes in self.shapes.values() for s in shapes)
        return own + sum(child.triangles for child in self.children)


class _Writer:
    def __init__(self) -> None:
        self.binary = bytearray()
        self.document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "Mirrorworld bottling line"},
            "scene": 0,
            "scenes": [],
            "nodes": [],
            "meshes": [],
            "materials": [],
            "accessors": [],
            "bufferViews": [],
        }
        self._materials: dict[Material, int] = {}
        self._textures: dict[str, int] = {}

    def node(self, node: Node) -> int:
        entry: dict[str, Any] = {"name": node.name}
        if any(node.at):
            entry["translation"] = [round(v, 6) for v in node.at]
        if node.yaw_deg:
            half = math.radians(node.yaw_deg) / 2
            entry["rotation"] = [0.0, math.sin(half), 0.0, math.cos(half)]
        if node.extras:
            entry["extras"] = node.extras
        if node.shapes:
            primitives = [self._primitive(m, merge(s)) for m, s in node.shapes.items()]
            self.document["meshes"].append({"name": node.name, "primitives": primitives})
            entry["mesh"] = len(self.document["meshes"]) - 1
        if node.children:
            entry["children"] = [self.node(child) for child in node.children]
        self.document["nodes"].append(entry)
        return len(self.document["nodes"]) - 1

    def _primitive(self, material: Material, shape: Shape) -> dict[str, Any]:
        used, index = np.unique(shape.index, return_inverse=True)
        position = shape.position[used].astype("<f4")
        attributes = {
            "POSITION": self._accessor(position, "VEC3", bounds=True),
            "NORMAL": self._accessor(shape.normal[used].astype("<f4"), "VEC3"),
        }
        if material.texture is not None:
            uv = shape.uv[used] * material.texture_scale
            attributes["TEXCOORD_0"] = self._accessor(uv.astype("<f4"), "VEC2")
        kind = "<u2" if len(used) < 65_535 else "<u4"
        indices = self._accessor(index.ravel().astype(kind), "SCALAR", target=_ELEMENT_ARRAY_BUFFER)
        return {"attributes": attributes, "indices": indices, "material": self._material(material)}

    def _accessor(
        self,
        array: NDArray[Any],
        kind: str,
        *,
        bounds: bool = False,
        target: int = _ARRAY_BUFFER,
    ) -> int:
        component = {"<f4": _FLOAT, "<u2": _UINT16, "<u4": _UINT32}[array.dtype.str]
        view = self._view(array.tobytes(), target)
        entry: dict[str, Any] = {
            "bufferView": view,
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        if bounds:
            entry["min"] = [float(v) for v in array.min(axis=0)]
            entry["max"] = [float(v) for v in array.max(axis=0)]
        self.document["accessors"].append(entry)
        return len(self.document["accessors"]) - 1

    def _view(self, data: bytes, target: int | None) -> int:
        self.binary += b"\0" * (-len(self.binary) % 4)
        entry: dict[str, Any] = {
            "buffer": 0,
            "byteOffset": len(self.binary),
            "byteLength": len(data),
        }
        if target is not None:
            entry["target"] = target
        self.binary += data
        self.document["bufferViews"].append(entry)
        return len(self.document["bufferViews"]) - 1

    def _material(self, material: Material) -> int:
        known = self._materials.get(material)
        if known is not None:
            return known
        pbr: dict[str, Any] = {
            "baseColorFactor": [*linear(material.colour), material.alpha],
            "metallicFactor": material.metallic,
            "roughnessFactor": material.roughness,
        }
        if material.texture is not None:
            pbr["baseColorTexture"] = {"index": self._texture(material.texture)}
        entry: dict[str, Any] = {"name": material.name, "pbrMetallicRoughness": pbr}
        if material.alpha < 1.0:
            entry["alphaMode"] = "BLEND"
        if material.is_double_sided:
            entry["doubleSided"] = True
        if material.emissive:
            entry["emissiveFactor"] = linear(material.emissive)
        self.document["materials"].append(entry)
        self._materials[material] = len(self.document["materials"]) - 1
        return self._materials[material]

    def _texture(self, texture: Texture) -> int:
        known = self._textures.get(texture.name)
        if known is not None:
            return known
        document = self.document
        document.setdefault(
            "samplers", [{"wrapS": 10497, "wrapT": 10497, "minFilter": 9987, "magFilter": 9729}]
        )
        image = {
            "name": texture.name,
            "mimeType": "image/png",
            "bufferView": self._view(texture.png, None),
        }
        document.setdefault("images", []).append(image)
        entry = {"source": len(document["images"]) - 1, "sampler": 0}
        document.setdefault("textures", []).append(entry)
        self._textures[texture.name] = len(document["textures"]) - 1
        return self._textures[texture.name]


def write(path: Path, root: Node) -> None:
    """Writes a node and all below it as a .glb; the file appears whole or not at all."""
    writer = _Writer()
    top = writer.node(root)
    document = writer.document
    document["scenes"] = [{"nodes": [top]}]
    writer.binary += b"\0" * (-len(writer.binary) % 4)
    document["buffers"] = [{"byteLength": len(writer.binary)}]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + len(writer.binary)
    new = path.with_suffix(".new")
    new.write_bytes(
        struct.pack("<4sII", b"glTF", 2, total)
        + struct.pack("<I4s", len(text), b"JSON")
        + text
        + struct.pack("<I4s", len(writer.binary), b"BIN\0")
        + bytes(writer.binary)
    )
    new.replace(path)


def linear(colour: str) -> list[float]:
    """`#rrggbb` in sRGB as linear numbers (IEC 61966-2-1)."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [round(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4, 5) for v in values]


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A picture of shape (height, width, 3) as PNG."""
    height, width, channels = pixels.shape
    if channels != 3:
        raise ValueError(f"a picture has 3 channels, not {channels}")
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
