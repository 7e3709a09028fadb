"""A real server with a real world for the page's tests: only the plant is made here.

The server runs in a thread of its own, since Playwright's synchronous side needs this one.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from fastapi import APIRouter

from mirrorworld.world.changes import Edits, Event, PutRelation, PutTwin, PutType, Severity
from mirrorworld.world.frames import frame
from mirrorworld.world.model import Kind, PointType, Relation, Text, Twin, TwinType
from mirrorworld.world.world import World
from tests.server.stand_in import TOKEN, StandIn, served

T = TypeVar("T")
STARTS_WITHIN_S = 20


class WallClockMirror(StandIn):
    """The server's stand-in mirror, by the real time: ages are real."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.statuses.clear()

    def now_ns(self) -> int:
        """The time now."""
        self.clock_ns = time.time_ns()
        return self.clock_ns


class LivingWorld:
    """Serves a world until it is closed. What is done to the world is done in its own loop."""

    def __init__(
        self,
        static_dir: Path,
        edits: Edits,
        *,
        assets: Path | None = None,
        mirror: WallClockMirror | None = None,
        routers: Sequence[APIRouter] = (),
    ) -> None:
        self.mirror = mirror or WallClockMirror(World("test-world"))
        self.mirror.now_ns()
        self.mirror.apply(edits)
        self._static_dir = static_dir
        self._assets = assets
        self._routers = routers
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._url = ""
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._ready.wait(STARTS_WITHIN_S) or self._error is not None:
            raise RuntimeError("the server did not start") from self._error

    @property
    def url(self) -> str:
        """Address that logs in."""
        return f"{self._url}/?token={TOKEN}"

    def do(self, act: Callable[[WallClockMirror], T]) -> T:
        """Runs `act` in the loop that owns the world; returns what it returns."""

        async def in_loop() -> T:
            self.mirror.now_ns()
            return act(self.mirror)

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(in_loop(), self._loop).result(STARTS_WITHIN_S)

    def edit(self, *edits: object) -> None:
        """Applies edits of structure."""
        self.do(lambda mirror: mirror.apply(Edits(tuple(edits))))  # pyright: ignore

    def write(self, points: Sequence[tuple[str, str]], values: Sequence[float]) -> None:
        """Samples of float points, good, now."""
        handles = self.mirror.world.handles(points)
        self.write_columns(handles, np.asarray(values, np.float64))

    def write_columns(self, handles: np.ndarray, values: np.ndarray, quality: int = 0) -> None:
        """Samples of many points at once."""
        now = time.time_ns()
        self.do(lambda mirror: mirror.apply(frame(handles, values, now, quality)))

    def alarm(self, twin: str, severity: Severity = Severity.HIGH, *, active: bool = True) -> None:
        """An alarm of a twin, or its end."""
        event = Event(
            f"{twin}:alarm", twin, "alarm", Text.of("Too hot", "en"), severity, active,
            source_ns=time.time_ns(),
        )  # fmt: skip
        self.do(lambda mirror: mirror.apply(event))

    def close(self) -> None:
        """Ends the server and its thread."""
        if self._loop is not None and self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STARTS_WITHIN_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with served(
            self.mirror,
            assets=self._assets,
            static_dir=self._static_dir,
            routers=self._routers,
        ) as running:
            self._url = running.url
            self._ready.set()
            await self._stop.wait()


# -- worlds ------------------------------------------------------------------


def works() -> Edits:
    """A works without any geometry: two lines of machines that feed each other, and utilities."""
    types = [
        TwinType("Works", Text.of("Works")),
        _type("Line", "Throughput:/h:0:1000"),
        _type("Tank", "Level:%:0:100", "Temperature:Cel:0:120", "Pressure:bar:0:6"),
        _type("Pump", "Speed:/min:0:3000", "Current:A:0:40", "Vibration:mm/s:0:12"),
        _type("Mixer", "Speed:/min:0:400", "Torque:N.m:0:900", "Temperature:Cel:0:90"),
        _type("Packing machine", "Speed:/h:0:900", "Rejects:1:0:50", "Temperature:Cel:0:90"),
        _type("Energy meter", "Power:kW:0:250", "Energy:kW.h:0:9000"),
        _type("Temperature sensor", "Temperature:Cel:0:120"),
        _type("Controller", *(f"Signal{i}:%:0:100" for i in range(24))),
    ]
    twins = [Twin("works", "Works", Text.of("Riverside works"))]
    relations: list[Relation] = []

    def add(id_: str, type_: str, name: str, parent: str) -> str:
        twins.append(Twin(id_, type_, Text.of(name)))
        relations.append(Relation("part_of", id_, parent))
        return id_

    for k, line_name in enumerate(("Syrup", "Concentrate")):
        line = add(f"works/line{k}", "Line", f"{line_name} line", "works")
        raw = [add(f"{line}/raw{i}", "Tank", f"Raw tank {i + 1}", line) for i in range(3 - k)]
        pumps = [add(f"{line}/pump{i}", "Pump", f"Pump {i + 1}", line) for i in range(3 - k)]
        mixer = add(f"{line}/mixer", "Mixer", "Mixer", line)
        buffer = add(f"{line}/buffer", "Tank", "Buffer tank", line)
        packers = [
            add(f"{line}/packer{i}", "Packing machine", f"Packer {i + 1}", line) for i in range(2)
        ]
        for a, b in zip(raw, pumps, strict=True):
            relations += [Relation("feeds", a, b), Relation("feeds", b, mixer)]
        relations.append(Relation("feeds", mixer, buffer))
        relations += [Relation("feeds", buffer, packer) for packer in packers]
    utilities = add("works/utilities", "Works", "Utilities", "works")
    meters = [
        add(f"works/meter{i}", "Energy meter", f"Feeder {i + 1}", utilities) for i in range(3)
    ]
    relations += [Relation("powers", meters[k], f"works/line{k}/mixer") for k in range(2)]
    add("works/plc", "Controller", "Line controller", utilities)
    for i in range(4):
        add(f"works/t{i}", "Temperature sensor", f"Room sensor {i + 1}", utilities)
    relations.append(Relation("feeds", "works/line0", "works/line1"))
    return Edits((*map(PutType, types), *map(PutTwin, twins), *map(PutRelation, relations)))


def many(n_twins: int, n_points: int, per_area: int = 100) -> Edits:
    """Many twins of one type in areas: `n_twins` × `n_points` tags."""
    points = tuple(PointType(f"Signal{i}", Kind.FLOAT, "%", 0, 100) for i in range(n_points))
    twins: list[Twin] = []
    relations: list[Relation] = []
    for k in range(math.ceil(n_twins / per_area)):
        twins.append(Twin(f"area{k}", "Area", Text.of(f"Area {k + 1}")))
    for i in range(n_twins):
        twins.append(Twin(f"unit{i}", "Unit", Text.of(f"Unit {i + 1}")))
        relations.append(Relation("part_of", f"unit{i}", f"area{i // per_area}"))
    types = (TwinType("Area"), TwinType("Unit", points=points))
    return Edits((*map(PutType, types), *map(PutTwin, twins), *map(PutRelation, relations)))


def _type(name: str, *specifications: str) -> TwinType:
    """A type with float points, each told as `name:unit:low:high`."""
    made: list[PointType] = []
    for specification in specifications:
        point, unit, low, high = specification.split(":")
        made.append(PointType(point, Kind.FLOAT, unit, float(low), float(high)))
    return TwinType(name, points=tuple(made))


def waves(world: LivingWorld, phase: float) -> None:
    """Every float point somewhere in its range."""
    n = world.mirror.world.n_points
    at = 0.5 + 0.42 * np.sin(phase + np.arange(n) * 1.7)
    low = np.empty(n)
    high = np.empty(n)
    for handle in range(n):
        _, kind = world.mirror.world.point(handle)
        low[handle], high[handle] = kind.low or 0.0, kind.high or 1.0
    world.write_columns(np.arange(n, dtype=np.uint32), low + at * (high - low))
