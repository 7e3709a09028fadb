"""The node-opcua server of the tests, as a process under their control, and a line to cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any


class NodeOpcua:
    """A node-opcua server (tests/peers/opcua_server.js). Its answers come over pipes."""

    def __init__(self, node: str, peers: Path, root: Path, **options: Any) -> None:
        self.node, self.script = node, peers / "opcua_server.js"
        self.options = {"root": str(root), **options}
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._next = 0

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, **more: Any) -> NodeOpcua:
        """Starts it, again on the port that it had; `more` changes its options from now on."""
        self.options |= more
        self._process = subprocess.Popen(
            [self.node, str(self.script), json.dumps({**self.options, "port": self.port})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.script.parent,
        )
        answer = self._answer()
        assert answer.get("ready"), f"the peer did not start: {answer}"
        self.port = answer["port"]
        return self

    def ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            process = self._process
            assert process is not None and process.stdin is not None
            self._next += 1
            process.stdin.write(json.dumps({"op": op, "id": self._next, **arguments}) + "\n")
            process.stdin.flush()
            answer = self._answer()
            while answer.get("id") != self._next:
                answer = self._answer()
        assert "error" not in answer, answer
        return answer

    async def asked(self, op: str, **arguments: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self.ask, op, **arguments)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process = None

    def _answer(self) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        return {"error": f"the peer ended with {process.wait(10)}"}


class Line:
    """A TCP line to a port that can be cut and mended, while both ends live on."""

    def __init__(self, port: int) -> None:
        self.target, self.port = port, 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_cut = False

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    def cut(self) -> None:
        self._is_cut = True
        for writer in list(self._open):
            writer.transport.abort()

    def mend(self) -> None:
        self._is_cut = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._open -= {writer, far_writer}
            for end in (writer, far_writer):
                end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    line = Line(port)
    server = line._server = await asyncio.start_server(line._serve, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        line.cut()
        server.close()
        if line._tasks:
            await asyncio.wait(line._tasks, timeout=5)
