"""The values in a glTF file: its container, its buffers, and what accessors lay into them.

Every range is held against what is there before it is read, and all values together against a
limit. Unpacks nothing: values that are packed are zeros here, and count as what they say they
unpack to. Knows nothing of meshes, pictures and scenes, nor whether a value can be drawn. Clauses
are those of the glTF 2.0 specification (ISO/IEC 12113).
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Set
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from mirrorworld.standards.gltf_packed import PackedError, check_meshopt, meshopt_of

FILE_BYTES_MAX: Final = 64 << 20
JSON_BYTES_MAX: Final = 16 << 20
VALUES_BYTES_MAX: Final = 256 << 20
"""Of all accessors together: they may overlap, and a browser may unpack each on its own."""
WIDTHS: Final = {
    "SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16,
}  # fmt: skip
"""Numbers of one value, by an accessor's type."""

_JSON_CHUNK: Final = 0x4E4F534A
_BIN_CHUNK: Final = 0x004E4942
_COMPONENTS: Final = {
    5120: np.dtype("<i1"),
    5121: np.dtype("<u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}


class GltfError(ValueError):
    """A file that is not drawn; the message names the place in it and the mend."""


def opened(content: bytes) -> tuple[dict[str, Any], memoryview | None]:
    """The JSON of a `.glb` or `.gltf` file, and its binary chunk if it has one.

    Raises:
        GltfError: it is neither, is cut off, or has too much JSON.
    """
    if len(content) < 12:
        refuse("file", f"{len(content)} bytes are no glTF")
    if content[:4] == b"glTF":
        text, binary = _chunks(memoryview(content))
    else:
        text, binary = content, None
    if len(text) > JSON_BYTES_MAX:
        refuse("JSON", f"{len(text)} bytes; at most {JSON_BYTES_MAX >> 20} MiB: export it as .glb")
    return _parsed(text), binary


class Values:
    """What the accessors of one file hold; `read` it once, before all else is asked.

    Its lists, as `root` has them, are known to be lists of objects by then.
    """

    def __init__(self, root: dict[str, Any], binary: memoryview | None) -> None:
        self._root = root
        self._binary = binary
        self._buffers: list[memoryview] = []
        self._values: list[NDArray[Any]] = []
        """Of each accessor, shape (count, width)."""
        self._bytes = 0
        self._packed: set[int] = set()

    def read(self, packed: Set[int]) -> None:
        """Reads all accessors.

        Args:
            packed: accessors whose values are in streams of their own, as those of Draco are.
        """
        self._packed = {*packed}
        for i, buffer in enumerate(self.entries("buffers")):
            self._buffers.append(self._buffer(i, buffer))
        for i in range(len(self.entries("bufferViews"))):
            self._unpacked_view(i)
        for i, accessor in enumerate(self.entries("accessors")):
            self._values.append(self._read(i, accessor))

    def entries(self, name: str) -> list[dict[str, Any]]:
        return self._root.get(name, [])

    def entry(self, where: str, name: str, index: Any) -> dict[str, Any]:
        """The entry that an index names."""
        entries = self.entries(name)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(entries):
            refuse(where, f"{name}[{index!s:.20}] is not there; the file has {len(entries)}")
        return entries[index]

    def accessor(self, where: str, index: Any, kinds: tuple[str, ...]) -> NDArray[Any]:
        """The values of an accessor of one of some types."""
        kind = self.entry(where, "accessors", index)["type"]
        if kind not in kinds:
            refuse(where, f"accessors[{index}] is {kind}; {' or '.join(kinds)} is wanted")
        return self._values[index]

    def of(self, index: int) -> NDArray[Any]:
        """The values of an accessor that is there, shape (count, width)."""
        return self._values[index]

    def is_packed(self, index: int) -> bool:
        """Whether an accessor's values are packed: only what is said of them is known."""
        return index in self._packed

    def view(self, index: Any, where: str = "") -> tuple[memoryview, int]:
        """(bytes of a buffer view, stride; 0: packed)."""
        where = where or f"bufferViews[{index}]"
        view = self.entry(where, "bufferViews", index)
        if self._meshopt(where, view) is not None:
            refuse(where, "it is packed, and only values of accessors may be (meshopt)")
        return self._slice(where, view)

    def add(self, where: str, size: int) -> None:
        """Counts bytes that a browser unpacks."""
        self._bytes += size
        if self._bytes > VALUES_BYTES_MAX:
            refuse(where, f"all accessors have more than {VALUES_BYTES_MAX >> 20} MiB of values")

    # --- bytes ---

    def _buffer(self, i: int, buffer: dict[str, Any]) -> memoryview:
        where = f"buffers[{i}]"
        is_fallback = self._meshopt(where, buffer) is not None
        most = VALUES_BYTES_MAX if is_fallback else FILE_BYTES_MAX
        size = count_of(where, "byteLength", buffer.get("byteLength"), most, least=1)
        uri = buffer.get("uri")
        if is_fallback and uri is None:
            return memoryview(b"")
        if uri is not None:
            data = memoryview(data_of(f"{where}.uri", uri)[1])
        elif i == 0 and self._binary is not None:
            data = self._binary
        else:
            refuse(where, "it has neither a data: URI nor the file's binary chunk")
        if len(data) < size:
            refuse(where, f"it says {size} bytes and has {len(data)}")
        return data[:size]

    def _meshopt(self, where: str, about: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return meshopt_of(about)
        except PackedError as error:
            refuse(where, str(error))

    def _unpacked_view(self, index: int) -> None:
        """Looks at a buffer view; a packed one counts as what it unpacks to."""
        where = f"bufferViews[{index}]"
        view = self.entries("bufferViews")[index]
        packed = self._meshopt(where, view)
        if packed is None:
            self.view(index)
            return
        start = count_of(where, "byteOffset", view.get("byteOffset", 0), VALUES_BYTES_MAX)
        size = count_of(where, "byteLength", view.get("byteLength"), VALUES_BYTES_MAX, least=1)
        room = self.entry(where, "buffers", view.get("buffer"))["byteLength"]
        if start + size > room:
            refuse(where, f"bytes {start} to {start + size} of a buffer that has {room}")
        stream, _ = self._slice(f"{where}.extensions", {**packed, "byteStride": 0})
        try:
            check_meshopt(packed, stream, size)
        except PackedError as error:
            refuse(where, str(error))
        self.add(where, size)

    def _slice(self, where: str, view: dict[str, Any]) -> tuple[memoryview, int]:
        """(bytes of a part of a buffer, stride)."""
        number: Any = view.get("buffer")
        self.entry(where, "buffers", number)
        buffer = self._buffers[number]
        start = count_of(where, "byteOffset", view.get("byteOffset", 0), FILE_BYTES_MAX)
        size = count_of(where, "byteLength", view.get("byteLength"), FILE_BYTES_MAX, least=1)
        if start + size > len(buffer):
            refuse(where, f"bytes {start} to {start + size} of a buffer that has {len(buffer)}")
        return buffer[start : start + size], self._stride(where, view)

    def _stride(self, where: str, view: dict[str, Any]) -> int:
        stride = count_of(where, "byteStride", view.get("byteStride", 0), 252)
        if stride and (stride < 4 or stride % 4):
            refuse(where, f"byteStride is {stride}; 4 to 252 in steps of 4 (5.11)")
        return stride

    def _read(self, index: int, accessor: dict[str, Any]) -> NDArray[Any]:
        """The values of an accessor, checked to lie in their buffer; zeros if they are packed."""
        where = f"accessors[{index}]"
        count = count_of(where, "count", accessor.get("count"), FILE_BYTES_MAX, least=1)
        width = WIDTHS.get(str(accessor.get("type")))
        dtype = _dtype(accessor)
        if width is None or dtype is None:
            refuse(where, "its type or componentType is none of glTF (3.6.2.2)")
        self.add(where, count * width * dtype.itemsize)
        if "bufferView" in accessor:
            view = self.entry(where, "bufferViews", accessor["bufferView"])
            if self._meshopt(where, view) is None:
                data, stride = self.view(accessor["bufferView"], where)
                values = _strided(where, data, accessor, dtype, count, width, stride)
            else:
                stride = self._stride(where, view)
                _placed(where, view["byteLength"], accessor, dtype, count, width, stride)
                values = _zeros(count, width, dtype)
                self._packed.add(index)
        else:
            values = _zeros(count, width, dtype)
        sparse = accessor.get("sparse")
        return values if sparse is None else self._sparse(where, sparse, values)

    def _sparse(self, where: str, sparse: Any, values: NDArray[Any]) -> NDArray[Any]:
        """Values with those of a sparse accessor put in (3.6.2.3)."""
        if not isinstance(sparse, dict):
            refuse(where, "its sparse part is no object")
        count = count_of(where, "sparse.count", sparse.get("count"), len(values), least=1)
        parts: list[NDArray[Any]] = []
        for name, width in (("indices", 1), ("values", values.shape[1])):
            part = sparse.get(name)
            if not isinstance(part, dict):
                refuse(where, f"sparse.{name} is missing")
            view, _ = self.view(part.get("bufferView"), f"{where}.sparse.{name}")
            dtype = values.dtype if name == "values" else _dtype(part)
            if dtype is None or (name == "indices" and dtype.kind != "u"):
                refuse(where, "sparse.indices are not of an unsigned type")
            parts.append(_strided(f"{where}.sparse.{name}", view, part, dtype, count, width, 0))
        at = parts[0][:, 0]
        if int(at.max()) >= len(values) or (np.diff(at.astype(np.int64)) <= 0).any():
            refuse(where, "sparse.indices do not rise within the accessor")
        filled = values.copy()
        filled[at] = parts[1]
        return filled


def data_of(where: str, uri: Any) -> tuple[str, bytes]:
    """(media type, bytes) of a data: URI. Everything else lies outside and is refused by name."""
    if not isinstance(uri, str):
        refuse(where, "it is no text")
    if not uri.startswith("data:"):
        refuse(
            where,
            f"'{uri:.80}' lies outside of the file, and nothing is fetched; export as one .glb",
        )
    head, comma, body = uri[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        refuse(where, "a data: URI without base64")
    try:
        return head.removesuffix(";base64"), base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        refuse(where, "its base64 is broken")


def refuse(where: str, why: str) -> NoReturn:
    """Says no to a file, by the place in it and the mend."""
    raise GltfError(f"glTF, {where}: {why}")


def count_of(where: str, name: str, value: Any, most: int, *, least: int = 0) -> int:
    """A whole number of a file, from `least` to `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        refuse(where, f"{name} is {value!s:.40}; {least} to {most} is possible")
    return value


# --- the smaller parts ------------------------------------------------------------------------


def _chunks(view: memoryview) -> tuple[bytes, memoryview | None]:
    """The JSON and the binary chunk of a GLB container (chapter 4)."""
    size = len(view)
    _, version, length = struct.unpack("<III", view[:12])
    if version != 2:
        refuse("header", f"glTF {version}; version 2 is drawn: export it anew as glTF 2.0")
    if length != size:
        refuse("header", f"the file says {length} bytes and has {size}: it was cut off or padded")
    found: dict[int, tuple[int, int]] = {}
    at, first = 12, True
    while at < size:
        if at + 8 > size:
            refuse("chunks", "the file ends within the head of a chunk")
        chunk_size, kind = struct.unpack("<II", view[at : at + 8])
        if chunk_size % 4 or at + 8 + chunk_size > size:
            refuse("chunks", f"a chunk of {chunk_size} bytes at byte {at} does not fit")
        if first and kind != _JSON_CHUNK:
            refuse("chunks", "the first chunk is not JSON")
        first = False
        found.setdefault(kind, (at + 8, chunk_size))  # others are for extensions: passed over
        at += 8 + chunk_size
    if _JSON_CHUNK not in found:
        refuse("chunks", "there is no JSON")
    start, chunk_size = found[_JSON_CHUNK]
    text = bytes(view[start : start + chunk_size])
    if _BIN_CHUNK not in found:
        return text, None
    start, chunk_size = found[_BIN_CHUNK]
    return text, view[start : start + chunk_size]


def _parsed(text: bytes) -> dict[str, Any]:
    def no_number(name: str) -> NoReturn:
        raise ValueError(f"{name} is no number of JSON")

    try:
        root = json.loads(text.decode("utf-8"), parse_constant=no_number)
    except RecursionError:
        refuse("JSON", "it is nested too deeply")
    except ValueError as error:
        refuse("JSON", str(error)[:200])
    if not isinstance(root, dict):
        refuse("JSON", "it is no object")
    return root


def _dtype(about: dict[str, Any]) -> np.dtype[Any] | None:
    code = about.get("componentType")
    return _COMPONENTS.get(code) if isinstance(code, int) else None


def _strided(
    where: str,
    view: memoryview,
    about: dict[str, Any],
    dtype: np.dtype[Any],
    count: int,
    width: int,
    stride: int,
) -> NDArray[Any]:
    """Values in a view, shape (count, width), without copying them."""
    start, step = _placed(where, len(view), about, dtype, count, width, stride)
    return np.ndarray(
        (count, width), dtype, buffer=view, offset=start, strides=(step, dtype.itemsize)
    )


def _placed(
    where: str,
    size: int,
    about: dict[str, Any],
    dtype: np.dtype[Any],
    count: int,
    width: int,
    stride: int,
) -> tuple[int, int]:
    """(start, step) of values in a view of some bytes, which has room for all of them."""
    start = count_of(where, "byteOffset", about.get("byteOffset", 0), VALUES_BYTES_MAX)
    step = stride or dtype.itemsize * width
    if start % dtype.itemsize or step % dtype.itemsize:
        refuse(where, "its values are not aligned (3.6.2.4)")
    if step < dtype.itemsize * width:
        refuse(where, f"byteStride {step} is less than a value has")
    if start + step * (count - 1) + dtype.itemsize * width > size:
        refuse(where, f"{count} values do not fit into {size} bytes")
    return start, step


def _zeros(count: int, width: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """As many zeros, which take no room."""
    return np.broadcast_to(np.zeros((1, width), dtype), (count, width))
