"""What the mirror makes of the works: how to reach its plant, and what was authored before."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrorworld.world.changes import Edits, PutTypeOf
from mirrorworld.world.ports import Model, SourceConfig, SourceError

from ..broker import broker_command
from ..processes import Processes, StartError, free_port
from .authored import NAME, PLANT, WORKS, WORKS_TYPE, edits
from .design import design_of

if TYPE_CHECKING:
    from mirrorworld.world.world import World

BEGAN_AGO_S: Final = 14 * 86_400
"""A plant that runs fast must not stamp the future: its clock begins a fortnight ago, and goes
with the wall's once it has caught up."""
POINTS_MAX: Final = 50_000


def source(port: int) -> SourceConfig:
    """How the plant behind a broker on loopback is reached."""
    options = {"folders": True, "max_points": POINTS_MAX, "keepalive_s": 600}
    return SourceConfig(f"sparkplug://127.0.0.1:{port}", PLANT, options)


def _first_ns(file: Path, speed: float, now_ns: int) -> int:
    """What the plant is to stamp first: a fortnight ago, or after all that a plant of this world
    can have stamped before."""
    first_ns = now_ns - BEGAN_AGO_S * 1_000_000_000
    if file.is_file():
        told = json.loads(file.read_text())
        ran_ns = int((now_ns - told["wall_ns"]) * told["speed"])
        first_ns = min(now_ns, max(first_ns, told["first_ns"] + ran_ns))
    file.write_text(json.dumps({"wall_ns": now_ns, "first_ns": first_ns, "speed": speed}))
    return first_ns


class Factory:
    """The demo world; see `mirrorworld.installed.DemoWorld`."""

    name = NAME
    models: Sequence[Model] = ()

    def __init__(
        self, *, design: str, seed: int, speed: float, report_s: float, ran_h: float
    ) -> None:
        try:
            self.design = design_of(design)
        except OSError as error:
            raise ValueError(f"design={design}: {error.strerror}") from error
        self._plant_options = (
            *("--design", design, "--seed", str(seed), "--time-scale", str(speed)),
            *("--report-s", str(report_s), "--ran-s", str(ran_h * 3600.0)),
        )
        self._speed = speed
        self._processes = Processes()

    async def start(self, directory: Path) -> Sequence[SourceConfig]:
        """Starts broker and plant on free loopback ports; their files go below the directory.

        Raises:
            SourceError: one of them cannot be started; the message says which and why.
        """
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        first_ns = _first_ns(directory / "clock.json", self._speed, time.time_ns())
        plant = [
            *(sys.executable, "-m", f"{__package__}.plant", "--follow-stdin"),
            *("--mqtt", f"127.0.0.1:{port}", "--first-ns", str(first_ns), *self._plant_options),
        ]
        try:
            broker, is_ready = broker_command(directory, port)
            await self._processes.start("broker", broker, is_ready)
            await self._processes.start("plant", plant, lambda line: '"ready": true' in line)
        except StartError as error:
            await self._processes.stop()
            raise SourceError(f"{NAME}: {error}") from error
        return (source(port),)

    async def stop(self) -> None:
        """Ends plant and broker."""
        await self._processes.stop()

    def edits(self, world: World) -> Edits | None:
        """What is authored: the whole works, before any of it is measured.

        A works that was authored before from this design is left as people have made it since.
        """
        works = world.structure.twins.get(WORKS)
        authored = works.property("authored") if works is not None else None
        if authored is not None and authored.value == self.design.sha256:
            return Edits((PutTypeOf(WORKS, WORKS_TYPE.id),), "the works as planned")
        return Edits(tuple(edits(self.design)), "the works as planned")

    def assets(self, directory: Path) -> Mapping[str, Path]:
        """Geometry by name (`factory/smt`), drawn once below the directory."""
        from .geometry import draw

        return {f"{NAME}/{name}": path for name, path in draw(directory / NAME).items()}
