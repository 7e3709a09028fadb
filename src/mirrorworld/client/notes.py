"""Notes and tasks from Python: each call changes a twin's document as a page does, and sends what
changed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

from pycrdt import Doc, Map, Text

from mirrorworld.client.access import Access
from mirrorworld.client.errors import InvalidError
from mirrorworld.protocol.rest import Problem

PARTS = ("strokes", "photos", "replies")


def add_note(access: Access, twin: str, text: str, at: Sequence[float]) -> str:
    """A new note; its id."""
    id = _new_id()
    entry: dict[str, Any] = {
        **_signed(access),
        "at": [float(x) for x in at],
        "text": Text(text),
        **{part: Map({}) for part in PARTS},
        "is_done": False,
    }
    _change(access, twin, lambda doc: doc.get("notes", type=Map).__setitem__(id, Map(entry)))
    return id


def add_task(access: Access, twin: str, title: str, owner: str, due: str, note: str) -> str:
    """A new task; its id."""
    id = _new_id()
    entry = {
        **_signed(access),
        "title": title,
        "owner": owner,
        "state": "open",
        "due": due,
        "note": note,
    }
    _change(access, twin, lambda doc: doc.get("tasks", type=Map).__setitem__(id, Map(entry)))
    return id


def change_task(access: Access, twin: str, id: str, said: dict[str, str]) -> str:
    """Says of a task what is not None; the position."""

    def act(doc: Doc[Any]) -> None:
        tasks = doc.get("tasks", type=Map)
        if id not in tasks:
            mend = "world.tasks() lists those that there are"
            raise InvalidError(Problem(f"{twin} has no task '{id}'", "id", mend))
        for name, value in said.items():
            tasks[id][name] = value

    return _change(access, twin, act)


def reply(access: Access, twin: str, note: str, text: str) -> str:
    """Answers a note; the position."""

    def act(doc: Doc[Any]) -> None:
        notes = doc.get("notes", type=Map)
        if note not in notes:
            mend = "world.notes() lists those that there are"
            raise InvalidError(Problem(f"{twin} has no note '{note}'", "note", mend))
        notes[note]["replies"][_new_id()] = {**_signed(access), "text": text}

    return _change(access, twin, act)


def _change(access: Access, twin: str, act: Callable[[Doc[Any]], object]) -> str:
    doc: Doc[Any] = Doc()
    doc.apply_update(access.document(twin))
    before = doc.get_state()
    with doc.transaction():
        act(doc)
    return access.write_about(twin, doc.get_update(before))


def _signed(access: Access) -> dict[str, Any]:
    return {"author": access.info().principal.id, "created": float(time.time_ns() // 1_000_000)}


def _new_id() -> str:
    return secrets.token_urlsafe(9)
