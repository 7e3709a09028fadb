"""OPC UA against a server made with asyncua: what the other peer does not hold."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mirrorworld.connectors.opcua import Opcua
from mirrorworld.testing.connectors import DEADLINE_S, is_live, running, until
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import Command, CommandState
from mirrorworld.world.model import Kind, Text
from mirrorworld.world.ports import LinkState, SourceConfig
from mirrorworld.world.quality import BAD_NO_DATA, UNCERTAIN_LAST_USABLE

pytest.importorskip("asyncua")

PUMP = "plc/Pump_1%2FA"


class Pumps:
    """The server's process."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        script = Path(__file__).with_name("opcua_asyncua_server.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert json.loads(self._line()) == {"ready": True}

    def ask(self, **request: object) -> object:
        process = self._process
        assert process is not None and process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return json.loads(self._line())["value"]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=10)
            self._process = None

    def _line(self) -> str:
        process = self._process
        assert process is not None and process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the server ended with {process.wait(10)}"
        return line


@pytest.fixture
def pumps(free_port: Callable[[], int]) -> Iterator[Pumps]:
    server = Pumps(free_port())
    server.start()
    yield server
    server.kill()


async def test_a_server_of_another_make(pumps: Pumps) -> None:
    connector = Opcua(SourceConfig(f"opc.tcp://127.0.0.1:{pumps.port}", "plc", {"interval_ms": 50}))
    sink = MemorySink("plc")

    def now(point: str) -> tuple[object, int]:
        handles = sink.handles([(PUMP, point)])
        return sink.world.value(int(handles[0])), int(sink.world.read(handles).quality[0])

    async def point_is(point: str, value: object, quality: int = 0) -> None:
        await until(lambda: now(point) == (value, quality), f"{point} = {value}; is {now(point)}")

    async with running(connector, sink) as task:
        await is_live(connector, task)
        twins = sink.world.structure.twins
        assert set(twins) == {"plc", PUMP}, "the nameplate is no twin of its own"
        pump = twins[PUMP]
        assert pump.type == "urn:pumps#PumpType" and pump.name.best() == "Pump 1/A"
        facts = {p.name: p.value for p in pump.properties}
        assert facts["SerialNumber"] == "P-17"
        assert facts["Manufacturer"] == Text((("de", "Pumpenbau"),))
        points = {p.name: p.type for p in sink.world.structure.points_of(PUMP)}
        assert (points["Flow"].unit, points["Flow"].high) == ("m3/h", 50.0)
        assert points["Mode"].kind is Kind.ENUM
        assert points["Mode"].labels == ((0, "Off"), (1, "Eco"), (2, "Full"))
        assert points["Recipe"].kind is Kind.TEXT
        assert points["Anything"].kind is Kind.TEXT
        await point_is("Mode", 1)
        await until(lambda: now("Recipe")[0] is not None, "the structure as text")
        await asyncio.to_thread(pumps.ask, name="Flow", value=12.5)
        await point_is("Flow", 12.5)
        await point_is("Anything", "", BAD_NO_DATA)
        answer = await connector.write(Command("c", PUMP, "SpeedSetpoint", value=33))
        assert answer.state is CommandState.SENT, answer.detail
        assert await asyncio.to_thread(pumps.ask, name="Speed") == 33.0
        await point_is("SpeedSetpoint", 33.0)
        (added,) = sink.world.structure.operations_of(PUMP)
        arguments = tuple((a.name, v) for a, v in zip(added.inputs, (1.5, 2.0), strict=True))
        answer = await connector.write(Command("c", PUMP, operation="Add", arguments=arguments))
        assert answer.state is CommandState.CONFIRMED, answer.detail
        assert [value for _, value in answer.results] == [3.5]
        answer = await connector.write(Command("c", PUMP, "Flow", value=1.0))
        assert answer.state is CommandState.REFUSED and "Bad" in answer.detail
        pumps.kill()
        await point_is("Flow", 12.5, UNCERTAIN_LAST_USABLE)
        assert connector.link.state is LinkState.LOST
        await asyncio.to_thread(pumps.start)
        await is_live(connector, task)
        await point_is("Flow", 0.0)
        await point_is("Mode", 1)


async def test_two_may_look_at_once(pumps: Pumps) -> None:
    config = SourceConfig(f"opc.tcp://127.0.0.1:{pumps.port}", "plc")
    found = await asyncio.wait_for(
        asyncio.gather(Opcua(config).discover(), Opcua(config).discover()), DEADLINE_S
    )
    assert [f.twin for f in found[0]] == [f.twin for f in found[1]]
