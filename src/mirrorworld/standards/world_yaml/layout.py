"""How YAML is laid out so that people read it and `git diff` shows one line for one fact.

Mappings and lists that fit stand on one line; `Block`s never do, so that their entries can come and
go without touching others. Texts are quoted wherever a YAML 1.1 or 1.2 reader could take them for
something else. Knows dicts, lists and scalars; refuses to know what they mean.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

WIDTH: Final = 100

_PLAIN: Final = re.compile(
    r"[^\W\d][\w ./:+°%()#@=~^<>*&|!?;'$-]*|\d[\w./:+°%()#@~^-]*[A-Za-z/°%#][\w./:+°%()#@~^-]*"
)
_NOT_PLAIN: Final = re.compile(r": | #|:$| $|\n")
_WORDS: Final = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
_NUMBER_LIKE: Final = re.compile(r"[-+.\d][\d_.:eE+\-xXoOa-fA-F]*|\d{4}-\d\d?-\d\d?.*")
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")
_LITERAL_NOT: Final = re.compile(
    "[^\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


class Block(dict[Any, Any]):
    """A mapping whose entries stand on lines of their own."""

    def __or__(self, other: Any) -> Block:
        return Block({**self, **other})


def lines(value: Any, indent: int = 0) -> list[str]:
    """A mapping as lines, `indent` spaces in."""
    found: list[str] = []
    for key, each in value.items():
        found += entry(scalar(key), each, indent)
    return found


def entry(key: str, value: Any, indent: int) -> list[str]:
    """`key: value`, on one line where that fits."""
    head = f"{' ' * indent}{key}:"
    return _below(head, value, indent)


def _below(head: str, value: Any, indent: int) -> list[str]:
    if isinstance(value, str):
        return _text(head, value, indent)
    if not isinstance(value, dict | list) or not value:
        return [f"{head} {flow(value)}"]
    if not _has_block(value):
        line = f"{head} {flow(value)}"
        if len(line) <= WIDTH and "\n" not in line:
            return [line]
    if isinstance(value, dict):
        return [head, *lines(value, indent + 2)]
    return [head, *(line for each in value for line in _item(each, indent + 2))]


def _item(value: Any, indent: int) -> list[str]:
    head = f"{' ' * indent}-"
    if (
        isinstance(value, dict)
        and value
        and (_has_block(value) or len(head + flow(value)) >= WIDTH)
    ):
        first, *rest = lines(value, indent + 2)
        return [f"{head} {first.lstrip()}", *rest]
    return _below(head, value, indent)


def _has_block(value: Any) -> bool:
    if isinstance(value, Block):
        return bool(value)
    if isinstance(value, dict):
        return any(_has_block(each) for each in value.values())
    if isinstance(value, list):
        return any(_has_block(each) for each in value)
    return isinstance(value, str) and _is_literal(value)


def flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items())
        return f"{{{inner}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(flow, value))}]"
    return scalar(value)


def scalar(value: Any) -> str:
    """A scalar as it stands in the file; reads back as the same value of the same type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(value)
    if _is_plain(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def short(value: float) -> float | int:
    """A number for a place where only a number can stand: 12 for 12.0."""
    value = float(value)
    is_whole = value.is_integer() and abs(value) < 1e15 and math.copysign(1, value) > 0
    return int(value) if is_whole or (value.is_integer() and -1e15 < value < 0) else value


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    # YAML 1.1 takes 1e+16 for a text; 1.0e+16 is a number to everyone.
    return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text


def _is_plain(text: str) -> bool:
    if not text.isascii() and _ESCAPED.search(text):
        return False
    return (
        _PLAIN.fullmatch(text) is not None
        and _NOT_PLAIN.search(text) is None
        and text.lower() not in _WORDS
        and _NUMBER_LIKE.fullmatch(text) is None
    )


def _is_literal(text: str) -> bool:
    """Whether a text reads best as it is, line by line."""
    body = text.removesuffix("\n")
    if "\n" not in body or _LITERAL_NOT.search(text) is not None:
        return False
    is_odd = body[0] in " \t\n" or body[-1] == "\n"
    return not is_odd and all(not line or line.strip() for line in body.split("\n"))


def _text(head: str, text: str, indent: int) -> list[str]:
    if not _is_literal(text):
        return [f"{head} {scalar(text)}"]
    mark = "|" if text.endswith("\n") else "|-"
    room = " " * (indent + 2)
    body = text.removesuffix("\n").split("\n")
    return [f"{head} {mark}", *(room + line if line else "" for line in body)]
