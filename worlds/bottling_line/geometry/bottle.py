"""The bottle: clear PET, drink, cap and label, each a node; and the same for far away."""

from __future__ import annotations

from ..layout import BOTTLE_DIAMETER_M, BOTTLE_HEIGHT_M
from .glb import Node
from .materials import CAP, LABEL, LABEL_BAND, LIQUID, PET
from .shapes import Shape, annulus, cylinder, lathe, merge

_R = BOTTLE_DIAMETER_M / 2


def bottle(name: str, n: int) -> Node:
    """A half-litre bottle with `n` sides; its origin is the middle of its base.

    Nodes: glass, liquid, cap, label, so that a page can leave out what a bottle does not have
    yet (see `path.json`).
    """
    root = Node(name)
    neck, top = 0.0125, BOTTLE_HEIGHT_M
    outline = [
        (0.0, 0.007),
        (_R * 0.5, 0.002),
        (_R * 0.8, 0.0),
        (_R * 0.97, 0.006),
        (_R, 0.016),
        (_R, 0.052),
        (_R * 0.955, 0.058),
        (_R * 0.955, 0.128),
        (_R, 0.134),
        (_R, 0.15),
        (_R * 0.93, 0.172),
        (_R * 0.72, 0.196),
        (_R * 0.46, 0.214),
        (neck, 0.226),
        (neck, 0.236),
        (neck + 0.004, 0.238),
        (neck + 0.004, 0.241),
        (neck, 0.243),
        (neck, top - 0.002),
    ]
    inside = [
        (0.0, 0.01),
        (_R * 0.9, 0.01),
        (_R * 0.95, 0.018),
        (_R * 0.93, 0.058),
        (_R * 0.93, 0.128),
        (_R * 0.95, 0.148),
        (_R * 0.88, 0.171),
        (_R * 0.68, 0.194),
        (_R * 0.45, 0.209),
        (0.0, 0.209),
    ]
    if n < 16:
        outline, inside = (
            outline[2:5:2] + outline[9:12:2] + outline[13:14] + outline[-1:],
            inside[1:6:4] + inside[6:],
        )
        outline.insert(0, (0.0, 0.0))
    root.child("glass").add(PET, lathe(outline, n, 60.0))
    root.child("liquid").add(LIQUID, lathe(inside, n, 60.0))
    cap = [cylinder(0.0152, 0.017, n, 0.002).move(y=top - 0.017)]
    if n >= 16:
        cap.append(annulus(0.0135, 0.0155, 0.003, n, 0.0005).move(y=top - 0.021))
    root.child("cap").add(CAP, merge(cap))
    label = root.child("label")
    label.add(LABEL, _band(_R * 0.972, 0.062, 0.124, n))
    label.add(LABEL_BAND, _band(_R * 0.978, 0.07, 0.086, n))
    return root


def _band(radius: float, low: float, high: float, n: int) -> Shape:
    return lathe([(radius, low), (radius, high)], n)
