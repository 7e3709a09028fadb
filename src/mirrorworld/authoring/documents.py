"""One twin's document: takes updates in, if they say what their author may say.

An update is applied, and what it has touched is compared with what was there. Where something in
it is not its author's to say, the document is made anew from the updates before; that costs more
than taking, and is paid only for who tries. Nothing that was refused leaves a trace.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from pycrdt import Doc, Map

from mirrorworld.authoring import updates
from mirrorworld.authoring.updates import Known
from mirrorworld.protocol.authoring import TASK_STATES, Note, Task

NOTES_MAX: Final = 1_000
"""Notes of one twin, and tasks of one twin."""
TEXT_MAX: Final = 20_000
SHORT_MAX: Final = 500
REPLIES_MAX: Final = 500
PHOTOS_MAX: Final = 50
STROKES_MAX: Final = 500
POINTS_MAX: Final = 2_000
"""Of a stroke."""
PLACE_M_MAX: Final = 1e5
DOCUMENT_BYTES_MAX: Final = 8 << 20
GATHERED: Final = 64
"""So many updates of a document are kept before one takes their place."""
AHEAD_MS: Final = 86_400_000.0
"""A clock of an author may be ahead by a day."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DUE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})?")
_KINDS: Final = {"notes": Note, "tasks": Task}
_PARTS: Final = ("strokes", "photos", "replies")

Key = tuple[str, str]
"""(notes or tasks, id)."""


class LacksError(ValueError):
    """An update builds on what is not here: something before it was lost on its way."""


class NotYoursError(PermissionError):
    """An update says what is not its author's to say."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who an update comes from; None in its place: who may say anything, as a file that is
    read."""

    id: str
    is_editor: bool = False
    """Whether they may take away what others wrote."""


class Document:
    """A twin's notes and tasks, as its updates add up to them.

    Attributes:
        entries: plain forms of all notes and tasks, by (notes or tasks, id).
    """

    def __init__(self, kept: Iterable[bytes] = ()) -> None:
        """A document of updates that were taken once.

        Raises:
            ValueError: one of them is none.
        """
        self.entries: dict[Key, dict[str, Any]] = {}
        self._updates = list(kept)
        self._touched: set[Key] = set()
        self._owners: dict[int, str] = {}
        self._make()

    def _make(self) -> None:
        self._doc: Doc[Any] = Doc()
        self._maps: dict[str, Map[Any]] = {}
        for root in _KINDS:
            self._maps[root] = self._doc.get(root, type=Map)
            self._maps[root].observe_deep(functools.partial(self._note, root))
        for update in self._updates:
            updates.read(update, most=DOCUMENT_BYTES_MAX)
            self._apply(update)
        self.entries = {}
        for root, kept in self._maps.items():
            for id in list(kept.keys()):
                self.entries[root, id] = self._plain(root, id) or {}
        self._touched.clear()

    def _apply(self, update: bytes) -> None:
        try:
            self._doc.apply_update(update)
        except BaseException as error:  # a panic of the library is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise ValueError("these bytes are no update of a document") from error

    def _note(self, root: str, events: list[Any]) -> None:
        for event in events:
            if event.path:
                self._touched.add((root, str(event.path[0])))
            else:
                self._touched.update((root, id) for id in event.keys)

    def _plain(self, root: str, id: str) -> dict[str, Any] | None:
        kept = self._maps[root]
        if id not in kept:
            return None
        value = kept[id]
        return value.to_py() if isinstance(value, Map) else {}

    # --- reading ---

    @property
    def state(self) -> bytes:
        """The state vector."""
        return self._doc.get_state()

    @property
    def known(self) -> Known:
        """The state vector, read."""
        return updates.state(self.state)

    def since(self, state: bytes) -> bytes:
        """What is lacking where a state is known. ValueError where it is no state."""
        updates.state(state)
        return self._doc.get_update(state)

    def whole(self) -> bytes:
        """One update that holds all."""
        return self._doc.get_update()

    @property
    def kept(self) -> tuple[bytes, ...]:
        """The updates that it is made of."""
        return tuple(self._updates)

    @property
    def is_empty(self) -> bool:
        """Whether nobody has written anything, not even what was taken away since."""
        return not self._updates

    def notes(self) -> dict[str, Note]:
        """Notes by id."""
        return self._of("notes", Note)

    def tasks(self) -> dict[str, Task]:
        """Tasks by id."""
        return self._of("tasks", Task)

    def _of(self, root: str, kind: Any) -> dict[str, Any]:
        return {
            id: msgspec.convert(plain, kind)
            for (of, id), plain in self.entries.items()
            if of == root
        }

    def photos(self) -> set[str]:
        """The files that it refers to, by SHA-256."""
        return set().union(*map(_photos, self.entries.values()))

    # --- writing ---

    def take(
        self,
        update: bytes,
        author: Author | None,
        now_ms: float,
        check_photo: Callable[[str], None] = lambda sha256: None,
        most: int = updates.UPDATE_BYTES_MAX,
    ) -> bool:
        """Takes an update in; False: it says nothing that is not here already.

        Args:
            check_photo: called with each file that is newly referred to; ValueError says why not.
            most: bytes that an update may have.

        Raises:
            ValueError: it is none, builds on what is not here, or says what notes cannot say.
            NotYoursError: it says what is not its author's to say.
        """
        said = updates.read(update, most=most)
        known = self.known
        if said.lacks(known):
            raise LacksError("the update builds on what is not here; begin with the document anew")
        new = said.is_new(known)
        if author is not None:
            for client in new:
                if self._owners.get(client, author.id) != author.id:
                    raise NotYoursError("the update writes in the name of another page")
        self._touched.clear()
        try:
            self._apply(update)
            if sum(map(len, self._updates)) + len(update) > DOCUMENT_BYTES_MAX:
                raise ValueError("there is no more room in the notes of this twin")
            after = {key: self._plain(*key) for key in self._touched}
            before = {key: self.entries.get(key, {}) for key in after}
            for key, plain in after.items():
                _check(key, before[key], plain, author, now_ms)
                for sha256 in _photos(plain) - _photos(before[key]):
                    check_photo(sha256)
            for root in _KINDS:
                if len(self._maps[root]) > NOTES_MAX:
                    raise ValueError(f"a twin has at most {NOTES_MAX} {root}")
        except BaseException:
            self._make()
            raise
        if not after and self.known == known:
            return False
        for key, plain in after.items():
            if plain is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = plain
        if author is not None:
            self._owners.update((client, author.id) for client in new)
        self._updates.append(update)
        return True

    def gather(self) -> bytes | None:
        """Where many updates are kept: the one that takes their place."""
        if len(self._updates) < GATHERED:
            return None
        whole = self.whole()
        self._updates = [whole]
        return whole


def _check(
    key: Key, before: Mapping[str, Any], after: Any, author: Author | None, now_ms: float
) -> None:
    """Holds what an update makes of an entry against the rules."""
    root, id = key
    place = f"{root}.{id[:40]}"
    if after is None:
        if author is not None and before and not _may_take_away(before, author):
            raise NotYoursError(
                f"{place}: {before.get('author')} wrote it; ask them, or an engineer"
            )
        return
    if not _ID.fullmatch(id):
        raise ValueError(f"{place}: an id has 1 to 40 letters, digits, '-' and '_'")
    try:
        entry = msgspec.convert(after, _STRICT[root])
    except msgspec.ValidationError as error:
        raise ValueError(f"{place}: {error}") from None
    if isinstance(entry, _Note):
        _check_note(place, entry)
    else:
        _check_task(place, entry)
    if author is None:
        return
    _check_author(place, before, after, author, now_ms)
    for part in _PARTS if root == "notes" else ():
        old, new = before.get(part, {}), after.get(part, {})
        for one in old.keys() | new.keys():
            if old.get(one) == new.get(one):
                continue
            if one in new:
                _check_author(f"{place}.{part}", old.get(one, {}), new[one], author, now_ms)
                if one in old and old[one]["author"] != author.id:
                    raise NotYoursError(f"{place}.{part}: {old[one]['author']} wrote it")
            elif not _may_take_away(old[one], author):
                raise NotYoursError(f"{place}.{part}: {old[one]['author']} wrote it; ask them")


def _photos(entry: Mapping[str, Any] | None) -> set[str]:
    return {photo["sha256"] for photo in (entry or {}).get("photos", {}).values()}


def _may_take_away(entry: Mapping[str, Any], author: Author) -> bool:
    return author.is_editor or entry.get("author") == author.id


def _check_author(
    place: str, before: Mapping[str, Any], after: Mapping[str, Any], author: Author, now_ms: float
) -> None:
    if before:
        if (before["author"], before["created"]) != (after["author"], after["created"]):
            raise NotYoursError(f"{place}: who wrote it, and when, stays")
    elif after["author"] != author.id:
        raise NotYoursError(f"{place}: its author is {author.id}, not {str(after['author'])[:60]}")
    elif not 0 <= after["created"] <= now_ms + AHEAD_MS:
        raise ValueError(f"{place}: its time is not in this age")


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    author: str
    created: float


class _Stroke(_Strict):
    colour: float
    points: list[float]


class _Photo(_Strict):
    sha256: str
    name: str = ""


class _Reply(_Strict):
    text: str


class _Note(_Strict):
    at: tuple[float, float, float]
    text: str
    strokes: dict[str, _Stroke] = {}
    photos: dict[str, _Photo] = {}
    replies: dict[str, _Reply] = {}
    is_done: bool = False


class _Task(_Strict):
    title: str
    owner: str = ""
    state: str = "open"
    due: str = ""
    note: str = ""


_STRICT: Final[dict[str, Any]] = {"notes": _Note, "tasks": _Task}


def _check_note(place: str, note: _Note) -> None:
    if not all(math.isfinite(x) and abs(x) <= PLACE_M_MAX for x in note.at):
        raise ValueError(f"{place}.at: within {PLACE_M_MAX:g} m of its twin")
    _short(f"{place}.text", note.text, TEXT_MAX)
    for part, most in (("strokes", STROKES_MAX), ("photos", PHOTOS_MAX), ("replies", REPLIES_MAX)):
        entries = getattr(note, part)
        if len(entries) > most:
            raise ValueError(f"{place}.{part}: at most {most}")
        if not all(_ID.fullmatch(id) for id in entries):
            raise ValueError(f"{place}.{part}: an id has 1 to 40 letters, digits, '-' and '_'")
    for stroke in note.strokes.values():
        if len(stroke.points) % 3 or not 3 <= len(stroke.points) <= 3 * POINTS_MAX:
            raise ValueError(f"{place}.strokes: 1 to {POINTS_MAX} points, each x, y, z")
        if not all(abs(x) <= 1e8 and x == int(x) for x in stroke.points if math.isfinite(x)):
            raise ValueError(f"{place}.strokes: points are whole millimetres")
        if not all(map(math.isfinite, stroke.points)) or stroke.colour not in range(6):
            raise ValueError(f"{place}.strokes: a point or a colour is none")
    for photo in note.photos.values():
        if not _SHA256.fullmatch(photo.sha256):
            raise ValueError(f"{place}.photos: a photo is named by its SHA-256")
        _short(f"{place}.photos", photo.name, SHORT_MAX)
    for reply in note.replies.values():
        _short(f"{place}.replies", reply.text, TEXT_MAX)


def _check_task(place: str, task: _Task) -> None:
    for name in ("title", "owner", "note"):
        _short(f"{place}.{name}", getattr(task, name), SHORT_MAX)
    if task.state not in TASK_STATES:
        raise ValueError(f"{place}.state: one of {', '.join(TASK_STATES)}")
    if not _DUE.fullmatch(task.due):
        raise ValueError(f"{place}.due: a date like 2026-11-30")


def _short(place: str, text: str, most: int) -> None:
    if len(text) > most:
        raise ValueError(f"{place}: {len(text)} characters; at most {most}")
