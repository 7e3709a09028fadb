"""The plant as a process, over its protocols, seen by the mirror's own connectors."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from mirrorworld.connectors.opcua import Opcua
from mirrorworld.connectors.sparkplug import Sparkplug
from mirrorworld.testing.models import check_model
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import (
    Arm,
    Change,
    Command,
    CommandState,
    Origin,
    OriginKind,
    PutRelation,
)
from mirrorworld.world.ports import SourceConfig
from mirrorworld.world.world import World
from mirrorworld_worlds.bottling_line import instruments, make
from mirrorworld_worlds.bottling_line.alarms import LineAlarms
from mirrorworld_worlds.bottling_line.line import Line
from mirrorworld_worlds.bottling_line.opcua_server import NAMESPACE
from mirrorworld_worlds.bottling_line.world import BottlingLine
from mirrorworld_worlds.processes import Processes, StartError

FILLER = "plant/Line1/Filler"
COMPRESSOR = "utilities/bottling/utilities/compressor"
START_TIMEOUT_S = 90.0

# Generous, for machines that do much else: nothing waits longer than what it waits for.
pytestmark = pytest.mark.timeout(400)


@asynccontextmanager
async def running_plant(*arguments: str) -> AsyncIterator[dict[str, Any]]:
    """The plant as a child; ends with this context, and with this process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mirrorworld_worlds.bottling_line.plant", "--follow-stdin"),
        *("--jam-rate", "0", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            said = json.loads(await process.stdout.readline())
        yield {**said, "process": process}
    finally:
        process.stdin.close()
        async with asyncio.timeout(15.0):
            status = await process.wait()
    assert status == 0, "the plant ends in good order when its parent lets go"


@dataclass
class Mirrored:
    """The plant's sources in one world."""

    world: World
    sinks: dict[str, MemorySink] = field(default_factory=dict)
    connectors: dict[str, Any] = field(default_factory=dict)

    def value(self, twin: str, point: str) -> Any:
        """The latest value; None while the point is not declared."""
        if twin not in self.world.structure.twins:
            return None
        try:
            handle = self.world.handles([(twin, point)])[0]
        except KeyError:
            return None
        return self.world.value(int(handle))

    async def until(self, source: str, condition: Any, timeout_s: float = 90.0) -> None:
        """Waits for what a source reports."""
        await self.sinks[source].until(condition, timeout_s)


@asynccontextmanager
async def mirrored(*configs: SourceConfig) -> AsyncIterator[Mirrored]:
    """Connectors that run into one world."""
    mirror = Mirrored(World("bottling_line"))
    tasks: list[asyncio.Task[None]] = []
    for config in configs:
        connector = (Opcua if config.url.startswith("opc") else Sparkplug)(config)
        sink = MemorySink(config.name, mirror.world, keeps_frames=False)
        mirror.sinks[config.name], mirror.connectors[config.name] = sink, connector
        tasks.append(asyncio.create_task(connector.run(sink)))
    try:
        yield mirror
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def command(twin: str, **what: Any) -> Command:
    """A command, asked for now."""
    return Command("c", twin, by="test", requested_ns=time.time_ns(), **what)


async def test_an_operator_changes_speed_and_clears_a_jam() -> None:
    options = ("--time-scale", "4", "--crew-after", "0", "--jam-after", "1")
    async with (
        running_plant(*options) as plant,
        mirrored(SourceConfig(plant["opcua"], "plant")) as mirror,
    ):
        connector = mirror.connectors["plant"]
        await mirror.until("plant", lambda: mirror.value(FILLER, "JamActive") is True)
        refused = await connector.write(command(FILLER, operation="StartCip"))
        assert refused.state in (CommandState.REFUSED, CommandState.FAILED)
        cleared = await connector.write(command(FILLER, operation="ClearJam"))
        assert cleared.state is CommandState.CONFIRMED, cleared.detail
        await mirror.until("plant", lambda: mirror.value(FILLER, "JamActive") is False)
        await mirror.until("plant", lambda: mirror.value(FILLER, "State") == 6)
        await mirror.until("plant", lambda: mirror.value(FILLER, "Speed") > 10_000.0)

        sent = await connector.write(command(FILLER, point="SpeedSetpoint", value=9_000.0))
        assert sent.state in (CommandState.SENT, CommandState.CONFIRMED), sent.detail
        await mirror.until("plant", lambda: mirror.value(FILLER, "SpeedSetpoint") == 9_000.0)
        await mirror.until("plant", lambda: 7_000.0 < mirror.value(FILLER, "Speed") <= 9_000.0)


async def test_counters_add_up_over_the_protocol() -> None:
    async with running_plant() as plant, Client(plant["opcua"]) as client:
        index = await client.get_namespace_index(NAMESPACE)
        line = await client.nodes.objects.get_child(f"{index}:Line1")
        names = ("BottlesIn", "BottlesOut", "Rejects")
        for name in ("Rinser", "Filler", "Capper", "Labeller", "Packer"):
            machine = await line.get_child(f"{index}:{name}")
            nodes = [await machine.get_child(f"{index}:{n}") for n in (*names, "BottlesInside")]
            # One Read request is answered between two reports: a consistent row.
            came, went, rejected, inside = await client.read_values(nodes)
            assert came > 500
            assert came - went - rejected == inside, name

        # Whatever can be browsed in the plant's namespace is an instrument, a method, a fact of
        # identification or a part: nothing of wear, leak, drift or chance.
        declared = {i.name for kind in instruments.INTERFACES for i in kind.instruments}
        declared |= {a.name for kind in instruments.INTERFACES for a in kind.actions}
        declared |= set(Line(1).machines) | set(instruments.owners(Line(1))) | {"Line1"}
        seen: set[str] = set()
        todo = [line]
        while todo:
            for found in await todo.pop().get_references(
                ua.ObjectIds.HierarchicalReferences, ua.BrowseDirection.Forward
            ):
                if found.NodeId.NamespaceIndex == index:
                    is_fact = found.ReferenceTypeId == ua.NodeId(ua.ObjectIds.HasProperty)
                    if not is_fact:
                        seen.add(found.BrowseName.Name)
                    todo.append(client.get_node(found.NodeId))
        assert seen
        assert seen <= declared, f"undeclared: {seen - declared}"


async def test_the_server_refuses_what_its_range_forbids() -> None:
    async with running_plant() as plant, Client(plant["opcua"]) as client:
        index = await client.get_namespace_index(NAMESPACE)
        path = [f"{index}:Line1", f"{index}:Filler", f"{index}:SpeedSetpoint"]
        setpoint = await client.nodes.objects.get_child(path)
        for value in (30_000.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ua.uaerrors.BadOutOfRange):
                await setpoint.write_value(value)
        with pytest.raises(ua.uaerrors.BadTypeMismatch):
            await setpoint.write_value("fast")
        path[-1] = f"{index}:Speed"
        speed = await client.nodes.objects.get_child(path)
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await speed.write_value(1.0)


@pytest.mark.peer
async def test_the_world_mirrors_both_sources(mosquitto: Any) -> None:
    broker = f"{mosquitto.host}:{mosquitto.port}"
    async with (
        running_plant("--mqtt", broker, "--time-scale", "3") as plant,
        mirrored(
            SourceConfig(plant["opcua"], "plant"),
            SourceConfig(f"sparkplug://{broker}", "utilities"),
        ) as mirror,
    ):
        world, line = mirror.world, BottlingLine()
        await mirror.until("plant", lambda: mirror.value(FILLER, "Speed") is not None)
        await mirror.until("utilities", lambda: line.edits(world) is not None)
        edits = line.edits(world)
        assert edits is not None
        origin = Origin(OriginKind.AUTHORED, "test")
        assert world.apply(Change(edits, origin, time.time_ns())).change is not None

        twins = world.structure.twins
        assert twins[FILLER].name.best("de") == "Füller"
        assert twins[FILLER].geometry == "asset:bottling_line/filler"
        serial = twins[FILLER].property("SerialNumber")
        assert serial is not None
        assert serial.value == "EW-20-11911"
        points = {name: point for name, _, point in world.structure.points_of(FILLER)}
        assert (6, "Execute") in points["State"].labels
        assert (points["BowlLevel"].unit, points["BowlLevel"].high) == ("%", 100.0)
        kinds = {key[:3] for key in world.structure.relations}
        assert ("feeds", FILLER, "plant/Line1/Conveyor3") in kinds
        assert ("powers", COMPRESSOR.replace("compressor", "meter_filler"), FILLER) in kinds
        assert ("supplies", COMPRESSOR, "plant/Line1/AirManifold") in kinds
        assert ("powers", "plant/Line1/Cabinet", FILLER) in kinds, "told by the server itself"
        assert (FILLER, "ClearJam") in world.structure.arms
        assert all(e.relation.target in twins for e in edits.edits if isinstance(e, PutRelation))
        assert {e.twin for e in edits.edits if isinstance(e, Arm)} <= set(twins)

        # The second time there is nothing to say: what people changed since stays.
        again = line.edits(world)
        assert again is not None
        assert world.apply(Change(again, origin, time.time_ns())).change is None

        metrics = {
            name
            for twin in twins
            if twin.startswith("utilities/bottling/utilities/")
            for name, _, _ in world.structure.points_of(twin)
        }
        assert metrics == {
            *("Pressure", "PressureSetpoint", "Flow", "Load", "OilTemperature", "DewPoint"),
            *("RunningHours", "ActivePower", "Energy", "Current", "Voltage"),
        }

        energy = mirror.value(COMPRESSOR.replace("compressor", "main_meter"), "Energy")
        point = (COMPRESSOR.replace("compressor", "main_meter"), "Energy")
        await mirror.until("utilities", lambda: mirror.value(*point) > energy)
        wish = command(COMPRESSOR, point="PressureSetpoint", value=6.4)
        sent = await mirror.connectors["utilities"].write(wish)
        assert sent.state in (CommandState.SENT, CommandState.CONFIRMED), sent.detail
        await mirror.until("utilities", lambda: mirror.value(COMPRESSOR, "Pressure") < 6.9)


@pytest.mark.peer
async def test_the_edge_node_survives_its_broker(mosquitto: Any) -> None:
    broker = f"{mosquitto.host}:{mosquitto.port}"
    async with (
        running_plant("--mqtt", broker) as plant,
        mirrored(SourceConfig(f"sparkplug://{broker}", "utilities")) as mirror,
    ):
        await mirror.until("utilities", lambda: mirror.value(COMPRESSOR, "Flow") is not None)
        mosquitto.kill()
        mosquitto.start()
        before = mirror.sinks["utilities"].tally.accepted
        await mirror.until("utilities", lambda: mirror.sinks["utilities"].tally.accepted > before)
        assert plant["process"].returncode is None


async def test_alarms_come_and_go() -> None:
    options = ("--time-scale", "4", "--crew-after", "0", "--jam-after", "2")
    async with (
        running_plant(*options) as plant,
        mirrored(SourceConfig(plant["opcua"], "plant")) as mirror,
    ):
        world, alarms = mirror.world, LineAlarms("plant/")
        jam = f"{FILLER}#jam"
        await mirror.until("plant", lambda: mirror.value(FILLER, "JamActive") is True)
        assert check_model(alarms, world, time.time_ns()) >= 1
        assert world.events[jam].is_active
        assert world.events[jam].message.best("de") == "Filler: Stau"
        await mirror.connectors["plant"].write(command(FILLER, operation="ClearJam"))
        await mirror.until("plant", lambda: mirror.value(FILLER, "JamActive") is False)
        for change in alarms.step(world, time.time_ns()):
            world.apply(change)
        assert not world.events[jam].is_active


async def test_make_up_starts_broker_and_plant_and_brings_them_back(tmp_path: Path) -> None:
    line = make()
    try:
        configs = await line.start(tmp_path)
        assert [c.name for c in configs] == ["plant", "utilities"]
        broker, plant = line._processes.children
        async with mirrored(*configs) as mirror:
            await mirror.until("utilities", lambda: mirror.value(COMPRESSOR, "Flow") is not None)
            os.kill(plant.pid, 9)
            await mirror.until("plant", lambda: mirror.value(FILLER, "State") is not None)
            await mirror.until("plant", lambda: line.edits(mirror.world) is not None)
            hall = line.edits(mirror.world)
            assert hall is not None
            mirror.world.apply(Change(hall, Origin(OriginKind.AUTHORED, "test"), time.time_ns()))
            async with asyncio.timeout(20.0):
                while line._processes.restarts["plant"] == 0:
                    await asyncio.sleep(0.05)
            told = list(line.models[1].step(mirror.world, time.time_ns()))
            assert [c.body.kind for c in told] == ["process-restarted"]
            assert not list(line.models[1].step(mirror.world, time.time_ns()))
    finally:
        await line.stop()
    for pid in (broker.pid, plant.pid):
        assert not Path(f"/proc/{pid}").exists() or _is_reaped(pid)


def _is_reaped(pid: int) -> bool:
    """Whether the process is gone or another's by now."""
    command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
    return b"bottling_line" not in command_line and b"nats" not in command_line


async def test_a_process_that_cannot_start_says_so(tmp_path: Path) -> None:
    processes = Processes()
    failing = [sys.executable, "-c", "print('no such port'); raise SystemExit(3)"]
    with pytest.raises(StartError, match="thing ended; it said: no such port"):
        await processes.start("thing", failing, lambda line: False)
    assert not processes.children


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--mqtt", "nowhere"], "give it as host:port"),
        (["--mqtt", "127.0.0.1:1"], "broker 127.0.0.1:1"),
        (["--time-scale", "0"], "--time-scale 0"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mirrorworld_worlds.bottling_line.plant",
            "--warm-up",
            "1",
            *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
