"""What sheets have in common that the page writes: a name that a link carries, and a JSON object of
a known version. Boards, tours and looks are read through here.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, cast

from mirrorworld.world.model import Sheet

NAME_LENGTH_MAX: Final = 80
BODY_LENGTH_MAX: Final = 200_000
ID_LENGTH_MAX: Final = 1_000
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


def opened(sheet: Sheet, keys: tuple[str, ...], version: int) -> dict[str, Any]:
    """The object of a sheet's body.

    Raises:
        ValueError: it is none, has a key that is not of `keys`, or another version; the message
            names the sheet and the place in it.
    """
    place = place_of(sheet)
    noun, name = sheet.kind, sheet.name
    if len(name) > NAME_LENGTH_MAX or name != name.strip() or not name.isprintable():
        raise ValueError(
            f"{place}: a {noun}'s name has up to {NAME_LENGTH_MAX} printable characters, none of"
            " them a space at an end"
        )
    if len(sheet.body) > BODY_LENGTH_MAX:
        raise ValueError(
            f"{place}: {len(sheet.body)} characters; a {noun} has at most {BODY_LENGTH_MAX}"
        )
    try:
        plain = json.loads(sheet.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise ValueError(f"{place}: an object was expected")
    known = cast("dict[str, Any]", plain)
    for key in known:
        if key not in (*keys, "version"):
            there = ", ".join(sorted((*keys, "version")))
            raise ValueError(f"{place}: '{key[:40]}' is not known; there are {there}")
    if known.get("version") != version:
        said = f"{known.get('version')!r:.20}"
        raise ValueError(f"{place}.version: {said}; this server reads version {version}")
    return known


def place_of(sheet: Sheet) -> str:
    """How errors name a sheet."""
    return f"{sheet.kind} {sheet.name[:NAME_LENGTH_MAX]}"


def rows(known: dict[str, Any], key: str, most: int, sheet: Sheet) -> list[Any]:
    """A list of at most `most` things."""
    place = place_of(sheet)
    found = known.get(key, [])
    if not isinstance(found, list):
        raise ValueError(f"{place}.{key}: a list was expected")
    listed = cast("list[Any]", found)
    if len(listed) > most:
        raise ValueError(
            f"{place}.{key}: {len(listed)}; a {sheet.kind} has at most {most}:"
            f" make another {sheet.kind}"
        )
    return listed


def own_ids(ids: list[str], key: str, what: str, sheet: Sheet) -> None:
    """Each part of a sheet has an id of its own, so that two people can work on it at once."""
    seen: set[str] = set()
    for i, each in enumerate(ids):
        place = f"{place_of(sheet)}.{key}[{i}].id"
        if not _ID.fullmatch(each):
            raise ValueError(f"{place}: 1 to 32 letters, digits, _ and - were expected")
        if each in seen:
            raise ValueError(f"{place}: '{each}' is taken by another {what}")
        seen.add(each)


def within(value: float, low: float, high: float, place: str) -> None:
    """Raises ValueError where a number is not of its range; NaN is of none."""
    if not low <= value <= high:
        raise ValueError(f"{place}: {value}; {low} to {high} was expected")


def short(text: str, most: int, place: str) -> None:
    """Raises ValueError where a text is too long."""
    if len(text) > most:
        raise ValueError(f"{place}: {len(text)} characters; at most {most}")
