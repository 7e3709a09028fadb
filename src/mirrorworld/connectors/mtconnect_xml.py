"""Reading XML that a stranger sent: names, attributes and text as they come, and nothing else.

A document type is refused, and with it every entity (XML bombs, files read by reference); depth
and number of elements are bounded. Nothing is built in memory but what the caller keeps.

Knows XML; refuses to know MTConnect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from xml.parsers import expat

DEPTH_MAX: Final = 64
ELEMENTS_MAX: Final = 2_000_000
ATTRIBUTES_MAX: Final = 64
TEXT_CHARS_MAX: Final = 1 << 20

Attributes = dict[str, str]
OnStart = Callable[[str, Attributes], None]
OnEnd = Callable[[str, str], None]


class BadXml(ValueError):
    """A document that is not well formed, or that is not read. The message says where and why."""


def parse(data: bytes, on_start: OnStart, on_end: OnEnd) -> None:
    """Reads a whole document.

    Args:
        on_start: called with an element's local name and its attributes.
        on_end: called with its local name and the text right inside it.

    Raises:
        BadXml: it is malformed, has a document type, or is beyond the limits.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.buffer_size = 1 << 16
    texts: list[list[str]] = []
    count = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal count
        count += 1
        if len(texts) >= DEPTH_MAX or count > ELEMENTS_MAX or len(attributes) > ATTRIBUTES_MAX:
            raise BadXml(f"line {parser.CurrentLineNumber}: too deep, too wide or too long")
        texts.append([])
        on_start(name[name.rfind(" ") + 1 :], attributes)

    def end(name: str) -> None:
        on_end(name[name.rfind(" ") + 1 :], "".join(texts.pop()).strip())

    def text(data: str) -> None:
        if texts:
            into = texts[-1]
            into.append(data)
            if len(into) > 64 and sum(map(len, into)) > TEXT_CHARS_MAX:
                raise BadXml(f"line {parser.CurrentLineNumber}: a text is too long")

    def refuse(*_: object) -> int:
        raise BadXml(
            f"line {parser.CurrentLineNumber}: it has a document type or entities, which are not"
            " read; send plain XML"
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadXml(f"it is not well formed: {error}") from None
    finally:
        parser.StartElementHandler = None  # the handlers hold the parser
        parser.EndElementHandler = None
        parser.CharacterDataHandler = None
