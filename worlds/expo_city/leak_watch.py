"""The leak finder as a model of the world: hands it minutes, brings back what it thinks.

The finder itself (`leak.py`) has an EPANET of its own and is a process; here are only the points
that it looks at and those that it fills: a probability for each neighbourhood, one in all, a size,
and an alarm while it is sure. It never waits for the process: what finds no room in the queue to
it is left out and counted.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.changes import (
    Change,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutPoints,
    Severity,
)
from mirrorworld.world.frames import frame
from mirrorworld.world.model import PointType, Property, Text

from .mains import Network
from .plant_water import BAR_M

if TYPE_CHECKING:
    from mirrorworld.world.world import World

log = logging.getLogger(__name__)

WAITING_MAX: Final = 64
PROBABILITY: Final = PointType(
    "LeakProbability", unit="1", low=0.0, high=1.0,
    description=Text(
        (("en", "That water is being lost here"), ("de", "Dass hier Wasser verloren geht"))
    ),
)  # fmt: skip
SIZE: Final = PointType("LeakSize", unit="L/s", low=0.0, high=100.0)
Points = Sequence[tuple[str, str]]


class LeakWatch:
    """A Model (world/ports.py) over one network.

    Args:
        gauges, meters, irrigation, buildings: (twin, point) of each, in the network's order.
        valves: (twin, point) and pipe of each valve.
        zones: twins of the neighbourhoods.
        water: the twin that carries what is true of the whole network.
        command: starts the finder.
    """

    name = "leak finder"
    origin = OriginKind.INFERRED

    def __init__(
        self, network: Network, *, gauges: Points, meters: Points, irrigation: Points,
        buildings: Points, valves: Sequence[tuple[str, str, int]], zones: Sequence[str],
        water: str, works: Points, command: Sequence[str],
    ) -> None:  # fmt: skip
        self._network, self._zones, self._water = network, zones, water
        self._valve_pipe = [pipe for _, _, pipe in valves]
        groups = (gauges, meters, irrigation, buildings, [(t, p) for t, p, _ in valves], works)
        self._asked = [pair for group in groups for pair in group]
        ends = np.cumsum([len(group) for group in groups])
        self._cuts = [slice(int(e - len(g)), int(e)) for e, g in zip(ends, groups, strict=True)]
        self._command = command
        self._handles: NDArray[np.uint32] | None = None
        self._targets: NDArray[np.uint32] | None = None
        self._has_points = False
        self._minute, self._seen_ns = -1, 0
        self._rows: list[NDArray[np.float64]] = []
        self._alarm_zone = -1
        self.left_out = 0
        self._out: queue.Queue[str | None] = queue.Queue(WAITING_MAX)
        self._in: queue.Queue[dict[str, Any]] = queue.Queue(WAITING_MAX)
        self._process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """Ends the finder's process."""
        if self._process is not None:
            self._out.put(None)
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    # --- one look ---

    def step(self, view: World, until_ns: int) -> Iterable[Change]:
        """See `Model`: sends a minute when one is over, and says what has come back."""
        if self._handles is None and not self._bind(view):
            return
        assert self._handles is not None
        if not self._has_points:
            self._has_points = True
            edits = [PutPoints(zone, (PROBABILITY,)) for zone in self._zones]
            edits.append(PutPoints(self._water, (PROBABILITY, SIZE)))
            yield Change(Edits(tuple(edits), "what the leak finder says"), self._by, until_ns)
            return
        self._look(view)
        while True:
            try:
                found = self._in.get_nowait()
            except queue.Empty:
                return
            yield from self._say(view, found, until_ns)

    @property
    def _by(self) -> Origin:
        return Origin(self.origin, self.name)

    def _bind(self, view: World) -> bool:
        twins = view.structure.twins
        if any(zone not in twins for zone in (*self._zones, self._water)):
            return False
        try:
            self._handles = view.handles(self._asked)
        except KeyError:
            return False
        self._start()
        return True

    def _look(self, view: World) -> None:
        assert self._handles is not None
        now = view.read(self._handles)
        works = self._cuts[5]
        at_ns = int(now.source_ns[works].max())
        if at_ns <= self._seen_ns:
            return
        self._seen_ns = at_ns
        minute = at_ns // 60_000_000_000
        if minute != self._minute and self._rows:
            self._send(self._minute)
            self._rows.clear()
        self._minute = minute
        self._rows.append(now.cell.view(np.float64).copy())

    def _send(self, minute: int) -> None:
        mean = np.mean(self._rows, axis=0)
        if not np.isfinite(mean).all():
            return
        pressure, flow, irrigation, buildings, valves, works = (mean[cut] for cut in self._cuts)
        pump, speed, level, inflow = works.tolist()
        shut = [
            pipe
            for pipe, percent in zip(self._valve_pipe, valves.tolist(), strict=True)
            if percent < 50.0
        ]
        said = {
            "pressure_m": (pressure / BAR_M).round(4).tolist(),
            "flow_l_s": flow.round(4).tolist(),
            "pump_l_s": pump,
            "pump_speed": speed / 100.0,
            "tank_level_m": level,
            "tank_l_s": inflow,
            "irrigation_l_s": irrigation.round(4).tolist(),
            "building_m3_h": buildings.round(4).tolist(),
            "shut": shut,
        }
        line = json.dumps({"at_ns": minute * 60_000_000_000 + 59_000_000_000, "minute": said})
        try:
            self._out.put_nowait(line)
        except queue.Full:
            self.left_out += 1

    # --- what came back ---

    def _say(self, view: World, found: dict[str, Any], now_ns: int) -> Iterator[Change]:
        if self._targets is None:
            asked = [(zone, PROBABILITY.name) for zone in self._zones]
            asked += [(self._water, PROBABILITY.name), (self._water, SIZE.name)]
            self._targets = view.handles(asked)
        values = np.array([*found["zone"], found["loss"], found["size_l_s"]])
        yield Change(frame(self._targets, values, found["at_ns"]), self._by, now_ns, self.name)
        zone = int(np.argmax(found["zone"])) if found["is_alarm"] else -1
        if zone == self._alarm_zone:
            return
        for which, is_active in ((self._alarm_zone, False), (zone, True)):
            if which >= 0:
                yield Change(self._event(which, found, is_active), self._by, now_ns)
        self._alarm_zone = zone

    def _event(self, zone: int, found: dict[str, Any], is_active: bool) -> Event:
        english, german = self._network.zones[zone]
        size = found["size_l_s"]
        message = Text(
            (
                ("en", f"Water is lost in {english}: about {size:.1f} l/s"),
                ("de", f"Wasserverlust in {german}: etwa {size:.1f} l/s"),
            )
        )
        properties = (
            Property("probability", found["zone"][zone]),
            Property("size", size, "xs:double", "L/s"),
            Property("pipe", self._network.pipes[found["pipe"]].id if found["pipe"] >= 0 else ""),
        )
        twin = self._zones[zone]
        return Event(
            f"{twin}#leak", twin, "leak", message, Severity.HIGH, is_active,
            source_ns=found["at_ns"], properties=properties,
        )  # fmt: skip

    # --- the process ---

    def _start(self) -> None:
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process = process
        for work in (self._write_on, self._read_on):
            threading.Thread(target=work, args=(process,), daemon=True, name=self.name).start()

    def _write_on(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        try:
            while (line := self._out.get()) is not None:
                process.stdin.write(line + "\n")
                process.stdin.flush()
            process.stdin.close()
        except OSError:
            log.warning("%s has ended with status %s", self.name, process.poll())

    def _read_on(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            found = json.loads(line)
            if "zone" in found:
                try:
                    self._in.put_nowait(found)
                except queue.Full:
                    self.left_out += 1
