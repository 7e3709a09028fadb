"""Machines, cells and vehicles: one asset for each kind, with a lamp that tells its state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...bottling_line.geometry.glb import Material, Node
from ...bottling_line.geometry.materials import ANTHRACITE, BLUE, GREY, RUBBER, SCREEN, STEEL, WHITE
from ...bottling_line.geometry.shapes import box
from ..layout import SPEED_M_S

GREEN_BOARD: Final = Material("board", "#2f7d4f", 0.0, 0.5)
MAT: Final = Material("mat", "#7e8a91", 0.0, 0.8)
ORANGE: Final = Material("oven-orange", "#d9772b", 0.05, 0.45)
TEAL: Final = Material("tester-teal", "#3a7f86", 0.05, 0.45)
PLUM: Final = Material("coating-plum", "#7d5a7d", 0.05, 0.45)
OCHRE: Final = Material("bench-ochre", "#d6a650", 0.0, 0.6)
BOX: Final = Material("carton", "#b78a57", 0.0, 0.9)

LAMPS: Final = (
    ("green", "#22e06a", [1], False),
    ("blue", "#2f7dff", [3, 5], False),
    ("amber", "#ffab1a", [0, 2, 6], False),
    ("red", "#ff2a1a", [4], True),
)
"""Name, colour, states in which it is lit, whether it blinks."""


def _tower(root: Node, x: float, y: float, z: float) -> None:
    """A signal tower: a lamp for work, set-up and care, waiting, failure."""
    root.add(ANTHRACITE, box(0.16, y, 0.16, 0.01).move(x, 0.0, z))
    for i, (name, colour, states, blinks) in enumerate(LAMPS):
        lamp = {"point": "State", "on": states} | ({"blink": True} if blinks else {})
        dim = "#" + "".join(f"{int(int(colour[k : k + 2], 16) * 0.4):02x}" for k in (1, 3, 5))
        node = root.child(
            f"lamp_{name}", (x, y + 0.32 * i, z), extras={"lamp": lamp, "colour": colour}
        )
        node.add(Material(f"lamp-{name}", dim, 0.0, 0.3), box(0.34, 0.3, 0.34, 0.03))


def smt() -> Node:
    """A line of 34 m: loader, printer, inspection, four placers, oven, inspection, magazine."""
    root = Node("smt")
    x = -17.0
    for length, height, depth, material in (
        (1.4, 1.5, 1.2, WHITE), (2.0, 1.6, 1.7, BLUE), (1.4, 1.6, 1.4, TEAL),
        (2.9, 1.7, 2.3, WHITE), (2.9, 1.7, 2.3, WHITE), (2.9, 1.7, 2.3, WHITE),
        (2.9, 1.7, 2.3, WHITE), (8.2, 1.6, 1.6, ORANGE), (1.8, 1.6, 1.4, TEAL),
        (1.4, 1.5, 1.2, WHITE),
    ):  # fmt: skip
        middle = x + length / 2
        root.add(material, box(length - 0.1, height, depth, 0.04).move(middle, 0.05, 0.0))
        root.add(SCREEN, box(0.5, 0.4, 0.06, 0.01).move(middle, height - 0.5, depth / 2 + 0.06))
        x += length + 0.55
        root.add(GREY, box(0.6, 0.16, 0.5, 0.01).move(x - 0.28, 0.82, 0.0))
        root.add(GREEN_BOARD, box(0.32, 0.03, 0.26, 0.004).move(x - 0.28, 0.98, 0.0))
    root.add(MAT, box(34.0, 0.02, 5.6, 0.004))
    _tower(root, 0.0, 2.4, 0.0)
    return root


def _cell(name: str, top: Material, boards: bool) -> Node:
    root = Node(name)
    root.add(MAT, box(6.2, 0.02, 4.2, 0.004))
    for x in (-1.8, 1.8):
        root.add(top, box(2.6, 0.9, 1.0, 0.03).move(x, 0.0, -1.0))
        root.add(STEEL, box(2.4, 0.9, 0.06, 0.01).move(x, 0.9, -1.4))
    root.add(GREY, box(1.2, 1.1, 0.8, 0.03).move(0.0, 0.0, 1.3))
    if boards:
        root.add(GREEN_BOARD, *(box(0.3, 0.04, 0.24, 0.004).move(0.45 * i - 2.6, 0.92, -0.9)
                                for i in range(4)))  # fmt: skip
    root.add(RUBBER, box(0.5, 0.5, 0.5, 0.06).move(-1.8, 0.0, 0.1))
    _tower(root, 2.6, 1.7, 1.4)
    return root


def tht() -> Node:
    """A cell for through-hole parts, with its small wave at the end."""
    root = _cell("tht", OCHRE, True)
    root.add(ORANGE, box(2.4, 1.3, 1.1, 0.04).move(-1.6, 0.0, 1.3))
    return root


def assembly() -> Node:
    """An assembly cell."""
    return _cell("assembly", BLUE, False)


def kitting() -> Node:
    """A place where kits are put together: shelves around a table."""
    root = _cell("kitting", WHITE, False)
    root.add(STEEL, *(box(0.6, 2.0, 4.0, 0.02).move(s * 3.4, 0.0, 0.0) for s in (-1, 1)))
    root.add(BOX, *(box(0.5, 0.3, 0.5, 0.01).move(s * 3.4, 0.5 + 0.6 * k, 0.8 * i - 1.2)
                    for s in (-1, 1) for k in range(2) for i in range(4)))  # fmt: skip
    return root


def packing() -> Node:
    """A packing place with cartons."""
    root = _cell("packing", OCHRE, False)
    root.add(BOX, *(box(0.6, 0.5, 0.5, 0.01).move(-2.4 + 0.9 * i, 0.0, 2.6) for i in range(5)))
    return root


def repair() -> Node:
    """A bench with microscope and soldering."""
    root = Node("repair")
    root.add(MAT, box(3.4, 0.02, 2.6, 0.004))
    root.add(OCHRE, box(2.4, 0.85, 0.9, 0.03).move(0.0, 0.0, -0.4))
    root.add(ANTHRACITE, box(0.2, 0.5, 0.3, 0.02).move(0.5, 0.85, -0.4))
    root.add(SCREEN, box(0.6, 0.4, 0.05, 0.01).move(-0.6, 0.95, -0.7))
    _tower(root, 1.4, 1.6, 0.8)
    return root


def _tester(name: str) -> Node:
    root = Node(name)
    root.add(MAT, box(3.6, 0.02, 3.2, 0.004))
    root.add(TEAL, box(1.8, 1.9, 1.3, 0.04).move(0.0, 0.0, -0.4))
    root.add(ANTHRACITE, box(1.5, 0.5, 0.1, 0.02).move(0.0, 1.0, 0.28))
    root.add(SCREEN, box(0.6, 0.45, 0.05, 0.01).move(1.2, 1.1, 0.1))
    root.add(GREY, box(0.8, 0.8, 0.8, 0.02).move(-1.3, 0.0, 0.3))
    _tower(root, 0.8, 2.1, -0.8)
    return root


def coating() -> Node:
    """A coating line: conveyor, cabin, curing tunnel."""
    root = Node("coating")
    root.add(MAT, box(14.5, 0.02, 4.0, 0.004))
    root.add(PLUM, box(3.4, 2.1, 2.0, 0.05).move(-4.6, 0.0, 0.0))
    root.add(WHITE, box(7.4, 1.6, 1.8, 0.05).move(1.8, 0.0, 0.0))
    root.add(STEEL, box(0.5, 3.2, 0.5, 0.03).move(-4.6, 2.1, 0.0))
    root.add(GREY, box(1.4, 0.95, 0.7, 0.02).move(6.4, 0.0, 0.0))
    _tower(root, -2.4, 2.2, 1.1)
    return root


def burn_in() -> Node:
    """A burn-in oven with two doors."""
    root = Node("burn_in")
    root.add(ORANGE, box(3.0, 2.6, 2.2, 0.05))
    root.add(STEEL, *(box(1.3, 2.2, 0.06, 0.02).move(s * 0.7, 0.2, 1.12) for s in (-1, 1)))
    root.add(ANTHRACITE, box(2.4, 0.5, 1.2, 0.03).move(0.0, 2.6, 0.0))
    _tower(root, 1.3, 2.7, 0.9)
    return root


def agv() -> Node:
    """A vehicle that goes where its points say; a lamp tells whether it carries a magazine."""
    drives = {"kind": "place", "x": "X", "z": "Z", "speed": SPEED_M_S}
    root = Node("agv", extras={"drives": drives})
    root.add(ANTHRACITE, box(1.3, 0.34, 0.8, 0.06).move(0.0, 0.08, 0.0))
    root.add(BLUE, box(1.1, 0.1, 0.7, 0.03).move(0.0, 0.42, 0.0))
    for name, colour, states, x in (
        ("empty", "#ffab1a", [1], 0.5), ("loaded", "#22e06a", [2], -0.5),
    ):  # fmt: skip
        extras = {"lamp": {"point": "State", "on": states}, "colour": colour}
        node = root.child(f"lamp_{name}", (x, 0.52, 0.0), extras=extras)
        node.add(Material(f"agv-{name}", "#3a3a30", 0.0, 0.3), box(0.16, 0.12, 0.6, 0.02))
    return root


def board() -> Node:
    """A board that stands for what is no machine: an area, a crew, a family of orders."""
    root = Node("board")
    root.add(ANTHRACITE, *(box(0.08, 2.4, 0.08, 0.01).move(s * 0.9, 0.0, 0.0) for s in (-1, 1)))
    root.add(WHITE, box(2.0, 1.2, 0.08, 0.02).move(0.0, 1.2, 0.0))
    root.add(SCREEN, box(1.8, 1.0, 0.02, 0.01).move(0.0, 1.3, 0.05))
    return root


PARTS: Final[dict[str, Callable[[], Node]]] = {
    "kitting": kitting,
    "smt": smt,
    "tht": tht,
    "ict": lambda: _tester("ict"),
    "repair_ict": repair,
    "coating": coating,
    "assembly": assembly,
    "burn_in": burn_in,
    "fct": lambda: _tester("fct"),
    "repair_fct": repair,
    "packing": packing,
    "agv": agv,
    "board": board,
}
