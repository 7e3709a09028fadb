"""glTF 2.0: whether a file from a stranger may be given to a browser to draw.

Follows every reference that drawing follows: what lies outside of the file is refused by name,
since nothing is ever fetched; so is what is broken, and what is more than a page can draw. Of what
is packed (meshopt, Draco, KTX2) it counts what that says it unpacks to. Changes nothing, unpacks
nothing and draws nothing; how values lie in the bytes is known to `gltf_values`. Clauses are those
of the glTF 2.0 specification (ISO/IEC 12113).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from mirrorworld.attachments import PICTURE_BYTES, picture_size
from mirrorworld.standards.gltf_packed import (
    DRACO,
    KTX2,
    MESHOPT,
    PackedError,
    draco_triangles,
    ktx2_size,
)
from mirrorworld.standards.gltf_values import (
    FILE_BYTES_MAX,
    WIDTHS,
    GltfError,
    Values,
    count_of,
    data_of,
    opened,
    refuse,
)

__all__ = ["GltfError", "GltfModel", "check"]

ITEMS_MAX: Final = 20_000
"""Entries of any one list at the top of a file: nodes, meshes, accessors."""
PICTURES_MAX: Final = 256
DEPTH_MAX: Final = 64
"""Of nodes within nodes."""
VERTICES_MAX: Final = 2_000_000
TRIANGLES_MAX: Final = 1_000_000
"""As drawn: a mesh that two nodes show counts twice."""
TEXTURE_PIXELS_MAX: Final = 64_000_000
"""Of all textures together; a browser unpacks them to four bytes a pixel and more."""
TEXTURE_SIDE_MAX: Final = 8_192
REACH_MAX: Final = 1e6
"""Units from the origin that a vertex may be, after all its nodes."""

DRAWN: Final = frozenset(
    {
        "EXT_texture_webp",
        DRACO,
        "KHR_lights_punctual",
        "KHR_materials_anisotropy",
        "KHR_materials_clearcoat",
        "KHR_materials_dispersion",
        "KHR_materials_emissive_strength",
        "KHR_materials_ior",
        "KHR_materials_iridescence",
        "KHR_materials_sheen",
        "KHR_materials_specular",
        "KHR_materials_transmission",
        "KHR_materials_unlit",
        "KHR_materials_variants",
        "KHR_materials_volume",
        "KHR_mesh_quantization",
        "KHR_texture_basisu",
        "KHR_texture_transform",
        *MESHOPT,
    }
)
"""Extensions that a file may require."""
NOT_DRAWN: Final = frozenset({"EXT_mesh_gpu_instancing"})
"""Extensions that change what is drawn even where a file only uses them."""

_PICTURES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"RIFF": "image/webp",
}
_ATTRIBUTES: Final = {
    "POSITION": ("VEC3",), "NORMAL": ("VEC3",), "TANGENT": ("VEC4",), "TEXCOORD_0": ("VEC2",),
    "COLOR_0": ("VEC3", "VEC4"),
}  # fmt: skip
_TRIANGLES: Final = 4
_LISTS: Final = (
    "accessors", "animations", "buffers", "bufferViews", "cameras", "images", "materials",
    "meshes", "nodes", "samplers", "scenes", "skins", "textures",
)  # fmt: skip


_Shape = tuple[int, int, NDArray[np.float64]]
"""(triangles, vertices, corners: low and high)."""


@dataclass(frozen=True, slots=True)
class GltfModel:
    """What a file holds that passed."""

    nodes: int
    meshes: int
    triangles: int
    """As drawn."""
    vertices: int
    texture_pixels: int
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    """Corners of what is drawn, in the file's units."""


def check(path: Path) -> GltfModel:
    """Examines a `.glb` or self-contained `.gltf` file.

    Raises:
        GltfError: it is broken, needs something that lies outside of it or that the page cannot
            draw, or is too large.
    """
    size = path.stat().st_size
    if size > FILE_BYTES_MAX:
        refuse("file", f"{size} bytes; a model has at most {FILE_BYTES_MAX >> 20} MiB")
    return _Examined(*opened(path.read_bytes())).model()


class _Examined:
    """One file, gone through in the order in which its parts rest on each other."""

    def __init__(self, root: dict[str, Any], binary: memoryview | None) -> None:
        self._root = root
        self._values = Values(root, binary)
        self._streams: set[str] = set()
        """Of Draco, with what is read of each."""
        self._pixels = 0
        self._visits = 0
        self._primitives = 0
        self._boxes: dict[int, NDArray[np.float64]] = {}
        """Corners of each accessor of positions that was read: low, high."""
        self._highest: dict[int, int] = {}
        """The highest index in each accessor of indices that was read."""

    def model(self) -> GltfModel:
        self._take_head()
        self._values.read(self._draco_accessors())
        for i, image in enumerate(self._values.entries("images")):
            self._image(f"images[{i}]", image)
        self._take_materials()
        meshes = [
            self._mesh(f"meshes[{i}]", mesh)
            for i, mesh in enumerate(self._values.entries("meshes"))
        ]
        return self._drawn(meshes)

    # --- the whole ---

    def _take_head(self) -> None:
        asset = self._root.get("asset")
        if not isinstance(asset, dict) or not str(asset.get("version", "")).startswith("2."):
            refuse("asset.version", "glTF 2.0 is drawn: export the model anew")
        for name in _LISTS:
            entries = self._root.get(name, [])
            if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
                refuse(name, "must be a list of objects")
            most = PICTURES_MAX if name == "images" else ITEMS_MAX
            if len(entries) > most:
                refuse(name, f"{len(entries)} of them; at most {most} are drawn")
        for listed in ("extensionsRequired", "extensionsUsed"):
            names = self._root.get(listed, [])
            if not isinstance(names, list):
                refuse(listed, "must be a list")
            for name in map(str, names):
                if name in NOT_DRAWN or (listed == "extensionsRequired" and name not in DRAWN):
                    refuse(
                        listed,
                        f"'{name:.60}' is not drawn here; export the model without it",
                    )

    # --- pictures and materials ---

    def _image(self, where: str, image: dict[str, Any]) -> None:
        uri = image.get("uri")
        if uri is not None:
            data = data_of(f"{where}.uri", uri)[1]
        else:
            data = self._values.view(image.get("bufferView"), where)[0]
        size = self._picture_size(where, data)
        if max(size) > TEXTURE_SIDE_MAX:
            refuse(where, f"{size[0]} × {size[1]} pixels; a side has at most {TEXTURE_SIDE_MAX}")
        self._pixels += size[0] * size[1]
        if self._pixels > TEXTURE_PIXELS_MAX:
            refuse(where, f"all textures have more than {TEXTURE_PIXELS_MAX // 10**6} megapixels")

    def _picture_size(self, where: str, data: bytes | memoryview) -> tuple[int, int]:
        head = bytes(data[:PICTURE_BYTES])
        if head.startswith(KTX2):
            try:
                return ktx2_size(data)
            except PackedError as error:
                refuse(where, f"in KTX2: {error}")
        found = next((kind for magic, kind in _PICTURES.items() if head.startswith(magic)), "")
        size = picture_size(found, head)
        if size is None or 0 in size:
            refuse(where, "it is no PNG, JPEG, WebP or KTX2 picture")
        return size

    def _take_materials(self) -> None:
        for i, texture in enumerate(self._values.entries("textures")):
            for source in (texture, *_objects(texture.get("extensions"))):
                if "source" in source:
                    self._values.entry(f"textures[{i}]", "images", source["source"])
            if "sampler" in texture:
                self._values.entry(f"textures[{i}]", "samplers", texture["sampler"])
        for i, material in enumerate(self._values.entries("materials")):
            for name, slot in _slots(material):
                self._values.entry(f"materials[{i}].{name}", "textures", slot.get("index"))

    # --- what is drawn ---

    def _mesh(self, where: str, mesh: dict[str, Any]) -> _Shape:
        """(triangles, vertices, corners) of a mesh."""
        primitives = mesh.get("primitives")
        if not isinstance(primitives, list) or not primitives:
            refuse(where, "it has no primitives")
        self._primitives += len(primitives)
        if self._primitives > ITEMS_MAX:
            refuse(where, f"all meshes have more than {ITEMS_MAX} primitives")
        triangles = vertices = 0
        corners = _nothing()
        for j, primitive in enumerate(primitives):
            there = f"{where}.primitives[{j}]"
            if not isinstance(primitive, dict):
                refuse(there, "it is no object")
            drawn, n, box = self._primitive(there, primitive)
            triangles, vertices = triangles + drawn, vertices + n
            _widen(corners, box)
            if vertices > VERTICES_MAX or triangles > TRIANGLES_MAX:
                _too_much(there, triangles, vertices)
        return triangles, vertices, corners

    def _primitive(self, where: str, primitive: dict[str, Any]) -> _Shape:
        mode = count_of(where, "mode", primitive.get("mode", _TRIANGLES), 6)
        attributes = primitive.get("attributes")
        if not isinstance(attributes, dict) or "POSITION" not in attributes:
            refuse(where, "it has no POSITION")
        if len(attributes) > 32:
            refuse(where, f"{len(attributes)} attributes; at most 32")
        if "material" in primitive:
            self._values.entry(where, "materials", primitive["material"])
        index = attributes["POSITION"]
        draco = _draco_of(primitive)
        if draco is not None:
            self._draco(f"{where}.extensions.{DRACO}", primitive, draco)
        box = self._corners(where, index)
        n = len(self._values.of(index))
        for name, other in attributes.items():
            there = f"{where}.attributes.{name:.40}"
            found = self._values.accessor(there, other, _ATTRIBUTES.get(name, (*WIDTHS,)))
            if len(found) != n:
                refuse(there, f"{len(found)} values for {n} vertices")
        n_corners = n
        if "indices" in primitive:
            there = f"{where}.indices"
            indices = self._values.accessor(there, primitive["indices"], ("SCALAR",))
            if indices.dtype.kind != "u":
                refuse(there, "they are not of an unsigned type (3.7.2.1)")
            number = primitive["indices"]
            if number not in self._highest:
                self._highest[number] = int(indices.max())
            if self._highest[number] >= n:
                refuse(there, f"vertex {self._highest[number]} of {n}")
            n_corners = len(indices)
        triangles = n_corners // 3 if mode == _TRIANGLES else max(0, n_corners - 2)
        return triangles if mode >= _TRIANGLES else 0, n, box

    def _draco_accessors(self) -> set[int]:
        """The accessors whose values are in Draco streams."""
        found: set[int] = set()
        for mesh in self._root.get("meshes", []):
            primitives = mesh.get("primitives")
            for primitive in primitives if isinstance(primitives, list) else ():
                draco = _draco_of(primitive) if isinstance(primitive, dict) else None
                if draco is None:
                    continue
                names, declared = draco.get("attributes"), primitive.get("attributes")
                if isinstance(names, dict) and isinstance(declared, dict):
                    found |= {declared[n] for n in names if type(declared.get(n)) is int}
                if type(primitive.get("indices")) is int:
                    found.add(primitive["indices"])
        return found

    def _draco(self, where: str, primitive: dict[str, Any], draco: dict[str, Any]) -> None:
        """Looks whether a Draco stream can be what the primitive says."""
        if primitive.get("mode", _TRIANGLES) != _TRIANGLES:
            refuse(where, "the primitive is drawn otherwise than as triangles")
        names = draco.get("attributes")
        if not isinstance(names, dict) or "POSITION" not in names:
            refuse(where, "its attributes have no POSITION")
        for name in names:
            if name not in primitive["attributes"]:
                refuse(where, f"the primitive has no attribute {name:.40}")
        stream, _ = self._values.view(draco.get("bufferView"), where)
        corners = self._values.accessor(f"{where}, indices", primitive.get("indices"), ("SCALAR",))
        try:
            triangles = draco_triangles(stream)
        except PackedError as error:
            refuse(where, str(error))
        if triangles * 3 > len(corners):
            refuse(where, f"it holds {triangles} triangles, and the file says {len(corners) // 3}")
        # A stream that primitives share is unpacked anew for each that reads it otherwise.
        key = repr((draco["bufferView"], primitive["indices"], names, primitive["attributes"]))
        if key in self._streams:
            return
        self._streams.add(key)
        read = [primitive["attributes"][name] for name in names]
        n_accessors = len(self._values.entries("accessors"))
        arrays = [
            corners,
            *(self._values.of(i) for i in read if type(i) is int and 0 <= i < n_accessors),
        ]
        self._values.add(where, sum(len(each) * each.shape[1] * 4 for each in arrays))

    def _corners(self, where: str, index: Any) -> NDArray[np.float64]:
        """Low and high of positions; read once, however many primitives share them."""
        if isinstance(index, int) and index in self._boxes:
            return self._boxes[index]
        positions = self._values.accessor(f"{where}.attributes.POSITION", index, ("VEC3",))
        is_quantised = "KHR_mesh_quantization" in self._root.get("extensionsRequired", [])
        if positions.dtype.kind != "f" and not is_quantised:
            refuse(f"{where}.attributes.POSITION", "the positions are no floats (3.7.2.1)")
        if self._values.is_packed(index):
            about, there = self._values.entries("accessors")[index], f"accessors[{index}]"
            ends = [_numbers(there, name, about.get(name), 3) for name in ("min", "max")]
            box = np.stack(ends)
        else:
            box = np.stack([positions.min(0), positions.max(0)]).astype(np.float64)
        if not np.isfinite(box).all():
            refuse(f"{where}.attributes.POSITION", "a position is no number")
        is_normalised = self._values.entries("accessors")[index].get("normalized") is True
        if is_normalised and positions.dtype.kind != "f":
            box /= np.iinfo(positions.dtype).max
        self._boxes[index] = box
        return box

    def _drawn(self, meshes: list[_Shape]) -> GltfModel:
        """Goes through all scenes, since a browser unpacks all (3.5)."""
        scenes = self._values.entries("scenes")
        if not scenes:
            refuse("scenes", "it has no scene: there is nothing to draw")
        self._values.entry("scene", "scenes", self._root.get("scene", 0))
        found = [self._scene(f"scenes[{i}]", s, meshes) for i, s in enumerate(scenes)]
        triangles, vertices = sum(each[1] for each in found), sum(each[2] for each in found)
        if vertices > VERTICES_MAX or triangles > TRIANGLES_MAX:
            _too_much("scenes", triangles, vertices)
        nodes, triangles, vertices, shown, box = found[self._root.get("scene", 0)]
        if not triangles:
            refuse("scene", "no triangle is in it: there is nothing to draw")
        low, high = tuple(box[0].tolist()), tuple(box[1].tolist())
        return GltfModel(nodes, shown, triangles, vertices, self._pixels, low, high)

    def _scene(
        self, where: str, scene: dict[str, Any], meshes: list[_Shape]
    ) -> tuple[int, int, int, int, NDArray[np.float64]]:
        """(nodes, triangles, vertices, nodes with a mesh, corners) of a scene."""
        box = _nothing()
        triangles = vertices = shown = 0
        seen: set[int] = set()
        todo = [(i, np.eye(4), 1) for i in _indices(where, scene.get("nodes", []))]
        while todo:
            index, above, depth = todo.pop()
            where = f"nodes[{index}]"
            node = self._values.entry(where, "nodes", index)
            if index in seen:
                refuse(where, "it is below itself, or below two others (3.5.2)")
            seen.add(index)
            self._visits += 1
            if self._visits > ITEMS_MAX:
                refuse(where, f"more than {ITEMS_MAX} nodes are in its scenes")
            if depth > DEPTH_MAX:
                refuse(where, f"nodes are nested deeper than {DEPTH_MAX}")
            matrix = above @ _matrix(where, node)
            if "mesh" in node:
                self._values.entry(where, "meshes", node["mesh"])
                n_triangles, n_vertices, corners = meshes[node["mesh"]]
                triangles, vertices, shown = (
                    triangles + n_triangles,
                    vertices + n_vertices,
                    shown + 1,
                )
                if vertices > VERTICES_MAX or triangles > TRIANGLES_MAX:
                    _too_much(where, triangles, vertices)
                reached = _moved(corners, matrix)
                if not np.isfinite(reached).all() or np.abs(reached).max() > REACH_MAX:
                    refuse(where, f"it reaches further than {REACH_MAX:g} units from the origin")
                _widen(box, reached)
            todo += [(i, matrix, depth + 1) for i in _indices(where, node.get("children", []))]
        return len(seen), triangles, vertices, shown, box


# --- the smaller parts ------------------------------------------------------------------------


def _nothing() -> NDArray[np.float64]:
    """The corners of nothing, to be widened."""
    return np.array([[np.inf] * 3, [-np.inf] * 3])


def _widen(box: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    box[0] = np.minimum(box[0], other[0])
    box[1] = np.maximum(box[1], other[1])


def _too_much(where: str, triangles: int, vertices: int) -> NoReturn:
    refuse(
        where,
        f"with it the model has {triangles} triangles and {vertices} vertices; at most"
        f" {TRIANGLES_MAX} and {VERTICES_MAX} are drawn: simplify it before exporting",
    )


def _draco_of(primitive: dict[str, Any]) -> dict[str, Any] | None:
    extensions = primitive.get("extensions")
    draco = extensions.get(DRACO) if isinstance(extensions, dict) else None
    return draco if isinstance(draco, dict) else None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield from (each for each in value.values() if isinstance(each, dict))


def _slots(node: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """The references to textures of a material, those of its extensions among them."""
    if not isinstance(node, dict) or depth > 4:
        return
    for name, child in node.items():
        if name == "extras":
            continue
        there = f"{path}.{name}".lstrip(".")[:80]
        if name.endswith("Texture") and isinstance(child, dict):
            yield there, child
        elif isinstance(child, dict):
            yield from _slots(child, there, depth + 1)


def _indices(where: str, value: Any) -> list[int]:
    if not isinstance(value, list) or len(value) > ITEMS_MAX:
        refuse(where, "must be a list of nodes")
    for each in value:
        if not isinstance(each, int) or isinstance(each, bool):
            refuse(where, f"{each!s:.20} is no index of a node")
    return value


def _numbers(where: str, name: str, value: Any, n: int) -> NDArray[np.float64]:
    is_fit = (
        isinstance(value, list)
        and len(value) == n
        and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value)
    )
    if not is_fit:
        refuse(where, f"{name} must be {n} numbers")
    try:
        found = np.array(value, np.float64)
    except OverflowError:
        found = np.full(n, np.inf)
    if not np.isfinite(found).all():
        refuse(where, f"{name} has a number that is too large")
    return found


def _matrix(where: str, node: dict[str, Any]) -> NDArray[np.float64]:
    """A node's own transform (3.5.3), which takes column vectors."""
    if "matrix" in node:
        return _numbers(where, "matrix", node["matrix"], 16).reshape(4, 4).T
    move = _numbers(where, "translation", node.get("translation", [0, 0, 0]), 3)
    x, y, z, w = _numbers(where, "rotation", node.get("rotation", [0, 0, 0, 1]), 4)
    scale = _numbers(where, "scale", node.get("scale", [1, 1, 1]), 3)
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not 0.99 < length < 1.01:
        refuse(where, "rotation is no unit quaternion")
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * scale
    matrix[:3, 3] = move
    return matrix


def _moved(box: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The corners of a box that was moved, along the axes again."""
    at = np.array(
        [[box[i, 0], box[j, 1], box[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    )
    with np.errstate(over="ignore", invalid="ignore"):
        moved = at @ matrix[:3, :3].T + matrix[:3, 3]
    return np.stack([moved.min(0), moved.max(0)])
