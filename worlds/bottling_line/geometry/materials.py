"""What the line is made of: stainless steel, painted sheet, glass, rubber, lamps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .glb import Material, Node, Texture, png
from .shapes import cylinder, lathe

STEEL: Final = Material("steel-brushed", "#c3c7ca", 0.85, 0.38)
STEEL_DARK: Final = Material("steel-dark", "#7d8488", 0.85, 0.45)
CHROME: Final = Material("chrome", "#dfe3e6", 0.95, 0.16)
WHITE: Final = Material("paint-white", "#e9edef", 0.0, 0.42)
BLUE: Final = Material("paint-blue", "#1d4f8c", 0.05, 0.38)
LIGHT_BLUE: Final = Material("paint-light-blue", "#5b93c7", 0.05, 0.45)
ANTHRACITE: Final = Material("paint-anthracite", "#33393f", 0.1, 0.5)
BLACK: Final = Material("plastic-black", "#17191b", 0.0, 0.55)
GREY: Final = Material("plastic-grey", "#9aa1a6", 0.0, 0.55)
GREEN_PLASTIC: Final = Material("plastic-green", "#2f8f5b", 0.0, 0.42)
"""Star wheels and guides: the green of slide polyethylene."""
RUBBER: Final = Material("rubber", "#222426", 0.0, 0.9)
YELLOW: Final = Material("safety-yellow", "#f2b705", 0.0, 0.5)
RED: Final = Material("signal-red", "#c8281e", 0.0, 0.45)
BRASS: Final = Material("brass", "#c79a4b", 0.9, 0.32)
PIPE_BLUE: Final = Material("air-pipe", "#2c7bd1", 0.1, 0.4)
WOOD: Final = Material("wood", "#b98d5b", 0.0, 0.85)
CARDBOARD: Final = Material("cardboard", "#b78a57", 0.0, 0.9)
CARDBOARD_PRINT: Final = Material("cardboard-print", "#1d5f8c", 0.0, 0.8)
TAPE: Final = Material("tape", "#d9c7a3", 0.0, 0.35)
GUARD: Final = Material("guard-glass", "#cfe4ee", 0.0, 0.06, alpha=0.16, is_double_sided=True)
PET: Final = Material("bottle-pet", "#bfe3dc", 0.0, 0.08, alpha=0.34)
PET_PALE: Final = Material("bottle-pet-far", "#cfe6e2", 0.0, 0.2)
"""Of bottles on pallets: opaque, since thousands of clear ones cost too much to sort."""
LIQUID: Final = Material("bottle-drink", "#e08a1e", 0.0, 0.18, alpha=0.93)
CAP: Final = Material("bottle-cap", "#1f66b0", 0.0, 0.42)
LABEL: Final = Material("bottle-label", "#f5f2e8", 0.0, 0.55)
LABEL_BAND: Final = Material("bottle-label-band", "#1d6f6a", 0.0, 0.5)
SCREEN: Final = Material("screen", "#0b2a3a", 0.0, 0.2, emissive="#1c5e78")
LIGHT: Final = Material("light", "#ffffff", 0.0, 0.4, emissive="#dfeaf0")


def _chain() -> NDArray[np.uint8]:
    """A modular plastic chain: links of a sixteenth of the picture, staggered hinges."""
    height, width = 64, 128
    y, x = np.mgrid[0:height, 0:width]
    link = (x % 32) / 32.0
    shade = 104 + 14 * np.sin(np.pi * link)
    seam = (x % 32 < 2) | ((x % 32 > 26) & (y // 8 % 2 == 0) & (x % 32 < 29))
    shade = np.where(seam, 52, shade)
    edge = (y < 3) | (y > height - 4)
    shade = np.where(edge, shade * 0.7, shade)
    grey = shade[..., None] * np.array([0.98, 1.0, 1.03])
    return np.clip(grey, 0, 255).astype(np.uint8)


def _floor() -> NDArray[np.uint8]:
    """Epoxy with flakes, and a joint every picture."""
    rng = np.random.default_rng(3)
    size = 256
    coarse = rng.normal(0, 1, (16, 16))
    cloud = np.kron(coarse, np.ones((16, 16)))
    for _ in range(6):
        cloud = sum(np.roll(cloud, s, a) for s in (-5, 0, 5) for a in (0, 1)) / 6
    shade = 158 + 5 * cloud + rng.normal(0, 2.2, (size, size))
    flakes = rng.random((size, size))
    shade = np.where(flakes > 0.994, shade - 26, np.where(flakes < 0.006, shade + 22, shade))
    shade[:2, :] -= 22
    shade[:, :2] -= 22
    return np.clip(shade[..., None] * np.array([0.965, 1.0, 1.0]), 0, 255).astype(np.uint8)


CHAIN: Final = Texture("chain", png(_chain()))
BELT: Final = Material("belt", "#ffffff", 0.0, 0.62, texture=CHAIN, texture_scale=(6.0, 1.0))
BELT_PER_METRE: Final = 6.0
FLOOR: Final = Material(
    "floor",
    "#ffffff",
    0.0,
    0.5,
    texture=Texture("floor", png(_floor())),
    texture_scale=(0.25, 0.25),
)

_LAMPS: Final = (
    # Name, colour, PackML states in which it is lit, whether it blinks.
    ("red", "#ff2a1a", [8, 9], True),
    ("amber", "#ffab1a", [5, 10, 11], False),
    ("blue", "#2f7dff", [1, 2, 4, 7, 15], False),
    ("green", "#22e06a", [3, 6], False),
)


def stack_light(parent: Node, x: float, y: float, z: float) -> None:
    """A pole with four lamps, each a node of its own whose extras say when it is lit."""
    parent.add(STEEL, cylinder(0.012, 0.28, 10).move(x, y, z))
    parent.add(BLACK, cylinder(0.034, 0.03, 16).move(x, y + 0.26, z))
    top = y + 0.29
    for name, colour, states, blinks in reversed(_LAMPS):
        lamp = {"point": "State", "on": states}
        extras = {"lamp": lamp | ({"blink": True} if blinks else {}), "colour": colour}
        dim = "#" + "".join(f"{int(int(colour[i : i + 2], 16) * 0.45):02x}" for i in (1, 3, 5))
        node = parent.child(f"lamp_{name}", (x, top, z), extras=extras)
        material = Material(f"lamp-{name}", dim, 0.0, 0.25)
        node.add(material, cylinder(0.032, 0.062, 16, 0.004))
        parent.add(BLACK, cylinder(0.034, 0.008, 16, 0.002).move(x, top + 0.062, z))
        top += 0.07
    cap = [(0, 0), (0.034, 0), (0.034, 0.012), (0.02, 0.026), (0, 0.03)]
    parent.add(BLACK, lathe(cap, 16).move(x, top, z))
