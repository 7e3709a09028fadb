"""Patterns over ids and names, and texts that are filled in from what they captured.

    plant/*/Pump{n}       `*` a part of one step of a path, `?` a character, {n} what stands there
    plant/**/Pump{n:int}  `**` any number of steps; {n:int} all digits that stand there
    Pump {n:03}           a text: the number in three digits

A backslash takes the next character as it is. Matching takes time linear in the text: a pattern is
turned into atomic groups, each of which takes the first place that fits and is never tried again
(as the first fitting place is always as good as a later one, nothing is missed). Nothing of what a
person writes is read as a regular expression.

    >>> Glob("plant/*/Pump{n:int}").match("plant/hall/Pump07")
    {'n': '07'}
    >>> Template("Pump {n:03}").fill({"n": "07"})
    'Pump 007'
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

LENGTH_MAX: Final = 500
CAPTURES_MAX: Final = 16
FILLED_LENGTH_MAX: Final = 2_000
WIDTH_MAX: Final = 18

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
_STAR, _STARS, _ONE, _ANY, _DIGITS, _TEXT = range(6)
_Token = tuple[int, str]


class Glob:
    """A pattern that matches whole texts.

    Args:
        text: the pattern.
        is_path: whether `/` separates steps that `*`, `?` and captures do not cross.

    Raises:
        ValueError: it is no pattern; the message says at which character, and the mend.
    """

    def __init__(self, text: str, *, is_path: bool = True) -> None:
        if not text:
            raise ValueError("the pattern is empty; '**' matches every id, '*' every name")
        if len(text) > LENGTH_MAX:
            raise ValueError(f"the pattern has {len(text)} characters; at most {LENGTH_MAX}")
        self.text = text
        tokens = _tokens(text)
        self.captures = tuple(name for kind, name in tokens if kind in (_ANY, _DIGITS))
        if len(self.captures) > CAPTURES_MAX:
            raise ValueError(f"{len(self.captures)} captures; at most {CAPTURES_MAX}")
        for name in self.captures:
            if self.captures.count(name) > 1:
                raise ValueError(f"{{{name}}} stands twice; give the second another name")
        if is_path:
            expression = _path(tokens)
        else:
            plain = [(_STAR, "") if kind == _STARS else (kind, name) for kind, name in tokens]
            expression = _step(plain, any_=".", end=r"\Z")
        self._match = re.compile(expression + r"\Z", re.DOTALL).match

    def match(self, text: str) -> dict[str, str] | None:
        """What it captures in a text; None where it does not match the whole of it."""
        found = self._match(text)
        return None if found is None else found.groupdict()


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            many = at < len(text) and text[at] == "*"
            at += many
            found.append((_STARS if many else _STAR, ""))
        elif char == "?":
            found.append((_ONE, ""))
        elif char == "{":
            end = text.find("}", at)
            if end < 0:
                raise ValueError(
                    f"character {at}: '{{' is not closed; write \\{{ for a brace itself"
                )
            name, colon, kind = text[at:end].partition(":")
            if not _NAME.fullmatch(name):
                raise ValueError(f"character {at}: '{name[:40]}' names no capture, as n does")
            if colon and kind != "int":
                raise ValueError(f"character {at}: '{kind[:40]}' is not known; {{{name}:int}} is")
            found.append((_DIGITS if colon else _ANY, name))
            at = end + 1
        elif char == "}":
            raise ValueError(f"character {at}: '}}' closes nothing; write \\}} for a brace itself")
        elif char == "\\":
            if at == len(text):
                raise ValueError("a backslash at the end; write \\\\ for a backslash itself")
            found.append((_TEXT, text[at]))
            at += 1
        else:
            found.append((_TEXT, char))
    _check_neighbours(found)
    return found


def _check_neighbours(tokens: list[_Token]) -> None:
    """Refuses what could be told apart in more than one way."""
    open_ended = (_STAR, _STARS, _ANY)
    for (a, name_a), (b, name_b) in itertools.pairwise(tokens):
        name = name_a or name_b
        if a in open_ended and b in open_ended:
            raise ValueError(
                f"'*' and {{{name}}} side by side: put something between them"
                if name
                else "two '*' side by side: '**' stands alone between slashes"
            )
        if b == _DIGITS and (a == _DIGITS or (a == _TEXT and name_a.isdigit())):
            raise ValueError(
                f"a digit right before {{{name_b}:int}}, which takes all digits that stand there"
            )


def _path(tokens: list[_Token]) -> str:
    """The expression of a path: steps, and `**` for any number of them."""
    steps: list[list[_Token]] = [[]]
    for token in tokens:
        if token == (_TEXT, "/"):
            steps.append([])
        else:
            steps[-1].append(token)
    blocks: list[list[str]] = [[]]
    for step in steps:
        if any(kind == _STARS for kind, _ in step):
            if len(step) > 1:
                raise ValueError("'**' stands alone between slashes, as in plant/**/Pump{n}")
            blocks.append([])
        else:
            blocks[-1].append(_step(step, any_="[^/]", end="(?=/|\\Z)"))
    first, *rest = blocks
    found = "/".join(first)
    if not rest:
        return found
    if first:
        found += "/"
    for block in rest[:-1]:
        if block:
            found += "(?>(?:[^/]*/)*?" + "/".join(block) + "/)"
    last = rest[-1]
    return found + ("(?:[^/]*/)*?" + "/".join(last) if last else ".+")


def _step(tokens: list[_Token], *, any_: str, end: str) -> str:
    """The expression of one step: each `*` or capture takes the first place where what stands
    between it and the next one fits; the last one takes what is left before the end."""
    found, piece = "", ""
    wild: str | None = None
    for kind, name in tokens:
        if kind in (_STAR, _ANY):
            found += piece if wild is None else f"(?>{_wild(wild, any_, '?')}{piece})"
            piece, wild = "", name
        elif kind == _DIGITS:
            piece += f"(?<![0-9])(?P<{name}>[0-9]++)"
        else:
            piece += any_ if kind == _ONE else re.escape(name)
    found += piece if wild is None else f"{_wild(wild, any_, '')}{piece}"
    return f"(?>{found}{end})"


def _wild(name: str, any_: str, lazy: str) -> str:
    return f"(?P<{name}>{any_}+{lazy})" if name else f"{any_}*{lazy}"


# --- texts that are filled in ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hole:
    name: str
    width: int = 0


class Template:
    """A text with holes: `{n}`, or `{n:03}` for a number of at least three digits.

    Two braces stand for one.

    Raises:
        ValueError: it is none; the message says at which character.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LENGTH_MAX:
            raise ValueError(f"the text has {len(text)} characters; at most {LENGTH_MAX}")
        self.text = text
        self._parts = list(_parts(text))
        self.holes = frozenset(part.name for part in self._parts if isinstance(part, _Hole))

    def check(self, known: Iterable[str]) -> None:
        """Raises ValueError where it wants what nobody captures."""
        have = list(known)
        for name in sorted(self.holes - set(have)):
            raise ValueError(f"{{{name}}} is captured by no pattern; there are {', '.join(have)}")

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with its holes filled in.

        Raises:
            ValueError: what should be a number is none, or the text becomes too long.
        """
        found = "".join(
            part
            if isinstance(part, str)
            else _padded(values[part.name], part)
            if part.width
            else values[part.name]
            for part in self._parts
        )
        if len(found) > FILLED_LENGTH_MAX:
            raise ValueError(f"becomes {len(found)} characters long; at most {FILLED_LENGTH_MAX}")
        return found


def _padded(value: str, hole: _Hole) -> str:
    if not (value.isascii() and value.isdigit()) or len(value) > FILLED_LENGTH_MAX:
        raise ValueError(f"{{{hole.name}}} is '{value[:40]}', which is no number")
    return (value.lstrip("0") or "0").zfill(hole.width)


def _parts(text: str) -> Iterable[str | _Hole]:
    at = 0
    while at < len(text):
        char = text[at]
        if char in "{}" and text[at : at + 2] == char * 2:
            yield char
            at += 2
        elif char == "{":
            end = text.find("}", at)
            name, colon, width = text[at + 1 : max(end, at + 1)].partition(":")
            if end < 0 or not _NAME.fullmatch(name):
                raise ValueError(
                    f"character {at + 1}: '{{' opens no hole, as {{n}} does; write {{{{ for a brace"
                )
            if colon and not (re.fullmatch("0[0-9]{1,2}", width) and 0 < int(width) <= WIDTH_MAX):
                raise ValueError(
                    f"character {at + 1}: '{width[:40]}' is no width; {{{name}:03}} means three"
                    " digits"
                )
            yield _Hole(name, int(width) if colon else 0)
            at = end + 1
        elif char == "}":
            raise ValueError(f"character {at + 1}: '}}' closes nothing; write }}}} for a brace")
        else:
            end = min((e for e in (text.find("{", at), text.find("}", at)) if e >= 0), default=-1)
            end = len(text) if end < 0 else end
            yield text[at:end]
            at = end
