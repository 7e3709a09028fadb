"""What the expo looks like: glTF assets, drawn from the site's own plans.

`draw` writes them once into a directory; a fingerprint of these sources and of the plans tells
whether they are up to date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ...bottling_line.geometry.glb import Node, write
from ..site import ARCHETYPES, DOME, GATE, Building, Site
from . import buildings, equipment, grounds

_STAMP: Final = ".drawn-from"


def asset_of(building: Building) -> str:
    """The name of a building's asset."""
    return f"{building.archetype.name}-{building.floors}"


def parts(site: Site) -> Iterator[tuple[str, Callable[[], Node]]]:
    """Every asset by name, and how it is drawn."""
    for archetype in (*ARCHETYPES, DOME, GATE):
        for floors in range(archetype.floors[0], archetype.floors[1] + 1):
            yield (
                f"{archetype.name}-{floors}",
                lambda archetype=archetype, floors=floors: buildings.drawing(archetype, floors),
            )
    yield from equipment.PARTS.items()
    yield "quarter", lambda: grounds.quarter(site.n_bands, site.n_full_bands)
    yield "ground", lambda: grounds.ground(site.n_bands)


def draw(directory: Path, site: Site) -> dict[str, Path]:
    """Every asset's file by name; drawn if they are not there yet as they are now."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = dict(parts(site))
    files = {name: directory / f"{name}.glb" for name in wanted}
    stamp, sources = directory / _STAMP, f"{_fingerprint()} {site.n_bands} {site.n_full_bands}"
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
    for path in (*sorted(here.glob("*.py")), here.parent / "site.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()
