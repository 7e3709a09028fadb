"""What the line looks like: glTF assets, drawn from the layout's own measures.

`draw` writes them once into a directory; a fingerprint of these sources and of the layout tells
whether they are up to date. What the extras of nodes mean is in docs/guide/bottling-line.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from .. import layout
from . import bottle, hall, handling, rotary, services
from .glb import Node, write

_STAMP: Final = ".drawn-from"


def parts() -> Iterator[tuple[str, Callable[[], Node]]]:
    """Every asset by name, and how it is drawn."""
    yield "depalletiser", lambda: handling.depalletiser(layout.DEPALLETISER)
    yield "rinser", lambda: rotary.rinser(layout.RINSER)
    yield "filler", lambda: rotary.filler(layout.FILLER)
    yield "capper", lambda: rotary.capper(layout.CAPPER)
    yield "labeller", lambda: rotary.labeller(layout.LABELLER)
    yield "packer", lambda: handling.packer(layout.PACKER)
    for item in layout.CONVEYORS:
        draws = handling.buffer if item.kind == "buffer" else handling.conveyor
        yield item.asset, lambda item=item, draws=draws: draws(item)
    belt = layout.CARTON_CONVEYOR
    yield belt.asset, lambda: handling.carton_conveyor(belt)
    yield "air_station", services.air_station
    yield "air_manifold", services.air_manifold
    yield "cabinet", services.cabinet
    yield "meter", services.meter
    yield "main_meter", services.main_meter
    yield "hall", hall.hall
    yield "bottle", lambda: bottle.bottle("bottle", 28)
    yield "bottle_low", lambda: bottle.bottle("bottle_low", 9)
    yield "carton", handling.carton
    yield "pallet", handling.pallet


def draw(directory: Path) -> dict[str, Path]:
    """Every asset's file by name, and `path`; drawn if they are not there yet as they are now."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {name: directory / f"{name}.glb" for name, _ in parts()}
    files["path"] = directory / "path.json"
    stamp, sources = directory / _STAMP, _fingerprint()
    is_current = stamp.is_file() and stamp.read_text() == sources
    if not is_current or not all(path.is_file() for path in files.values()):
        for name, drawing in parts():
            write(files[name], drawing())
        layout.write_path_document(files["path"])
        # Last, so that a drawing that was cut short is done again.
        stamp.write_text(sources)
    return files


def _fingerprint() -> str:
    digest = hashlib.sha256()
    here = Path(__file__).resolve().parent
    for path in (*sorted(here.glob("*.py")), here.parent / "layout.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()
