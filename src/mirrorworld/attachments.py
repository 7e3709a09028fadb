"""Files that people attach to twins: what one is, by its content, and how a twin refers to it.

Knows the first bytes of the kinds of files that are taken and the two places where a twin holds
one: its property `documents` and its geometry. Opens no file, fetches nothing, stores nothing.
"""

from __future__ import annotations

import codecs
import contextlib
import math
import re
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl

from mirrorworld.world.changes import DropProperty, Edit, PutProperty
from mirrorworld.world.model import Blob, Property, Twin

DOCUMENTS: Final = "documents"
DOCUMENTS_ID: Final = "0173-1#02-ABI500#003"
"""Documents of IDTA 02004-2-0, Handover Documentation."""
FILE_ID: Final = "0173-1#02-ABK126#002"
"""DigitalFiles of the same."""
DOCUMENTS_MAX: Final = 1_000
"""Of one twin."""

GLB: Final = "model/gltf-binary"
GLTF: Final = "model/gltf+json"
MODELS: Final = frozenset({GLB, GLTF})
PHOTOS: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""What a note shows as a photo."""
TEXT: Final = "text/plain"
SUFFIXES: Final[dict[str, tuple[str, ...]]] = {
    "application/pdf": (".pdf",),
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/webp": (".webp",),
    "image/gif": (".gif",),
    GLB: (".glb",),
    GLTF: (".gltf",),
    TEXT: (".txt", ".csv", ".md", ".log", ".json", ".yaml", ".yml", ".toml", ".ini"),
}
"""Kinds of files that are taken, and how their names end."""
HEAD_BYTES: Final = 4096
"""So much of a file's beginning says what it is."""
PICTURE_BYTES: Final = 1 << 20
"""So much of it says how large a picture is; cameras put previews before that."""
PIXELS_MAX: Final = 100_000_000
NAME_LENGTH_MAX: Final = 150

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"glTF", GLB),
)
_MARKUP: Final = re.compile(rb"\s*<[!?/a-z]", re.IGNORECASE)
_TAKEN: Final = "PDF, PNG, JPEG, WebP, GIF, plain text and glTF (.glb, self-contained .gltf)"
_ASCII_SPACE: Final = b" \t\r\n\f"


class AttachmentError(ValueError):
    """A file that is not taken; the message says why and the mend."""


# --- what a file is -------------------------------------------------------------------------


def media_type_of(head: bytes) -> str:
    """What a file is, by its first bytes (HEAD_BYTES of them, or all if it is shorter).

    Neither its name nor what its sender calls it counts. Text is checked to its end by
    `TextCheck`.

    Raises:
        AttachmentError: it is nothing that is taken. Markup (HTML, SVG, XML) never is: it can
            carry scripts.
    """
    if not head:
        raise AttachmentError("the file is empty")
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    plain = head.removeprefix(codecs.BOM_UTF8)
    if _MARKUP.match(plain):
        raise AttachmentError(
            "this is HTML, SVG or XML, which can carry scripts; save it as PDF, PNG or plain text"
        )
    try:
        TextCheck().take(plain)
    except AttachmentError:
        raise AttachmentError(f"this is no file that is taken; {_TAKEN} are") from None
    if plain.lstrip(_ASCII_SPACE).startswith(b"{") and re.search(rb'"asset"\s*:\s*\{', plain):
        return GLTF
    return TEXT


def shown_as(head: bytes) -> str:
    """What a stored file is served as: what it is, or bytes to be kept where it is nothing that is
    taken."""
    try:
        return media_type_of(head)
    except AttachmentError:
        return "application/octet-stream"


class TextCheck:
    """Looks whether a file is text while it comes."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def take(self, part: bytes, *, is_last: bool = False) -> None:
        """The next part of the file.

        Raises:
            AttachmentError: it is not UTF-8, or has control characters in it.
        """
        try:
            text = self._decoder.decode(part, is_last)
        except UnicodeDecodeError:
            raise AttachmentError("this text is not UTF-8; save it as UTF-8") from None
        if re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text):
            raise AttachmentError(
                f"this is no plain text, and no other file that is taken; {_TAKEN} are"
            )


class Recognition:
    """Finds out what a file is while it comes, batch by batch; the first batch says it, and has
    PICTURE_BYTES unless it is the whole file.

    Args:
        models: whether models are taken, since somebody looks into them.
    """

    def __init__(self, *, models: bool) -> None:
        self.media_type = ""
        self._models = models
        self._head = b""
        self._text = TextCheck()

    def take(self, batch: bytes) -> None:
        """The next batch; AttachmentError if it is none of a file that is taken."""
        if not self._head:
            self._head = batch
            self.media_type = media_type_of(batch[:HEAD_BYTES])
            if self.media_type in MODELS and not self._models:
                raise AttachmentError("models are not taken here: nothing looks into them")
        if self.media_type == TEXT:
            self._text.take(batch)

    def end(self) -> str:
        """The media type of the whole file; AttachmentError if it is none that is taken."""
        if not self._head:
            raise AttachmentError("the file is empty")
        if self.media_type == TEXT:
            self._text.take(b"", is_last=True)
        elif self.media_type.startswith("image/"):
            check_picture(self.media_type, self._head)
        return self.media_type


def check_picture(media_type: str, head: bytes) -> None:
    """Looks whether a browser can be given a picture.

    Args:
        head: the first PICTURE_BYTES of it, or all if it is smaller.

    Raises:
        AttachmentError: it says no size, or is larger than PIXELS_MAX.
    """
    size = picture_size(media_type, head)
    if size is None or 0 in size:
        raise AttachmentError(f"this {media_type} is damaged: it does not say how large it is")
    if size[0] * size[1] > PIXELS_MAX:
        raise AttachmentError(
            f"this picture has {size[0]} × {size[1]} pixels; at most {PIXELS_MAX // 1_000_000}"
            " million are shown: save it smaller"
        )


def check_photo(content: bytes) -> None:
    """Looks whether a file can be the photo of a note.

    Raises:
        AttachmentError: it is another kind of file, or no picture that a browser can be given.
    """
    kind = shown_as(content[:HEAD_BYTES])
    if kind not in PHOTOS:
        raise AttachmentError(f"a photo is PNG, JPEG, WebP or GIF, not {kind}")
    check_picture(kind, content[:PICTURE_BYTES])


def picture_size(media_type: str, head: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels, by its headers; None where it does not say."""
    try:
        match media_type:
            case "image/png":  # PNG, 11.2.2 IHDR
                return struct.unpack(">II", head[16:24]) if head[12:16] == b"IHDR" else None
            case "image/gif":
                return struct.unpack("<HH", head[6:10])
            case "image/jpeg":
                return _jpeg_size(head)
            case "image/webp":
                return _webp_size(head)
            case _:
                return None
    except (struct.error, IndexError):
        return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """From the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
        elif marker in (0x01, *range(0xD0, 0xD9)):
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """From the first chunk (RFC 9649, 2.5 to 2.7)."""
    match data[12:16]:
        case b"VP8X":
            width = int.from_bytes(data[24:27], "little") + 1
            return width, int.from_bytes(data[27:30], "little") + 1
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None


def plain_name(name: str, media_type: str) -> str:
    """A file's name as text: no folder, no control or direction character, bounded, and ending as
    files of its kind do. It is shown and offered for saving, and never a path here."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    kept = "".join(c for c in last if unicodedata.category(c)[0] != "C").strip(" .")
    suffixes = SUFFIXES.get(media_type, ())
    if suffixes and not kept.lower().endswith(suffixes):
        return (kept[: NAME_LENGTH_MAX - 8].rstrip(" .") or "file") + suffixes[0]
    if len(kept) > NAME_LENGTH_MAX:
        stem, dot, suffix = kept.rpartition(".")
        kept = stem[: NAME_LENGTH_MAX - 8] + dot + suffix[:7] if dot else kept[:NAME_LENGTH_MAX]
    return kept or "file"


# --- how a twin refers to it ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """A geometry that is a stored file: which, how large its unit is, and which way is up in it."""

    sha256: str
    scale: float = 1.0
    """Metres of one unit of the file; glTF's own unit is the metre."""
    up: str = "y"
    """`y` as glTF has it, or `z` as many CAD programs do."""

    @staticmethod
    def parse(geometry: str) -> Look | None:
        """The look that a twin's geometry names; None where it names no stored file.

        Raises:
            ValueError: it names one, but not as it should.
        """
        if not geometry.startswith("blob:"):
            return None
        sha256, _, options = geometry.removeprefix("blob:").partition("?")
        given = dict(parse_qsl(options, keep_blank_values=True))
        unknown = sorted(set(given) - {"scale", "up"})
        try:
            scale = float(given.get("scale", "1"))
        except ValueError:
            scale = 0.0
        look = Look(sha256, scale, given.get("up", "y"))
        if unknown:
            raise ValueError(f"geometry '{geometry:.100}': '{unknown[0]:.40}' is no option of it")
        look.check()
        return look

    def check(self) -> None:
        """Raises ValueError that says what does not fit."""
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"geometry: '{self.sha256:.80}' is not the SHA-256 of a blob")
        if not math.isfinite(self.scale) or not 1e-6 <= self.scale <= 1e6:
            raise ValueError(f"geometry: scale {self.scale:g}; give 0.000001 to 1000000")
        if self.up not in ("y", "z"):
            raise ValueError(f"geometry: up is '{self.up:.20}'; y or z can be up")

    def __str__(self) -> str:
        options = [f"scale={self.scale:g}"] if self.scale != 1 else []
        options += [f"up={self.up}"] if self.up != "y" else []
        return f"blob:{self.sha256}" + (f"?{'&'.join(options)}" if options else "")


def documents_of(twin: Twin) -> tuple[Blob, ...]:
    """The files that are attached to a twin as documents, in order."""
    held = twin.property(DOCUMENTS)
    children = held.children() if held is not None else ()
    return tuple(child.value for child in children if isinstance(child.value, Blob))


def with_document(twin: Twin, blob: Blob) -> Edit:
    """The edit that attaches a file; one of the same content is there once.

    Raises:
        ValueError: the twin has very many already.
    """
    held = twin.property(DOCUMENTS) or Property(DOCUMENTS, (), semantic_ids=(DOCUMENTS_ID,))
    kept = tuple(
        child
        for child in held.children()
        if not (isinstance(child.value, Blob) and child.value.sha256 == blob.sha256)
    )
    if len(kept) >= DOCUMENTS_MAX:
        raise ValueError(f"{twin.id}: has {len(kept)} documents; remove some of them first")
    new = Property("", blob, semantic_ids=(FILE_ID,))
    return PutProperty(twin.id, replace(held, value=(*kept, new)))


def without_document(twin: Twin, sha256: str) -> Edit:
    """The edit that takes a file off a twin.

    Raises:
        KeyError: it is not attached to it.
    """
    held = twin.property(DOCUMENTS)
    children = tuple(held.children()) if held is not None else ()
    kept = tuple(
        c for c in children if not (isinstance(c.value, Blob) and c.value.sha256 == sha256)
    )
    if held is None or len(kept) == len(children):
        raise KeyError(f"{twin.id}: no document {sha256[:12]} is attached to it")
    if not kept:
        return DropProperty(twin.id, DOCUMENTS)
    return PutProperty(twin.id, replace(held, value=kept))


def blobs_of(twin: Twin) -> Iterator[Blob]:
    """Every stored file that a twin refers to, its look among them."""
    yield from _blobs(twin.properties)
    for sha256 in looks(twin.geometry):  # one that is badly written is none, and refused at edits
        yield Blob(sha256, GLB)


def blobs_in(edit: Edit) -> Iterator[Blob]:
    """Every stored file that an edit brings a reference to.

    Raises:
        ValueError: a look in it does not name a stored file as it should.
    """
    for name in ("property", "relation"):
        held = getattr(edit, name, None)
        yield from _blobs(
            getattr(held, "properties", (held,) if isinstance(held, Property) else ())
        )
    for said in (edit, getattr(edit, "type", None), getattr(edit, "twin", None)):
        yield from _blobs(said.properties) if isinstance(said, Twin) else ()
        geometry = getattr(said, "geometry", "")
        yield from _look(geometry) if isinstance(geometry, str) else ()


def looks(geometry: str) -> set[str]:
    """The SHA-256 of the stored file that a geometry names; none where it names none."""
    with contextlib.suppress(ValueError):
        return {blob.sha256 for blob in _look(geometry)}
    return set()


def _blobs(properties: tuple[Property, ...]) -> Iterator[Blob]:
    for each in properties:
        if isinstance(each.value, Blob):
            yield each.value
        elif isinstance(each.value, tuple):
            yield from _blobs(tuple(each.children()))
        if each.attributes:
            yield from _blobs(each.attributes)


def _look(geometry: str) -> Iterator[Blob]:
    look = Look.parse(geometry) if geometry.startswith("blob:") else None
    if look is not None:
        yield Blob(look.sha256, GLB)
