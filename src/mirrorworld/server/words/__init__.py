"""What the pages before the page say, in the reader's language.

The English sentence is the key; `de.json` beside this file maps it. One without a translation is
said in English.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("en", "de")


@functools.cache
def _words(language: str) -> Mapping[str, str]:
    path = Path(__file__).with_name(f"{language}.json")
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def say(language: str, english: str, **values: str) -> str:
    """A sentence in a language; `{name}` in it is replaced by a value."""
    sentence = _words(language).get(english, english) if language in LANGUAGES else english
    return sentence.format(**values) if values else sentence


def language_of(accept_language: str) -> str:
    """The first of a browser's languages that is spoken here, by `Accept-Language`."""
    for each in accept_language[:200].split(","):
        tag = each.partition(";")[0].strip().lower().partition("-")[0]
        if tag in LANGUAGES:
            return tag
    return "en"
