"""YAML as texts with their places, for files whose errors must name line and column.

It reads the events of the parser and gives mappings, lists and texts. A scalar stays the text
that stands in the file: what `0100` or `no` means is for the reader of a field to say, not for
YAML; only whether it was quoted is kept. Depth and count are bounded, tags are refused, and an
alias is the same node again, so no file can grow while it is read. Who walks through all of it
forbids aliases, since a walk would see each node as often as it is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

DEPTH_MAX: Final = 8
NODES_MAX: Final = 2_500_000

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class MarkedError(ValueError):
    """The file cannot be read; the message begins with the line."""

    def __init__(self, line: int, problem: str, column: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.line, self.column, self.problem = line, column, problem

    @property
    def place(self) -> str:
        """Line and, where it is known, column; "" if it is about the whole."""
        if not self.line:
            return ""
        return f"line {self.line}" + (f", column {self.column}" if self.column else "")


@dataclass(slots=True)
class Node:
    """A text, a mapping or a list, and the line and column (from 1) at which it begins."""

    line: int
    text: str | None = None
    fields: dict[str, Node] | None = None
    rows: list[Node] | None = None
    keys: dict[str, Node] | None = None
    """Of a mapping: key -> where it stands."""
    column: int = 1
    is_plain: bool = False
    """Of a text: whether it stands without quotes, so that it may spell a number."""

    def line_of(self, key: str) -> int:
        """Where a key of a mapping stands."""
        return (self.keys or {}).get(key, self).line

    @property
    def what(self) -> str:
        """What it is, for messages."""
        if self.fields is not None:
            return "a mapping"
        return "a list" if self.rows is not None else f"'{(self.text or '')[:40]}'"


def read(text: str, *, depth_max: int = DEPTH_MAX, allows_aliases: bool = True) -> Node:
    """The root of the one document in a text.

    Raises:
        MarkedError: it is no YAML, or not of the plain kind that this reads.
    """
    try:
        return _compose(text, depth_max, allows_aliases)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise MarkedError(line, f"this is no YAML: {problem}", column) from None
    except UnicodeError as error:
        raise MarkedError(0, f"this is no text: {error.reason}") from None  # pyright: ignore[reportAttributeAccessIssue]


def _compose(text: str, depth_max: int, allows_aliases: bool) -> Node:
    root: Node | None = None
    stack: list[tuple[Node, list[str]]] = []  # with the key that waits for its value
    anchors: dict[str, Node] = {}
    n_nodes = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        n_nodes += 1
        if n_nodes > NODES_MAX:
            raise MarkedError(line, f"more than {NODES_MAX} entries; split the file", column)
        if not allows_aliases and event.anchor:
            raise MarkedError(
                line, "anchors and aliases (& and *) are not read; write it out", column
            )
        if isinstance(event, yaml.AliasEvent):
            node = anchors.get(event.anchor)
            if node is None:
                problem = f"'*{event.anchor}' names nothing that stands above"
                raise MarkedError(line, problem, column)
        else:
            node = _node(event, line, column)
            if event.anchor:
                anchors[event.anchor] = node
        if stack:
            _put(stack[-1], node, line, column)
        elif root is None:
            root = node
        else:
            raise MarkedError(line, "one document is read; this begins a second one", column)
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            if len(stack) == depth_max:
                raise MarkedError(line, f"nested deeper than {depth_max} levels", column)
            stack.append((node, []))
    return root if root is not None else Node(1, fields={})


def _node(event: Any, line: int, column: int) -> Node:
    tag = event.tag
    if tag and tag != "!":
        raise MarkedError(line, f"the tag '{tag[:40]}' is not read; leave it out", column)
    if isinstance(event, yaml.ScalarEvent):
        return Node(line, text=event.value, column=column, is_plain=bool(event.implicit[0]))
    if isinstance(event, yaml.MappingStartEvent):
        return Node(line, fields={}, keys={}, column=column)
    return Node(line, rows=[], column=column)


def _put(open_: tuple[Node, list[str]], node: Node, line: int, column: int) -> None:
    into, key = open_
    if into.rows is not None:
        into.rows.append(node)
        return
    assert into.fields is not None and into.keys is not None
    if key:
        into.fields[key.pop()] = node
        return
    if node.text is None:
        raise MarkedError(line, f"a key is a text, not {node.what}", column)
    if node.text in into.keys:
        first = into.keys[node.text].line
        raise MarkedError(line, f"'{node.text[:80]}' stands already in line {first}", column)
    into.keys[node.text] = node
    key.append(node.text)
