"""An MTConnect agent to test and measure against: our own, since none is to be had from a package
registry that runs on a present Python or Node.

It holds observations in a bounded buffer with sequence numbers and answers `probe`, `current` and
`sample` (with `interval` as a multipart stream) as Part 1.0 §8 of the standard says. As a process

    python -m mirrorworld.testing.mtconnect_agent '{"devices": "Devices.xml", "buffer": 131072}'

it prints its port and takes lines `timestamp|data item id|value` on its input; a line `fill N`
makes N observations of the first sample item at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

BOUNDARY: Final = "mirrorworld-agent-part"
LEVELS: Final = frozenset({"NORMAL", "WARNING", "FAULT", "UNAVAILABLE"})


@dataclass(frozen=True, slots=True)
class Held:
    """One observation in the buffer."""

    sequence: int
    item: str
    timestamp: str
    value: str


@dataclass(frozen=True, slots=True)
class Described:
    """What the devices document says of a data item."""

    id: str
    category: str
    type: str
    device: str
    component: str
    component_id: str
    name: str


class TestAgent:
    """One agent. `start` it on a loop, `observe`, `stop`."""

    __test__ = False  # no test case, whatever its name

    def __init__(self, devices: bytes, *, buffer: int = 131_072, instance: int = 0) -> None:
        self.devices = devices
        self.instance = instance or time.time_ns() // 1_000
        self.items = {one.id: one for one in _described(devices)}
        self.held: deque[Held] = deque(maxlen=buffer)
        self.latest: dict[str, Held] = {}
        self.next = 1
        self.port = 0
        self.requests: list[str] = []
        """Every request line so far, for tests."""
        self._news = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        for item in self.items:
            self.observe(item, "UNAVAILABLE")

    def observe(self, item: str, value: str, timestamp: str = "") -> None:
        """Adds an observation."""
        stamp = timestamp or datetime.now(UTC).isoformat().replace("+00:00", "Z")
        held = Held(self.next, item, stamp, value)
        self.next += 1
        self.held.append(held)
        self.latest[item] = held
        self._news.set()

    async def start(self, port: int = 0) -> None:
        """Listens at the loopback."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Ends as a power cut would: connections are cut off."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line = head.split(b"\r\n", 1)[0].decode("latin-1")
                self.requests.append(line)
                await self.answer(line.split(" ")[1], reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError, IndexError):
            pass  # the mirror, or this agent, has ended
        finally:
            self._writers.discard(writer)
            writer.close()

    async def answer(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answers one request."""
        parts = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        what = parts.path.strip("/").rpartition("/")[2]
        if what in ("", "probe"):
            await _send(writer, self._probe())
        elif what == "current":
            await _send(writer, self._document(list(self.latest.values()), self.next))
        elif what == "sample" and "interval" in query:
            await self._stream(query, reader, writer)
        elif what == "sample":
            await _send(writer, self._sample(int(query.get("from", 0)), int(query["count"]))[0])
        else:
            await _send(writer, self._error("UNSUPPORTED", what))

    def _header(self, next_: int) -> str:
        first = self.held[0].sequence if self.held else self.next
        return (
            f'<Header instanceId="{self.instance}" sender="test" version="2.0"'
            f' bufferSize="{self.held.maxlen}" firstSequence="{first}"'
            f' lastSequence="{self.next - 1}" nextSequence="{next_}"'
            f' creationTime="{datetime.now(UTC).isoformat()}"/>'
        )

    def _probe(self) -> bytes:
        root = ElementTree.fromstring(self.devices)
        header = next(e for e in root.iter() if e.tag.endswith("Header"))
        header.set("instanceId", str(self.instance))
        return ElementTree.tostring(root)

    def _error(self, code: str, text: str) -> bytes:
        return (
            f'<?xml version="1.0"?><MTConnectError>{self._header(self.next)}<Errors>'
            f'<Error errorCode="{code}">{escape(text)}</Error></Errors></MTConnectError>'
        ).encode()

    def _sample(self, start: int, count: int) -> tuple[bytes, int]:
        """(document, number from which the next one goes on)."""
        first = self.held[0].sequence if self.held else self.next
        start = start or first
        if start < first or start > self.next:
            return self._error("OUT_OF_RANGE", f"from is not {first} to {self.next}"), start
        at = start - first
        found = [self.held[i] for i in range(at, min(at + count, len(self.held)))]
        next_ = found[-1].sequence + 1 if found else start
        return self._document(found, next_), next_

    def _document(self, found: list[Held], next_: int) -> bytes:
        groups: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        for held in found:
            item = self.items[held.item]
            where = groups.setdefault((item.device, item.component, item.component_id), {})
            head = (
                f'dataItemId="{held.item}" sequence="{held.sequence}" timestamp="{held.timestamp}"'
            )
            if item.category == "CONDITION":
                level, _, rest = held.value.partition("|")
                code, _, text = rest.partition("|")
                tag = level.title()
                head += f' type="{item.type}"' + (f" nativeCode={quoteattr(code)}" if code else "")
                one = f"<{tag} {head}>{escape(text)}</{tag}>"
            else:
                tag = "".join(word.title() for word in item.type.split("_")) or "Text"
                one = f"<{tag} {head}>{escape(held.value)}</{tag}>"
            names = {"SAMPLE": "Samples", "CONDITION": "Condition"}
            where.setdefault(names.get(item.category, "Events"), []).append(one)
        out = [f'<?xml version="1.0"?><MTConnectStreams>{self._header(next_)}<Streams>']
        for (device, component, id_), kinds in groups.items():
            out.append(f"<DeviceStream name={quoteattr(device)} uuid={quoteattr(device)}>")
            out.append(
                f"<ComponentStream component={quoteattr(component)} componentId={quoteattr(id_)}>"
            )
            for kind, ones in kinds.items():
                out += [f"<{kind}>", *ones, f"</{kind}>"]
            out.append("</ComponentStream></DeviceStream>")
        out.append("</Streams></MTConnectStreams>")
        return "".join(out).encode()

    async def _stream(
        self, query: dict[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        start, count = int(query.get("from", 0)), int(query.get("count", 100))
        document, next_ = self._sample(start, count)
        if document.find(b"<MTConnectError") >= 0:
            await _send(writer, document)
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
            b"Content-Type: multipart/x-mixed-replace;boundary=" + BOUNDARY.encode() + b"\r\n\r\n"
        )
        heartbeat_s = int(query.get("heartbeat", 10_000)) / 1_000
        while not writer.is_closing():
            writer.write(
                f"--{BOUNDARY}\r\nContent-type: text/xml\r\n"
                f"Content-length: {len(document)}\r\n\r\n".encode()
                + document
                + b"\r\n"
            )
            await writer.drain()
            beat = asyncio.get_running_loop().time() + heartbeat_s
            while next_ >= self.next and asyncio.get_running_loop().time() < beat:
                if reader.at_eof() or writer.is_closing():
                    return
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.05)
            await asyncio.sleep(int(query["interval"]) / 1_000)
            document, next_ = self._sample(next_, count)


def _described(devices: bytes) -> list[Described]:
    found: list[Described] = []

    def walk(element: ElementTree.Element, device: str, component: tuple[str, str]) -> None:
        tag = element.tag.rpartition("}")[2]
        if tag == "Device":
            device = element.get("name") or element.get("id", "")
        if tag == "DataItem":
            found.append(
                Described(
                    element.get("id", ""),
                    element.get("category", ""),
                    element.get("type", ""),
                    device,
                    *component,
                    element.get("name", ""),
                )
            )
        for child in element:
            below = (tag, element.get("id", "")) if tag not in ("DataItems", "Components") else None
            walk(child, device, below or component)

    walk(ElementTree.fromstring(devices), "", ("", ""))
    return found


async def _send(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    )
    await writer.drain()


async def _main(asked: dict[str, Any]) -> None:
    devices = Path(asked["devices"]).read_bytes()
    agent = TestAgent(devices, buffer=int(asked.get("buffer", 131_072)))
    await agent.start(int(asked.get("port", 0)))
    print(agent.port, flush=True)
    sampled = [item.id for item in agent.items.values() if item.category == "SAMPLE"]
    while line := (await asyncio.to_thread(sys.stdin.readline)):
        line = line.rstrip("\n")
        if line.startswith("fill "):
            for i in range(int(line[5:])):
                agent.observe(sampled[i % len(sampled)], f"{i * 0.25:.2f}")
            print(f"filled {agent.next - 1}", flush=True)
        elif line.count("|") >= 2:
            stamp, item, value = line.split("|", 2)
            agent.observe(item, value, stamp)
    await agent.stop()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
