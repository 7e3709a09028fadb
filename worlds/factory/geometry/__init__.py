"""What the works looks like: glTF assets, drawn from the layout's own measures.

`draw` writes them once into a directory; a fingerprint of these sources and of the layout tells
whether they are up to date. Machines of an area share one asset, so that the page draws them
together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ...bottling_line.geometry.glb import Node, write
from .. import layout
from . import building, machines

_STAMP: Final = ".drawn-from"


def parts() -> Iterator[tuple[str, Callable[[], Node]]]:
    """Every asset by name, and how it is drawn."""
    yield "ground", building.ground
    for zone in layout.ZONES:
        yield f"zone-{zone.id}", lambda zone=zone: building.zone(zone)
    yield from machines.PARTS.items()


def draw(directory: Path) -> dict[str, Path]:
    """Every asset's file by name; drawn if they are not there yet as they are now."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = dict(parts())
    files = {name: directory / f"{name}.glb" for name in wanted}
    stamp, sources = directory / _STAMP, _fingerprint()
    is_current = stamp.is_file() and stamp.read_text() == sources
    if not is_current or not all(path.is_file() for path in files.values()):
        for name, drawing in wanted.items():
            write(files[name], drawing())
        # Last, so that a drawing that was cut short is done again.
        stamp.write_text(sources)
    return files


def _fingerprint() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).resolve().parent
    for path in (*sorted(here.glob("*.py")), here.parent / "layout.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()
