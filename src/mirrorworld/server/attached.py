"""Files that people attach: how they come in, and who may see them.

A file is taken while it comes, bounded, hashed and looked at before it gets a name; what it is,
its content says. Where files lie is the record's business, what a model must be like is told by
`examiners`. Fetches nothing.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mirrorworld import attachments
from mirrorworld.attachments import AttachmentError
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.problems import Refused
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Edit
from mirrorworld.world.model import Blob, Twin
from mirrorworld.world.ports import Arriving, BlobStore

Examine = Callable[[Path], Any]
"""Looks into a file of one kind; ValueError says why it is not taken."""

AT_ONCE: Final = 4
BATCH_BYTES: Final = 1 << 20
SILENCE_S: Final = 30.0
RECENT: Final = 4_096


@dataclass(frozen=True, slots=True)
class Room:
    """How much attached files may take of a disk."""

    total_bytes: int = 100 << 30
    """Of all files of a world together."""
    free_bytes: int = 1 << 30
    """Stays free: a record that finds the disk full takes nothing more."""


ROOM: Final = Room()


class Attached:
    """The attached files of one world.

    Args:
        examiners: media type -> what looks into files of it; models without one are not taken.
    """

    def __init__(
        self,
        mirror: Mirrored,
        examiners: Mapping[str, Examine] | None = None,
    ) -> None:
        self.counts: dict[str, int] = {"taken": 0, "refused": 0}
        self.holders: list[Callable[[str], Iterable[str]]] = []
        """What else refers to files: from one to the twins of which it is."""
        self._mirror = mirror
        self._examiners = dict(examiners or {})
        self._coming = 0
        self._recent: dict[tuple[str, str], None] = {}
        self._version = -1
        self._held: dict[str, tuple[Twin, tuple[str, ...]]] = {}
        self._twins_of: dict[str, set[str]] = {}

    @property
    def store(self) -> BlobStore:
        """Where files lie; 422 where this world keeps none."""
        store = self._mirror.blobs
        if store is None:
            raise Refused(422, "this world keeps no files", "blobs", "open one that has a record")
        return store

    # --- in ---

    async def take(
        self, who: Sight, parts: AsyncIterator[bytes], announced: int, name: str
    ) -> Blob:
        """Keeps a file that comes in parts; returns when it is durable.

        Args:
            announced: how large it will be, as its sender says; 0: it does not say.
            name: what its sender calls it; kept as text.

        Raises:
            Refused: 408 nothing came for SILENCE_S, 422 it is nothing that is taken, 429 too many
                come at once, 507 no room.
        """
        if self._coming >= AT_ONCE:
            mend = "wait until one of them is there"
            raise Refused(429, f"{self._coming} files are coming already", "body", mend)
        store = self.store
        self._coming += 1
        arriving: Arriving | None = None
        try:
            await asyncio.to_thread(self._check_room, store, announced)
            arriving = await asyncio.to_thread(store.receive)
            blob = await self._taken(store, arriving, parts, name)
        except BaseException as error:
            self.counts["refused"] += 1
            if isinstance(error, AttachmentError):
                raise Refused(422, str(error), "body") from error
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room("the disk is full") from error
            raise
        finally:
            self._coming -= 1
            if arriving is not None:
                await asyncio.shield(asyncio.to_thread(arriving.discard))
        self.counts["taken"] += 1
        self._recent[who.who.id, blob.sha256] = None
        while len(self._recent) > RECENT:
            self._recent.pop(next(iter(self._recent)))
        return blob

    async def _taken(
        self, store: BlobStore, arriving: Arriving, parts: AsyncIterator[bytes], name: str
    ) -> Blob:
        """Goes through a file batch by batch; what was looked at gets its name."""
        known = attachments.Recognition(models=self._examiners.keys() >= attachments.MODELS)
        async for batch in _batches(parts):
            known.take(batch)
            await asyncio.to_thread(arriving.write, batch)
            await asyncio.to_thread(self._check_room, store, 0)
        media_type = known.end()
        await asyncio.to_thread(arriving.sync)
        examine = self._examiners.get(media_type)
        if examine is not None:
            try:
                await asyncio.to_thread(examine, arriving.path)
            except ValueError as error:
                raise AttachmentError(str(error)) from error
        size = arriving.size_bytes
        sha256 = await asyncio.to_thread(arriving.keep)
        return Blob(sha256, media_type, size, attachments.plain_name(name, media_type))

    def _check_room(self, store: BlobStore, announced: int) -> None:
        """Refuses what would not leave enough of the disk."""
        where = store.path("0" * 64).parent.parent
        while not where.exists():
            where = where.parent
        free = shutil.disk_usage(where).free - announced
        if free < ROOM.free_bytes:
            raise _no_room(f"the disk would have {max(free, 0) >> 20} MiB left")
        if announced and store.total_bytes + announced > ROOM.total_bytes:
            raise _no_room(f"all files of a world take at most {ROOM.total_bytes >> 20} MiB")

    # --- who sees it ---

    def sees(self, view: Sight, sha256: str) -> bool:
        """Whether one may have a file: whoever sees a twin that refers to it, and whoever sees the
        whole world, since they see its log, and with it what was attached before."""
        if view.is_whole or (view.who.id, sha256) in self._recent:
            return True
        self._look()
        if any(view.sees(twin) for twin in self._twins_of.get(sha256, ())):
            return True
        return any(view.sees(twin) for holder in self.holders for twin in holder(sha256))

    def check(self, view: Sight, edits: Iterable[tuple[str, Edit]]) -> None:
        """Looks whether edits refer to files that are here and that their author may have; what a
        twin refers to already is its own affair.

        Args:
            edits: (place, edit).

        Raises:
            Refused: 422 that names the place.
        """
        twins = self._mirror.world.structure.twins
        for place, edit in edits:
            new = {(b.sha256, b.size_bytes): b for b in attachments.blobs_in(edit)}
            said = getattr(edit, "twin", None)
            known = twins.get(said.id if isinstance(said, Twin) else str(said)) if new else None
            for blob in attachments.blobs_of(known) if known is not None else ():
                new.pop((blob.sha256, blob.size_bytes), None)
            for blob in new.values():
                self._check_one(view, blob, place)

    def _check_one(self, view: Sight, blob: Blob, place: str) -> None:
        mend = "POST it to /api/blobs first; its answer is what an edit refers to"
        try:
            path = self.store.path(blob.sha256)
            with open(path, "rb") as file:
                head = file.read(attachments.HEAD_BYTES)
            size = path.stat().st_size
        except FileNotFoundError:
            size, head = -1, b""
        if size < 0 or not self.sees(view, blob.sha256):
            raise Refused(422, f"no file {blob.sha256[:16]}… is kept here", place, mend)
        is_look = blob.size_bytes == 0
        kind = attachments.shown_as(head)
        if is_look and kind not in attachments.MODELS:
            raise Refused(422, f"this file is {kind}, which cannot be drawn", place, mend)
        if not is_look and (blob.size_bytes != size or blob.media_type != kind):
            raise Refused(422, f"that file is {kind} of {size} bytes", place, mend)

    def _look(self) -> None:
        """Brings up to date which twins refer to what. Twins never change but are replaced, so of
        those that are the same nothing is read again."""
        structure = self._mirror.world.structure
        if structure.version == self._version:
            return
        self._version = structure.version
        before, self._held = self._held, {}
        self._twins_of = {}
        of_types: dict[str, set[str]] = {}
        for twin_id, twin in structure.twins.items():
            known = before.get(twin_id)
            if known is None or known[0] is not twin:
                known = (twin, tuple({blob.sha256 for blob in attachments.blobs_of(twin)}))
            self._held[twin_id] = known
            if twin.type not in of_types:
                chain = (structure.types.get(each) for each in structure.supertypes(twin.type))
                look = next((each.geometry for each in chain if each and each.geometry), "")
                of_types[twin.type] = attachments.looks(look)
            for sha256 in (*known[1], *of_types[twin.type]):
                self._twins_of.setdefault(sha256, set()).add(twin_id)


def _no_room(why: str) -> Refused:
    mend = "remove files that nobody needs, or free space on the disk of the server"
    return Refused(507, why, "body", mend)


async def _batches(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What comes, in batches of BATCH_BYTES and a last one."""
    batch = bytearray()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                part = await anext(parts)
        except StopAsyncIteration:
            break
        except TimeoutError:
            mend = "send it again over a better line"
            raise Refused(408, f"nothing came for {SILENCE_S:.0f} s", "body", mend) from None
        batch += part
        while len(batch) >= BATCH_BYTES:
            yield bytes(batch[:BATCH_BYTES])
            del batch[:BATCH_BYTES]
    if batch:
        yield bytes(batch)
