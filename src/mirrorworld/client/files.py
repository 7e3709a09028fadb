"""Files of a twin: documents and the model that it looks like, wherever the world is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from mirrorworld import attachments
from mirrorworld.client.access import Access
from mirrorworld.client.errors import of_exception
from mirrorworld.world.model import Blob, Twin
from mirrorworld.world.plain import from_plain
from mirrorworld.world.ports import BlobStore

Examine = Callable[[Path], object]

BATCH_BYTES = attachments.PICTURE_BYTES


class Document:
    """A file that is attached to a twin. Its bytes are fetched when they are asked for."""

    def __init__(self, access: Access, twin: str, blob: Blob) -> None:
        self._access = access
        self._twin = twin
        self.blob = blob

    @property
    def name(self) -> str:
        """What it was called; text, and no path."""
        return self.blob.name

    @property
    def media_type(self) -> str:
        """What it is, by its content."""
        return self.blob.media_type

    @property
    def size_bytes(self) -> int:
        """How large it is."""
        return self.blob.size_bytes

    def read(self) -> bytes:
        """All of it."""
        return self._access.file(self.blob.sha256)

    def save(self, path: str | Path) -> Path:
        """Writes it to a path of yours; FileExistsError if something is there."""
        with open(path, "xb") as file:
            file.write(self.read())
        return Path(path)

    def remove(self) -> str:
        """Takes it off the twin; returns the durable position. The log still has it."""
        twin = from_plain(Twin, self._access.twin(self._twin).twin)
        try:
            edit = attachments.without_document(twin, self.blob.sha256)
        except KeyError as error:
            raise of_exception(error) from error
        return self._access.edit([edit], f"removed {self.name}")

    def __repr__(self) -> str:
        return f"<Document {self.name!r} {self.media_type} {self.size_bytes} bytes>"


def keep(store: BlobStore, examiners: Mapping[str, Examine], path: Path, name: str) -> Blob:
    """Keeps a file in a store of this process, after it was looked at as a server does.

    Raises:
        ValueError: it is nothing that is taken; the message says why.
    """
    arriving = store.receive()
    try:
        known = attachments.Recognition(models=examiners.keys() >= attachments.MODELS)
        with open(path, "rb") as file:
            while batch := file.read(BATCH_BYTES):
                known.take(batch)
                arriving.write(batch)
        media_type = known.end()
        arriving.sync()
        if media_type in examiners:
            examiners[media_type](arriving.path)
        size = arriving.size_bytes
        return Blob(arriving.keep(), media_type, size, attachments.plain_name(name, media_type))
    finally:
        arriving.discard()
