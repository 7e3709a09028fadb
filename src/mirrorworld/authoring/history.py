"""Who wrote what about a twin, and when: its document's changes in the log, said in lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from mirrorworld.authoring.documents import Document, Key
from mirrorworld.protocol.authoring import Written
from mirrorworld.world.changes import Change, OriginKind, Writing

TOGETHER_MS: Final = 60_000.0
"""What one person writes about one thing within that time is one step."""
SHOWN: Final = 120

_PARTS: Final = {"strokes": "a drawing", "photos": "a photo", "replies": "a reply"}


def steps(changes: Iterable[Change], twin: str) -> list[Written]:
    """The steps in which a twin's document came about, oldest first. What only gathers what was
    written before is no step; what cannot be read is passed over."""
    document = Document()
    found: list[Written] = []
    about: set[Key] = set()
    for change in changes:
        body = change.body
        if not isinstance(body, Writing) or body.twin != twin:
            continue
        before = dict(document.entries)
        if body.is_whole:
            document = Document([body.update] if body.update else [])
        else:
            try:
                document.take(body.update, None, 0.0)
            except ValueError:
                continue
        if change.origin.kind != OriginKind.AUTHORED:
            continue
        touched = {
            key
            for key in before.keys() | document.entries.keys()
            if before.get(key) != document.entries.get(key)
        }
        said = list(_said(before, document.entries, touched))
        if not said:
            continue
        at_ms = change.received_ns / 1e6
        last = found[-1] if found else None
        step = Written(str(change.position), change.origin.by, at_ms, said)
        is_same = touched == about and last is not None and last.by == step.by
        if is_same and last is not None and at_ms - last.at_ms < TOGETHER_MS:
            kept = [line for line in last.said if line.partition(":")[0] not in _heads(said)]
            found[-1] = Written(step.position, step.by, at_ms, [*kept, *said])
        else:
            found.append(step)
        about = touched
    return found


def _heads(said: list[str]) -> set[str]:
    return {line.partition(":")[0] for line in said}


def _said(before: dict[Key, Any], after: dict[Key, Any], touched: set[Key]) -> Iterator[str]:
    for key in sorted(touched):
        kind = "note" if key[0] == "notes" else "task"
        old, new = before.get(key), after.get(key)
        if old is None and new is not None:
            yield f"new {kind}: {_short(new)}"
        elif old is not None and new is None:
            yield f"took the {kind} away: {_short(old)}"
        elif old is not None and new is not None:
            yield from _changed(kind, old, new)


def _changed(kind: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in sorted(old.keys() | new.keys()):
        then, now = old.get(name), new.get(name)
        if then == now:
            continue
        if name in _PARTS:
            yield from _parts(name, then or {}, now or {})
        elif name in ("text", "title"):
            yield f"{kind}: {_short(new)}"
        elif name == "is_done":
            yield f"{kind} {'done' if now else 'open again'}: {_short(new)}"
        else:
            yield f"{kind} {name}: {str(now)[:SHOWN] or 'none'}"


def _parts(name: str, then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for id in sorted(then.keys() | now.keys()):
        if id not in then:
            text = str(now[id].get("text") or now[id].get("name") or "")[:SHOWN]
            yield f"{_PARTS[name]}: {text}" if text else f"{_PARTS[name]} more"
        elif id not in now:
            yield f"{_PARTS[name]} less"


def _short(entry: dict[str, Any]) -> str:
    text = str(entry.get("text") or entry.get("title") or "").strip()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
