"""The language of rules: from text to a tree.

    level > 80 % and not held(state == "Cleaning", 5 s)

Numbers may carry a UCUM unit; one that begins with a sign stands in single quotes (`18000 '/h'`).
A name is a point of the twin that the rule is applied to; one with
other characters in it stands in single quotes (`'drive/speed'`). `other("line1/tank", level)` is
a point of a certain twin, `parent.level` one of what the twin is part of. There are no loops and
no assignments, so nothing can run for ever; how large an expression may be is bounded.

Knows text; refuses to know units, twins and values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

LENGTH_MAX: Final = 2_000
DEPTH_MAX: Final = 48
NODES_MAX: Final = 400

FUNCTIONS: Final[dict[str, str]] = {
    "abs": "n",
    "min": "nn",
    "max": "nn",
    "sqrt": "n",
    "round": "n",
    "clamp": "nnn",
    "if": "b**",
    "rate": "nd",
    "mean": "nd",
    "delta": "nd",
    "held": "bd",
    "stale": "pd",
    "missing": "p",
    "changed": "p",
}
"""Name -> what it takes: n number, b yes or no, d length of time, p point, * anything."""


class RuleError(ValueError):
    """An expression cannot be used; the message says where, why, and the mend."""

    def __init__(self, why: str, column: int, mend: str = "") -> None:
        super().__init__(f"column {column + 1}: {why}{f'; {mend}' if mend else ''}")
        self.why, self.column, self.mend = why, column, mend


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its unit; "" where it has none."""

    value: float
    unit: str = ""
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Truth:
    """`true` or `false`."""

    value: bool
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Words:
    """A text in double quotes: the label of a state."""

    value: str
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Ref:
    """A point. `twin` "": of the twin itself; `.`: of its whole; else of the twin of that id."""

    point: str
    twin: str = ""
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`-a` or `not a`."""

    operator: str
    operand: Node
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """`a + b`, `a < b`, `a and b`."""

    operator: str
    left: Node
    right: Node
    column: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`max(a, b)`."""

    name: str
    arguments: tuple[Node, ...]
    column: int = field(default=0, compare=False)


Node = Number | Truth | Words | Ref | Unary | Binary | Call

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quoted>'[^'\n]{1,200}')
    |(?P<words>"[^"\n]{0,200}")
    |(?P<sign><=|>=|==|!=|[-+*/^<>(),.])""",
    re.VERBOSE,
)
_UNIT: Final = re.compile(
    r"[ \t]*((?:[A-Za-z%\[°µ][A-Za-z0-9%\[\]_'°µ]*)(?:[./][A-Za-z0-9%\[\]_']+)*)"
)
_QUOTED_UNIT: Final = re.compile(r"[ \t]*'([^'\n]{1,60})'")
_KEYWORDS: Final = frozenset({"and", "or", "not", "true", "false"})
_COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int
    unit: str = ""


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        RuleError: it is none, or too large.
    """
    if len(text) > LENGTH_MAX:
        raise RuleError(f"{len(text)} characters", LENGTH_MAX, f"write at most {LENGTH_MAX}")
    parser = _Parser(list(_tokens(text)), len(text))
    node = parser.expression(0)
    parser.end()
    return node


def refs(node: Node) -> Iterator[Ref]:
    """The points that an expression reads, each as often as it stands there."""
    match node:
        case Ref():
            yield node
        case Unary(operand=operand):
            yield from refs(operand)
        case Binary(left=left, right=right):
            yield from refs(left)
            yield from refs(right)
        case Call(arguments=arguments):
            for argument in arguments:
                yield from refs(argument)
        case _:
            pass


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise RuleError(f"'{text[at]}' is not understood", at)
        kind, found = match.lastgroup or "", match.group()
        begin, at = at, match.end()
        if kind == "space":
            continue
        unit = ""
        if kind == "number":
            quoted = _QUOTED_UNIT.match(text, at)
            if quoted:
                yield _Token(kind, found, begin, quoted.group(1))
                at = quoted.end()
                continue
            follows = _UNIT.match(text, at)
            if follows and follows.group(1) not in _KEYWORDS:
                unit, at = follows.group(1), follows.end()
        yield _Token(kind, found, begin, unit)


class _Parser:
    """Precedence climbing, from `or` (1) to `^` (7)."""

    LEVELS: Final = {"or": 1, "and": 2, "+": 4, "-": 4, "*": 5, "/": 5, "^": 7} | dict.fromkeys(
        _COMPARISONS, 3
    )

    def __init__(self, tokens: list[_Token], length: int) -> None:
        self._tokens, self._length = tokens, length
        self._at = self._nodes = 0
        self._depth = 0

    def end(self) -> None:
        token = self._peek()
        if token is not None:
            raise RuleError(f"'{token.text}' was not expected here", token.column)

    def expression(self, level: int) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise RuleError(
                "too many brackets within each other", self._column(), "make it simpler"
            )
        left = self._operand()
        compared = False
        while (token := self._peek()) is not None:
            own = self.LEVELS.get(token.text, 0) if token.kind in ("sign", "name") else 0
            if own <= level or not own:
                break
            if own == 3 and compared:
                raise RuleError(
                    "comparisons are not chained", token.column, "write a < b and b < c"
                )
            compared = compared or own == 3
            self._at += 1
            right = self.expression(own)
            left = self._made(Binary(token.text, left, right, token.column))
        self._depth -= 1
        return left

    def _operand(self) -> Node:
        token = self._next()
        match token.kind, token.text:
            case "number", text:
                value = float(text)
                if value - value != 0:
                    raise RuleError("this number is too large", token.column)
                return self._made(Number(value, token.unit, token.column))
            case "words", text:
                return self._made(Words(text[1:-1], token.column))
            case "quoted", text:
                return self._made(Ref(text[1:-1], "", token.column))
            case "sign", "(":
                inner = self.expression(0)
                self._expect(")")
                return inner
            case "sign", "-":
                return self._made(Unary("-", self.expression(5), token.column))
            case "name", "not":
                return self._made(Unary("not", self.expression(2), token.column))
            case "name", "true" | "false":
                return self._made(Truth(token.text == "true", token.column))
            case "name", "and" | "or":
                raise RuleError(f"'{token.text}' needs something before it", token.column)
            case "name", name:
                return self._named(name, token.column)
            case _:
                raise RuleError(f"'{token.text}' was not expected here", token.column)

    def _named(self, name: str, column: int) -> Node:
        if name == "parent" and self._is("."):
            self._at += 1
            return self._made(Ref(self._point(), ".", column))
        if not self._is("("):
            return self._made(Ref(name, "", column))
        self._at += 1
        if name == "other":
            twin = self._next()
            if twin.kind != "words":
                raise RuleError(
                    "other() names a twin", twin.column, 'as in other("line1/tank", level)'
                )
            self._expect(",")
            point = self._point()
            self._expect(")")
            return self._made(Ref(point, twin.text[1:-1], column))
        if name not in FUNCTIONS:
            known = ", ".join(sorted((*FUNCTIONS, "other")))
            raise RuleError(f"there is no function '{name}'", column, f"there are {known}")
        arguments: list[Node] = []
        while not self._is(")"):
            if arguments:
                self._expect(",")
            arguments.append(self.expression(0))
        self._expect(")")
        wanted = len(FUNCTIONS[name])
        if len(arguments) != wanted:
            raise RuleError(f"{name}() takes {wanted} arguments, not {len(arguments)}", column)
        return self._made(Call(name, tuple(arguments), column))

    def _point(self) -> str:
        token = self._next()
        if token.kind not in ("name", "quoted"):
            raise RuleError("here the name of a point was expected", token.column)
        return token.text.strip("'")

    def _made(self, node: Node) -> Node:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise RuleError("this expression is too large", self._column(), "split it into several")
        return node

    def _is(self, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == "sign" and token.text == text

    def _expect(self, text: str) -> None:
        if not self._is(text):
            raise RuleError(f"here '{text}' was expected", self._column())
        self._at += 1

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> _Token:
        token = self._peek()
        if token is None:
            raise RuleError("the expression ends too early", self._length)
        self._at += 1
        return token

    def _column(self) -> int:
        token = self._peek()
        return token.column if token is not None else self._length
