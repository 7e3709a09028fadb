"""The photos of notes on their way between a world file and the files beside a record.

A file brings pictures that its notes show, no others; what they are was looked at when it was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from mirrorworld.authoring.documents import Document
from mirrorworld.standards.world_yaml import WorldText
from mirrorworld.world.changes import Writing
from mirrorworld.world.ports import BlobStore

LOST: Final = "it is neither in the file nor here"


def reader(store: BlobStore | None) -> Callable[[str], bytes | None]:
    """From the SHA-256 of a photo to its content; None where it is not here, or damaged."""

    def read(sha256: str) -> bytes | None:
        try:
            content = b"" if store is None else store.path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return content if hashlib.sha256(content).hexdigest() == sha256 else None

    return read


def of(text: WorldText, writing: Writing) -> tuple[list[bytes], list[str]]:
    """The photos that a document of a file shows: those that are in the file, and the names of
    those that are not."""
    shown = sorted(Document([writing.update]).photos())
    here = [text.photos[sha256] for sha256 in shown if sha256 in text.photos]
    return here, [sha256 for sha256 in shown if sha256 not in text.photos]


def keep(store: BlobStore | None, text: WorldText, writing: Writing) -> list[tuple[str, str]]:
    """Keeps the photos of a document, durable on return, before its notes refer to them.

    Returns:
        What of them is neither in the file nor here: what, and why.
    """
    contents, absent = of(text, writing)
    lost = [(lost_photo(writing, name), LOST) for name in absent if not has(store, name)]
    if store is None:
        return [*lost, *((lost_photo(writing, ""), "this world keeps no files") for _ in contents)]
    for content in contents:
        arriving = store.receive()
        try:
            arriving.write(content)
            arriving.keep()
        finally:
            arriving.discard()
    return lost


def lost_photo(writing: Writing, sha256: str) -> str:
    """What a photo that is not carried is called."""
    return f"notes of {writing.twin}: photo {sha256[:12]}…"


def has(store: BlobStore | None, sha256: str) -> bool:
    """Whether a photo is kept already."""
    return store is not None and store.path(sha256).exists()
