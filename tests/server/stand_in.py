"""A mirror without sources and without a disk: what the server needs, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from fastapi import APIRouter

from mirrorworld import units
from mirrorworld.live import door, sheets
from mirrorworld.protocol import binary, messages
from mirrorworld.server import Network, serve
from mirrorworld.trust.accounts import Accounts
from mirrorworld.world.changes import (
    Arm,
    Change,
    Command,
    CommandState,
    Edits,
    Event,
    Origin,
    OriginKind,
    Position,
    PutRelation,
    PutTwin,
    PutType,
    Severity,
    Tally,
    Writing,
)
from mirrorworld.world.frames import Frame, FrameBuilder
from mirrorworld.world.model import (
    Kind,
    OperationType,
    PointType,
    Pose,
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import (
    Action,
    ConnectorAbout,
    Decision,
    Finding,
    Link,
    LinkState,
    Principal,
    Series,
    SourceConfig,
    SourceError,
)
from mirrorworld.world.world import Snapshot, World

TOKEN = "a-token-for-tests-0123456789"
START_NS = 1_800_000_000_000_000_000
SECOND_NS = 1_000_000_000


class ListRecord:
    """Keeps changes in a list. Durable at once."""

    first_ns = START_NS

    def __init__(self, world: World) -> None:
        self.world = world
        self.log: list[Change] = []

    def append(self, change: Change) -> None:
        self.log.append(change)

    def commit(self) -> Position:
        return self.world.position

    def replay(self) -> Iterator[Snapshot | Change]:
        yield from self.log

    def keyframe(self, snapshot: Snapshot) -> None: ...

    def changes(
        self, after: Position, limit: int = 10_000, *, frames: bool = True
    ) -> Iterator[Change]:
        later = [c for c in list(self.log) if c.position and c.position.sequence > after.sequence]
        yield from later[:limit]

    def read(self, point: int, start_ns: int, end_ns: int, max_rows: int | None = None) -> Series:
        found: list[tuple[int, int, int, int, bytes]] = []
        for change in list(self.log):
            if isinstance(change.body, Frame) and change.position:
                for row in np.flatnonzero(change.body.point == point).tolist():
                    when = int(change.body.source_ns[row])
                    if start_ns <= when < end_ns:
                        is_heap = self.world.kinds[point] >= Kind.TEXT
                        found.append(
                            (
                                when,
                                int(change.body.cell[row]),
                                int(change.body.quality[row]),
                                change.position.sequence,
                                change.body.heap_at(row) if is_heap else b"",
                            )
                        )
        found.sort(key=lambda row: row[:1])
        if max_rows is not None and len(found) > max_rows:
            found = found[:: -(-len(found) // max_rows)]
        heap = bytearray()
        cells: list[int] = []
        for _, cell, _, _, payload in found:
            if payload:
                cell = len(heap) << 32 | len(payload)
                heap += payload
            cells.append(cell)
        columns = list(zip(*found, strict=True)) or [(), (), (), (), ()]
        return Series(
            np.array(columns[0], np.int64),
            np.array(cells, np.int64),
            np.array(columns[2], np.uint32),
            np.array(columns[3], np.int64),
            bytes(heap),
        )

    def as_of(self, position: Position) -> Snapshot:
        if position.sequence > self.world.position.sequence:
            raise LookupError(f"{position} is not written yet")
        then = World(self.world.id, epoch=self.world.epoch)
        for change in self.log:
            if change.position and change.position.sequence <= position.sequence:
                then.replay(change)
        return then.snapshot()

    def as_of_time(self, source_ns: int):
        n = self.world.n_points
        cell, times = np.zeros(n, np.int64), np.zeros(n, np.int64)
        quality = np.full(n, 0x8032_0000, np.uint32)
        for change in list(self.log):
            if isinstance(change.body, Frame):
                for row in range(len(change.body)):
                    handle, when = int(change.body.point[row]), int(change.body.source_ns[row])
                    if times[handle] <= when <= source_ns:
                        cell[handle], times[handle] = change.body.cell[row], when
                        quality[handle] = change.body.quality[row]
        return cell, times, quality

    def close(self) -> None: ...


class Roles:
    """The owner may everything; whoever has no role sees nothing; twins may be hidden."""

    def __init__(self) -> None:
        self.is_by_twin = False
        self.hidden: set[str] = set()

    def may(self, who: Principal, action: Action, twin: str, purpose: str, now_ns: int) -> Decision:
        if twin in self.hidden:
            return Decision(False, f"{twin} is not for {who.id}")
        return Decision(bool(who.roles), "" if who.roles else f"{who.id} has no role here")


@dataclass
class Status:
    name: str
    url: str
    kind: str = "stand-in"
    link: Link = field(default_factory=lambda: Link(LinkState.LIVE, "", START_NS))
    tally: Tally = field(default_factory=Tally)
    counts: Counter[str] = field(default_factory=Counter)
    pending: tuple[object, ...] = ()


class StandIn:
    """See `server/mirrored.py`."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World("stand-in")
        self.record = ListRecord(self.world)
        self.guard = Roles()
        self.clock_ns = START_NS
        self.statuses: dict[str, Status] = {"line1": Status("line1", "mqtt://plant")}
        self.is_disk_full = False
        self.around = None
        self.blobs = None

    def connectors(self):
        return [(["mqtt"], ConnectorAbout("MQTT", "mqtt://broker.plant:1883"))]

    @property
    def durable(self) -> Position:
        return self.world.position

    @property
    def queues(self):
        return {"line1": (0, 100)}

    def now_ns(self) -> int:
        return self.clock_ns

    def apply(self, body, by: str = "line1", kind: OriginKind = OriginKind.MEASURED) -> Position:
        applied = self.world.apply(Change(body, Origin(kind, by), self.clock_ns, by)).change
        if applied is not None:
            self.record.append(applied)
        return self.world.position

    def sample(self, **values: object) -> Position:
        """Samples of the filler of `line`, now."""
        builder = FrameBuilder()
        for name, value in values.items():
            handle = self.world.structure.handle("line1/filler", name)
            builder.add(handle, Kind(int(self.world.kinds[handle])), value, self.clock_ns)
        return self.apply(builder.build())

    def sources(self):
        return list(self.statuses.values())

    def hook(self, name: str):
        return None

    def _may(self, who: Principal, action: Action, twin: str) -> None:
        decision = self.guard.may(who, action, twin, "", self.clock_ns)
        if not decision.allowed:
            raise PermissionError(decision.reason)

    async def set_aside(
        self,
        who: Principal,
        event_id: str,
        *,
        shelved_until_ns: int | None = None,
        is_out_of_service: bool | None = None,
        reason: str = "",
    ) -> Event:
        self._may(who, Action.ACKNOWLEDGE if is_out_of_service is None else Action.EDIT, "")
        event = self.world.events[event_id]
        return dataclasses.replace(
            event,
            shelved_until_ns=shelved_until_ns or 0,
            is_out_of_service=bool(is_out_of_service),
        )

    async def edit(
        self, who: Principal, edits: Edits, based_on: Sequence[sheets.Known] = ()
    ) -> Position:
        return self.take_edits(who, edits, based_on)

    def take_edits(
        self, who: Principal, edits: Edits, based_on: Sequence[sheets.Known] = ()
    ) -> Position:
        if self.is_disk_full:
            raise OSError(28, "no space left on device")
        self._may(who, Action.EDIT, "")
        door.check(edits, self.world.structure, based_on)
        return self.apply(edits, who.id, OriginKind.AUTHORED)

    def take_writing(self, who: Principal | None, writing: Writing) -> Position:
        if self.is_disk_full:
            raise OSError(28, "no space left on device")
        if who is None:
            return self.apply(writing, "authoring", OriginKind.INFERRED)
        self._may(who, Action.WRITE, writing.twin)
        return self.apply(writing, who.id, OriginKind.AUTHORED)

    async def until_durable(self, position: Position) -> None:
        await asyncio.sleep(0)

    async def command(
        self, who: Principal, command: Command, *, unit: str = "", is_confirmed: bool = False
    ):
        if unit:
            handle = self.world.structure.handle(command.twin, command.point)
            own = self.world.structure.point(handle)[1].unit
            value = units.convert(float(command.value or 0), unit, own)
            command = dataclasses.replace(command, value=value)
        arm = self.world.structure.arms.get((command.twin, command.point or command.operation))
        if arm is None:
            command = dataclasses.replace(
                command, state=CommandState.REFUSED, detail="it is not armed"
            )
        self.apply(command, who.id, OriginKind.DESIRED)
        return command

    def decide(self, command: str, state: CommandState) -> None:
        self.apply(dataclasses.replace(self.world.commands[command], state=state))

    async def acknowledge(self, who: Principal, event: str, comment: str = "") -> Event:
        seen = dataclasses.replace(self.world.events[event], is_acknowledged=True)
        self.apply(seen, who.id, OriginKind.AUTHORED)
        return seen

    async def add_source(self, who: Principal, config: SourceConfig) -> Status:
        if config.url.startswith("nothing:"):
            raise SourceError(f"{config.url}: no connector serves 'nothing'; try mqtt://")
        name = config.name or "source"
        if name in self.statuses:
            raise ValueError(f"{name}: there is such a source already; choose another name")
        self.statuses[name] = Status(name, config.url)
        return self.statuses[name]

    async def discover(self, who: Principal, config: SourceConfig):
        if config.url.startswith("nothing:"):
            raise SourceError(f"{config.url}: no connector serves 'nothing'; try mqtt://")
        twin = Twin("found/pump", "Pump")
        return [Finding(twin, TwinType("Pump"), "one topic", (("speed", 3.5),))]

    async def trust(self, who: Principal, source: str, fingerprint: str) -> Status:
        if fingerprint != "ab:cd":
            raise ValueError("no certificate with this fingerprint waits; compare it again")
        return self.statuses[source]

    async def remove_source(self, who: Principal, source: str) -> None:
        del self.statuses[source]


FILLER_POINTS = (
    PointType("level", Kind.FLOAT, "%", 0.0, 100.0),
    PointType("count", Kind.INT),
    PointType("running", Kind.BOOL),
    PointType("mode", Kind.ENUM, labels=((0, "off"), (1, "auto"))),
    PointType("order", Kind.TEXT),
    PointType("spectrum", Kind.ARRAY),
    PointType("speed", Kind.FLOAT, "/min", 0.0, 400.0, is_writable=True),
)


def line() -> StandIn:
    """A small line: rinser feeds filler feeds capper, all part of line1, powered by a meter."""
    mirror = StandIn()
    machine = TwinType("Machine", Text.of("Machine", "en"), points=(PointType("state", Kind.INT),))
    filler = TwinType(
        "Filler",
        Text.of("Filler", "en"),
        extends=("Machine",),
        points=FILLER_POINTS,
        operations=(OperationType("clear_jam"),),
    )
    names = ("line1/rinser", "line1/filler", "line1/capper", "line1/meter")
    twins = [
        Twin("line1", "Line", Text.of("Line 1", "en")),
        *(
            Twin(
                name,
                "Filler" if name.endswith("filler") else "Machine",
                Text.of(name.partition("/")[2].capitalize(), "en"),
                (Property("serial_number", f"S-{i}"),),
                pose=Pose(x_m=float(i)),
            )
            for i, name in enumerate(names)
        ),
    ]
    relations = [Relation("part_of", name, "line1") for name in names]
    relations += [
        Relation("feeds", "line1/rinser", "line1/filler"),
        Relation("feeds", "line1/filler", "line1/capper"),
        Relation("powers", "line1/meter", "line1/rinser"),
    ]
    mirror.apply(
        Edits(
            (
                PutType(machine),
                PutType(filler),
                *map(PutTwin, twins),
                *map(PutRelation, relations),
                Arm("line1/filler", "speed", low=0.0, high=300.0),
            )
        )
    )
    mirror.sample(level=41.5, count=7, running=True, mode=1, order="A-17", speed=120.0)
    mirror.sample(spectrum=np.array([1.0, 2.5, 0.5]))
    mirror.apply(
        Event(
            "line1/filler:jam",
            "line1/filler",
            "alarm",
            Text.of("Jam", "en"),
            Severity.HIGH,
            is_active=True,
            source_ns=START_NS,
        )
    )
    return mirror


@dataclass
class Served:
    """A server of the test's own on a free port."""

    mirror: StandIn
    url: str

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, **headers: str) -> httpx.AsyncClient:
        """An HTTP client that has the token."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {TOKEN}", **headers},
            timeout=60,
        )


@contextlib.asynccontextmanager
async def served(
    mirror: StandIn,
    *,
    port: int = 0,
    assets: Path | None = None,
    static_dir: Path | None = None,
    accounts: Accounts | None = None,
    network: Network | None = None,
    examiners: Mapping[str, Callable[[Path], object]] | None = None,
    routers: Sequence[APIRouter] = (),
) -> AsyncIterator[Served]:
    """Serves a mirror with the real server for as long as the test needs it."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    task = asyncio.create_task(
        serve(
            mirror,  # pyright: ignore[reportArgumentType]
            token=TOKEN,
            port=port,
            assets=assets,
            static_dir=static_dir,
            accounts=accounts,
            network=network,
            examiners=examiners,
            routers=routers,
            on_ready=ready.set_result,
            stop=stop,
        )
    )
    done, _ = await asyncio.wait({task, ready}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    if task in done:
        task.result()
    try:
        yield Served(mirror, await ready)
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


class Copy:
    """What a page has after all that it was told: the reference reader of the stream.

    Values are kept with their source time rounded to milliseconds, texts as they are.
    """

    def __init__(self) -> None:
        self.types: dict[str, object] = {}
        self.twins: dict[int, dict] = {}
        self.relations: dict[tuple[str, str, str, str], object] = {}
        self.points: dict[int, tuple[int, object]] = {}
        self.arms: dict[tuple[str, str], object] = {}
        self.events: dict[str, object] = {}
        self.commands: dict[str, object] = {}
        self.values: dict[int, tuple[float | None, int, int | None]] = {}
        self.texts: dict[int, object] = {}
        self.position: str | None = None
        self.welcome: messages.Welcome | None = None
        self.last_kind = 0
        self.resets = 0

    def hear(self, data: str | bytes) -> object:
        if isinstance(data, bytes):
            return self._frame(binary.decode(data))
        message = messages.read_server(data)
        match message:
            case messages.Welcome():
                self.welcome = message
            case messages.Structure():
                self._structure(message)
            case messages.Events(events=events, reset=reset):
                if reset:
                    self.events.clear()
                self.events.update((e["id"], e) for e in events)
            case messages.Commands(commands=commands, reset=reset):
                if reset:
                    self.commands.clear()
                self.commands.update((c["id"], c) for c in commands)
            case messages.Texts(values=values):
                self.texts.update((v.handle, v.value) for v in values)
        return message

    def _structure(self, message: messages.Structure) -> None:
        if message.reset:
            self.resets += 1
            for part in (self.types, self.twins, self.relations, self.points, self.arms):
                part.clear()
            self.values.clear()
            self.texts.clear()
        for key in message.relations_dropped:
            self.relations.pop((key.kind, key.source, key.target, key.name), None)
        for key in message.arms_dropped:
            self.arms.pop((key.twin, key.name), None)
        self.types.update((t["id"], t) for t in message.types)
        for at in message.twins:
            if at.twin is None:
                gone = self.twins.pop(at.ordinal, None)
                if gone is not None:
                    self._end(gone["id"])
            else:
                self.twins[at.ordinal] = at.twin
        table = message.points
        for handle, twin, kind in zip(table.handle, table.twin, table.type, strict=True):
            self.points[handle] = (twin, message.point_types[kind])
        for relation in message.relations:
            name = relation.get("name", "")
            key = (relation["kind"], relation["source"], relation["target"], name)
            self.relations[key] = relation
        self.arms.update(((a["twin"], a["name"]), a) for a in message.arms)

    def _end(self, twin: str) -> None:
        self.relations = {k: r for k, r in self.relations.items() if twin not in k[1:3]}
        self.arms = {k: a for k, a in self.arms.items() if k[0] != twin}

    def _frame(self, frame: binary.ValueFrame) -> binary.ValueFrame:
        if frame.flags & binary.WHOLE:
            self.values.clear()
        self.last_kind = frame.kind
        rows = zip(
            frame.handle.tolist(),
            frame.value.tolist(),
            frame.status.tolist(),
            frame.source_ms.tolist(),
            strict=True,
        )
        for handle, value, status, source_ms in rows:
            number = None if value != value else value
            self.values[handle] = (number, status, None if source_ms != source_ms else source_ms)
        self.position = f"{frame.epoch}:{frame.sequence}"
        return frame

    def seen(self) -> dict[str, object]:
        """Everything that two pages which were told the same agree on."""
        alive = {handle for handle, (twin, _) in self.points.items() if twin in self.twins}
        return {
            "types": self.types,
            "twins": self.twins,
            "relations": self.relations,
            "points": {h: p for h, p in self.points.items() if h in alive},
            "arms": self.arms,
            "events": self.events,
            "commands": self.commands,
            "values": {
                handle: (number, status >> 6, status >> 3 & 7, source_ms)
                for handle, (number, status, source_ms) in self.values.items()
                if handle in alive
            },
            "texts": {h: t for h, t in self.texts.items() if h in alive},
        }


def truth(world: World) -> dict[str, object]:
    """What a page should have, read off the world itself: the measure for `Copy.seen`."""
    structure = world.structure
    ordinals = {twin: structure.ordinal(twin) for twin in structure.twins}
    points = {
        point.handle: (ordinals[twin], to_plain(point.type))
        for twin in structure.twins
        for point in structure.points_of(twin)
    }
    values: dict[int, object] = {}
    texts: dict[int, object] = {}
    for handle in points:
        at = world.read(np.array([handle], np.uint32))
        if at.changed[0] < 0:
            continue
        kind, value = Kind(int(world.kinds[handle])), world.value(handle)
        number = None
        if not kind.is_heap and value == value:
            number = float(np.float32(value))
        severity = min(int(at.quality[0]) >> 30, 2)
        origin = int(world.origins[int(at.origin[0])].kind)
        values[handle] = (number, severity, origin, int(at.source_ns[0]) // 1_000_000)
        if kind.is_heap:
            empty = not world.heap(handle)
            shown = None if empty or kind is Kind.BLOB else value
            texts[handle] = shown.tolist() if isinstance(shown, np.ndarray) else shown
    return {
        "types": {key: to_plain(one) for key, one in structure.types.items()},
        "twins": {ordinals[key]: to_plain(one) for key, one in structure.twins.items()},
        "relations": {key: to_plain(one) for key, one in structure.relations.items()},
        "points": points,
        "arms": {key: to_plain(one) for key, one in structure.arms.items()},
        "events": {key: to_plain(one) for key, one in world.events.items()},
        "commands": {key: to_plain(one) for key, one in world.commands.items()},
        "values": values,
        "texts": texts,
    }
