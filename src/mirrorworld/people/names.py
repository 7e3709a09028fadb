"""What people call themselves and write, made safe to show beside what others wrote."""

from __future__ import annotations

import unicodedata
from typing import Final

from mirrorworld.protocol.people import CHAT_MAX, NAME_MAX

_JOINERS: Final = "\u200c\u200d"
"""Of the format characters these are kept: Persian and emoji are wrong without them. All others,
as those that turn the direction of writing, could make a name look like another."""
_MARKS_MAX: Final = 4
"""Marks on one letter; more of them would grow over the lines above and below."""


def plain_name(text: str, otherwise: str, length_max: int = NAME_MAX) -> str:
    """A text of at most so many characters in one line; `otherwise` where nothing is left."""
    return " ".join(_plain(text, "").split())[:length_max].strip() or otherwise[:length_max]


def plain_text(text: str) -> str:
    """A line of chat, at most `CHAT_MAX` characters; line breaks are kept."""
    return _plain(text, "\n")[:CHAT_MAX].strip()


def _plain(text: str, kept: str) -> str:
    found: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", text[: 4 * CHAT_MAX]):
        kind = unicodedata.category(char)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > _MARKS_MAX:
            continue
        if char in kept or char in _JOINERS:
            found.append(char)
        elif kind in ("Zs", "Zl", "Zp", "Cc"):
            found.append(" ")
        elif kind not in ("Cf", "Cs", "Co", "Cn"):
            found.append(char)
    return "".join(found)
