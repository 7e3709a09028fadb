"""Sankey diagrams: what goes from where to where, each way as broad as much goes over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mirrorworld.simulation.plots.axes import Sheet, number, shortened

KINDS: Final = {"flow": "#0072b2", "scrap": "#d55e00", "rework": "#e69f00"}
_ALONG: Final = 118
_BAR: Final = 12
_BROAD: Final = 110.0
"""Of the broadest way, in px."""
_APART: Final = 44.0
_LEAST: Final = 1.0


@dataclass(frozen=True, slots=True)
class Stream:
    """What goes one way."""

    source: str
    target: str
    """"": out of the picture, as scrap that is thrown away where it is made."""
    amount: float
    kind: str = "flow"
    """One of KINDS."""


@dataclass(slots=True)
class _Node:
    name: str
    column: int
    high: float = 0.0
    x: float = 0.0
    y: float = 0.0
    out: list[_Ribbon] = field(default_factory=list["_Ribbon"])
    into: list[_Ribbon] = field(default_factory=list["_Ribbon"])


@dataclass(slots=True)
class _Ribbon:
    stream: Stream
    broad: float
    from_y: float = 0.0
    to_y: float = 0.0


def sankey(streams: Sequence[Stream], *, title: str = "What goes where", unit: str = "") -> str:
    """A Sankey diagram as SVG: from left to right, and what goes back below.

    Raises:
        ValueError: nothing goes anywhere.
    """
    streams = [one for one in streams if one.amount > 0]
    if not streams:
        raise ValueError("there is nothing to draw: nothing goes anywhere")
    nodes = {name: _Node(name, at) for name, at in columns(streams).items()}
    per_px = max(one.amount for one in streams) / _BROAD
    for one in streams:
        ribbon = _Ribbon(one, max(_LEAST, one.amount / per_px))
        nodes[one.source].out.append(ribbon)
        if one.target:
            nodes[one.target].into.append(ribbon)
    for node in nodes.values():
        sides = (sum(r.broad for r in node.out), sum(r.broad for r in node.into))
        node.high = max(_BAR, *sides)
    height = _placed(nodes)
    back = [r for n in nodes.values() for r in n.out if _is_back(nodes, r)]
    below = height + 12
    deep = sum(r.broad + 10 for r in back) + 26 * any(not one.target for one in streams)
    last = max(node.column for node in nodes.values())
    sheet = Sheet(
        max(420, 60 + _ALONG * (last + 1)), below + deep + 24, title,
        f"A Sankey diagram of {len(streams)} ways between {len(nodes)} places, in {unit}. "
        + "; ".join(_says(one, unit) for one in streams) + ".",
    )  # fmt: skip
    for node in nodes.values():
        _attached(nodes, node)
    for node in nodes.values():
        for ribbon in node.out:
            one = ribbon.stream
            words, fill = _says(one, unit), KINDS[one.kind]
            x = node.x + _BAR
            y = ribbon.from_y
            if not one.target:
                sheet.ribbon(fallen(x, y, ribbon.broad), fill, words)
            elif _is_back(nodes, ribbon):
                sheet.ribbon(
                    looped(x, y, nodes[one.target].x, ribbon.to_y, below, ribbon.broad), fill, words
                )
                below += ribbon.broad + 10
            else:
                sheet.ribbon(
                    crossing(x, y, nodes[one.target].x, ribbon.to_y, ribbon.broad), fill, words
                )
    for node in nodes.values():
        through = max(
            sum(r.stream.amount for r in node.out), sum(r.stream.amount for r in node.into)
        )
        sheet.rect(node.x, node.y, _BAR, node.high, "currentColor",
                   f"{node.name}: {number(_rounded(through))} {unit}".rstrip())  # fmt: skip
        sheet.text(node.x + _BAR / 2, node.y - 18, shortened(node.name, 15), "over middle")
        sheet.text(node.x + _BAR / 2, node.y - 5, number(_rounded(through)), "over soft middle")
    seen = {one.kind for one in streams}
    if len(seen) > 1:
        sheet.legend(16, 48, [(fill, kind) for kind, fill in KINDS.items() if kind in seen])
    return sheet.svg()


def columns(streams: Sequence[Stream]) -> dict[str, int]:
    """How far from the beginning each place is: the longest way there that never leads back.

    Places are walked in the order in which streams name them; what leads to one that is still
    being walked leads back, and rework does where it can.
    """
    names = dict.fromkeys(n for one in streams for n in (one.source, one.target) if n)
    after: dict[str, list[str]] = {name: [] for name in names}
    for one in sorted(streams, key=lambda one: one.kind == "rework"):
        if one.target:
            after[one.source].append(one.target)
    order: list[str] = []
    state: dict[str, int] = {}
    forward: dict[str, list[str]] = {name: [] for name in names}
    fed = {target for targets in after.values() for target in targets}
    for start in sorted(names, key=lambda name: name in fed):
        todo = [(start, iter(after[start]))] if start not in state else []
        state.setdefault(start, 1)
        while todo:
            name, rest = todo[-1]
            target = next(rest, None)
            if target is None:
                state[name] = 2
                order.append(name)
                todo.pop()
            elif state.get(target) != 1:
                forward[name].append(target)
                if target not in state:
                    state[target] = 1
                    todo.append((target, iter(after[target])))
    found = dict.fromkeys(names, 0)
    for name in reversed(order):
        for target in forward[name]:
            found[target] = max(found[target], found[name] + 1)
    return found


def _placed(nodes: dict[str, _Node]) -> float:
    """Puts nodes in their columns, one under the other about one middle; where the lowest ends.
    What only scrap comes to stands below others, and what leads back lowest."""

    def rank(node: _Node) -> int:
        if any(_is_back(nodes, ribbon) for ribbon in node.out):
            return 2
        return int(bool(node.into) and all(r.stream.kind == "scrap" for r in node.into))

    by_column: dict[int, list[_Node]] = {}
    for node in sorted(nodes.values(), key=rank):
        by_column.setdefault(node.column, []).append(node)
    tallest = max(sum(n.high + _APART for n in column) for column in by_column.values())
    for at, column in by_column.items():
        y = 66 + _APART / 2 + (tallest - sum(n.high + _APART for n in column)) / 2
        for node in column:
            node.x, node.y = 48 + _ALONG * at, y
            y += node.high + _APART
    return max(node.y + node.high for node in nodes.values())


def _is_back(nodes: dict[str, _Node], ribbon: _Ribbon) -> bool:
    one = ribbon.stream
    return bool(one.target) and nodes[one.target].column <= nodes[one.source].column


def _attached(nodes: dict[str, _Node], node: _Node) -> None:
    """Where ribbons begin and end at a node: in the order of their other ends, what goes back or
    out of the picture last."""

    def place(ribbon: _Ribbon, other: str) -> tuple[bool, float]:
        return (not other or _is_back(nodes, ribbon), nodes[other].y if other else 0.0)

    y = node.y
    for ribbon in sorted(node.out, key=lambda r: place(r, r.stream.target)):
        ribbon.from_y = y
        y += ribbon.broad
    y = node.y
    for ribbon in sorted(node.into, key=lambda r: place(r, r.stream.source)):
        ribbon.to_y = y
        y += ribbon.broad


def crossing(x1: float, y1: float, x2: float, y2: float, broad: float) -> str:
    """A ribbon from one side to the next, as an SVG path."""
    middle = (x1 + x2) / 2
    return (
        f"M{x1:.1f} {y1:.1f}C{middle:.1f} {y1:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        f"v{broad:.1f}C{middle:.1f} {y2 + broad:.1f} {middle:.1f} {y1 + broad:.1f}"
        f" {x1:.1f} {y1 + broad:.1f}z"
    )


def looped(x1: float, y1: float, x2: float, y2: float, below: float, broad: float) -> str:
    """A ribbon out to the right, back below everything and in from the left."""
    near, far = 8.0, 8.0 + broad
    foot = below + broad
    return (
        f"M{x1:.1f} {y1:.1f}C{x1 + far:.1f} {y1:.1f} {x1 + far:.1f} {foot:.1f} {x1:.1f} {foot:.1f}"
        f"H{x2:.1f}C{x2 - far:.1f} {foot:.1f} {x2 - far:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        f"v{broad:.1f}C{x2 - near:.1f} {y2 + broad:.1f} {x2 - near:.1f} {below:.1f}"
        f" {x2:.1f} {below:.1f}H{x1:.1f}C{x1 + near:.1f} {below:.1f} {x1 + near:.1f}"
        f" {y1 + broad:.1f} {x1:.1f} {y1 + broad:.1f}z"
    )


def fallen(x: float, y: float, broad: float) -> str:
    """A ribbon that bends down and ends in a point."""
    far, foot = 10.0 + broad, y + broad + 22
    return (
        f"M{x:.1f} {y:.1f}C{x + far:.1f} {y:.1f} {x + far:.1f} {y + broad:.1f} {x + far:.1f}"
        f" {foot:.1f}l{-broad / 2:.1f} 7l{-broad / 2:.1f} -7"
        f"C{x + 10:.1f} {y + broad:.1f} {x + 10:.1f} {y + broad:.1f} {x:.1f} {y + broad:.1f}z"
    )


def _rounded(amount: float) -> float:
    return float(f"{amount:.4g}")


def _says(one: Stream, unit: str) -> str:
    what = f"{one.source} → {one.target}" if one.target else f"thrown away at {one.source}"
    kind = "" if one.kind == "flow" or not one.target else f", {one.kind}"
    return f"{what}{kind}: {number(_rounded(one.amount))} {unit}".rstrip()


__all__ = ["KINDS", "Stream", "columns", "sankey"]
