"""Writing together: many clients edit the same documents while lines are cut, messages are lost
and the server is killed.

Each client is a CRDT of its own on a real WebSocket to a real server process with a record on
disk. Lines are cut at random, both ways lose messages, whole clients are cut off for a while, and
the server gets SIGKILL in the middle and is started again on the same record. At the end all
clients, the server and a replay of the record are compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from pycrdt import Doc, Map, Text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from mirrorworld.authoring import updates
from mirrorworld.authoring.documents import Document
from mirrorworld.bench.coedit_server import TOKEN
from mirrorworld.protocol import authoring as shapes
from mirrorworld.record import open_record, restore

TWINS: Final = 4
LOSS: Final = 0.02
"""Of messages, in each direction."""
CUT: Final = 0.01
"""Chance of a cut line with each message that is sent."""
AWAY: Final = 0.02
"""Chance with each edit that a client is cut off for a while and goes on writing."""
AWAY_S: Final = 2.0
PATIENCE_S: Final = 4.0
"""Without an answer for so long a client begins its line anew."""


def run(
    edits: int = 1_000,
    clients: int = 20,
    kills: int = 1,
    seed: int = 7,
    per_s: float = 5.0,
    within_s: float = 300.0,
) -> dict[str, Any]:
    """Whether all came to the same, and how many acknowledged edits were lost.

    Args:
        edits: of all clients together.
        kills: how often the server is killed, spread over the edits.
        per_s: edits of one client in a second.
        within_s: after so long it is given up.
    """
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measure(Path(directory), edits, clients, kills, seed, per_s, within_s))


async def _measure(
    directory: Path, edits: int, n: int, kills: int, seed: int, per_s: float, within_s: float
) -> dict[str, Any]:
    chance = random.Random(seed)
    port = _free_port()
    server = await asyncio.to_thread(_start, directory, port)
    each = edits // n
    clients = [_Client(i, port, random.Random(chance.random())) for i in range(n)]
    lines = [asyncio.create_task(client.stay()) for client in clients]
    began = time.perf_counter()
    writing = [asyncio.create_task(client.edit(each, per_s)) for client in clients]
    deadline = began + within_s
    try:
        for kill in range(kills):
            share = each * n * (kill + 1) / (kills + 1)
            while sum(client.done for client in clients) < share:
                await asyncio.sleep(0.01)
            _kill(server)
            server = await asyncio.to_thread(_start, directory, port)
        await asyncio.wait_for(asyncio.gather(*writing), within_s)
        for client in clients:
            client.is_lossy = False
        while any(client.waiting for client in clients) and time.perf_counter() < deadline:
            await asyncio.sleep(0.05)
        acked = {token for client in clients for token in client.acked}
        for client in clients:  # so that what was lost on its way to them comes
            await client.begin_anew()
        is_same = False
        while not is_same and time.perf_counter() < deadline:
            is_same = len({client.plain() for client in clients}) == 1
            await asyncio.sleep(0.05)
        wall_s = time.perf_counter() - began
    finally:
        for task in (*lines, *writing):
            task.cancel()
        await asyncio.gather(*lines, *writing, return_exceptions=True)
        _kill(server)
    kept, changes = _replayed(directory)
    found = set(re.findall(r"c\d+e\d+", kept))
    lost = len(acked - found)
    latency = np.array([ms for client in clients for ms in client.ack_ms] or [0.0])
    quiet = np.array([ms for client in clients for ms in client.quiet_ms] or [0.0])
    return {
        "converged": is_same and kept == clients[0].plain(),
        "lost": lost,
        "edits": len(acked),
        "clients": n,
        "p95_ack_ms": round(float(np.percentile(quiet, 95)), 1),
        "p95_ack_with_outages_ms": round(float(np.percentile(latency, 95)), 1),
        "unanswered": sum(len(client.waiting) for client in clients),
        "kills": kills,
        "cuts": sum(client.cuts for client in clients),
        "messages_lost": sum(client.losses for client in clients),
        "changes_in_log": changes,
        "wall_s": round(wall_s, 1),
    }


class _Client:
    """Somebody who writes: a document for each twin, and a line that fails."""

    def __init__(self, number: int, port: int, chance: random.Random) -> None:
        self.number, self.port, self.chance = number, port, chance
        self.docs: dict[str, Doc[Any]] = {f"part{i}": Doc() for i in range(TWINS)}
        self.is_lossy = True
        self.done = self.cuts = self.losses = 0
        self.acked: set[str] = set()
        self.waiting: dict[str, tuple[str, float]] = {}
        """Token of an edit -> its twin, and when it was made."""
        self.ack_ms: list[float] = []
        self.quiet_ms: list[float] = []
        self._socket: ClientConnection | None = None
        self._has_begun = False
        self._sent: dict[int, tuple[str, list[str], float]] = {}
        self._away_until = 0.0
        self._next = 0

    def plain(self) -> str:
        """All that it holds, as a text that is equal where the documents are."""
        return _plain({twin: Document([doc.get_update()]) for twin, doc in self.docs.items()})

    # --- writing

    async def edit(self, edits: int, per_s: float) -> None:
        """Makes edits, at about a pace, whether or not there is a line."""
        while not self._has_begun:  # its name is told once it is in
            await asyncio.sleep(0.02)
        for i in range(edits):
            await asyncio.sleep(self.chance.expovariate(per_s))
            self._edit(f"c{self.number}e{i}")
            self.done += 1
            if self.chance.random() < AWAY:
                self._away_until = time.perf_counter() + AWAY_S
                await self._cut()

    def _edit(self, token: str) -> None:
        twin = f"part{self.chance.randrange(TWINS)}"
        doc = self.docs[twin]
        before = doc.get_state()
        notes, tasks = doc.get("notes", type=Map), doc.get("tasks", type=Map)
        signed = {"author": "owner", "created": 1e12}
        known = list(notes)
        what = self.chance.random()
        if not known or what < 0.1:
            parts = {name: Map({}) for name in ("strokes", "photos", "replies")}
            notes[token] = Map(
                {**signed, "at": [0.0, 0.0, 0.0], "text": Text(f"[{token}]"), **parts}
            )
        elif what < 0.7:
            text = notes[self.chance.choice(known)]["text"]
            # Never into another edit's letters: each has to be found whole in the end.
            ends = [i + 1 for i, letter in enumerate(str(text)) if letter == "]"]
            text.insert(self.chance.choice([0, *ends]), f"[{token}]")
        elif what < 0.85:
            notes[self.chance.choice(known)]["replies"][token] = {**signed, "text": token}
        else:
            tasks[token] = Map({**signed, "title": token, "state": "open"})
        self.waiting[token] = (twin, time.perf_counter())
        if self._has_begun:
            self._send(twin, doc.get_update(before), [token])

    # --- the line

    async def stay(self) -> None:
        """Keeps a line, and begins it anew whenever it is lost."""
        while True:
            await asyncio.sleep(max(0.0, self._away_until - time.perf_counter()))
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
                async with connect(
                    f"ws://127.0.0.1:{self.port}{shapes.AUTHOR_PATH}",
                    additional_headers={"Authorization": f"Bearer {TOKEN}"},
                    compression=None,
                    max_size=None,
                    open_timeout=10,
                ) as self._socket:
                    await self._serve(self._socket)
            self._socket, self._has_begun = None, False
            await asyncio.sleep(self.chance.uniform(0.05, 0.2))

    async def begin_anew(self) -> None:
        """As after a loss."""
        if self._socket is not None:
            await self._socket.close()

    async def _serve(self, line: ClientConnection) -> None:
        self._sent.clear()
        states = {t: updates.to_base64(doc.get_state()) for t, doc in self.docs.items()}
        await line.send(shapes.encode(shapes.Begin(states)))
        while True:
            try:
                async with asyncio.timeout(PATIENCE_S / 4):
                    text = await line.recv()
            except TimeoutError:
                since = time.perf_counter() - PATIENCE_S
                if any(at < since for _, _, at in self._sent.values()):
                    return
                if not self._has_begun and any(at < since for _, at in self.waiting.values()):
                    return
                continue
            if self.is_lossy and self._has_begun and self.chance.random() < LOSS:
                self.losses += 1
                continue
            if not self._hear(shapes.read_server(text)):
                return

    def _hear(self, message: shapes.AuthorAnswer) -> bool:
        match message:
            case shapes.Document(twin=twin, update=update, state=state):
                doc = self.docs[twin]
                doc.apply_update(updates.of_base64(update))
                open_ = [token for token, (of, _) in self.waiting.items() if of == twin]
                if open_:
                    self._send(twin, doc.get_update(updates.of_base64(state)), open_)
            case shapes.Wrote(twin=twin, update=update):
                self.docs[twin].apply_update(updates.of_base64(update))
            case shapes.Took(id=number):
                self._took(number)
            case shapes.NotTaken(lacks=lacks, detail=detail):
                if not lacks:
                    raise RuntimeError(f"refused: {detail}")
                return False
            case shapes.Began():
                self._has_begun = True
                sent = {token for _, tokens, _ in self._sent.values() for token in tokens}
                for twin, doc in self.docs.items():  # what was made since its document came
                    late = [
                        t for t, (of, _) in self.waiting.items() if of == twin and t not in sent
                    ]
                    if late:
                        self._send(twin, doc.get_update(), late)
            case _:
                pass
        return True

    def _took(self, number: int) -> None:
        _, tokens, sent = self._sent.pop(number)
        now = time.perf_counter()
        for token in tokens:
            known = self.waiting.pop(token, None)
            if known is None:
                continue
            self.acked.add(token)
            self.ack_ms.append((now - known[1]) * 1000)
            if sent - known[1] < 0.001:
                self.quiet_ms.append((now - sent) * 1000)

    def _send(self, twin: str, update: bytes, tokens: list[str]) -> None:
        self._next += 1
        self._sent[self._next] = (twin, tokens, time.perf_counter())
        if self.is_lossy and self.chance.random() < LOSS:
            self.losses += 1
            return
        message = shapes.encode(shapes.Write(self._next, twin, updates.to_base64(update)))
        asyncio.get_running_loop().create_task(self._say(message))

    async def _say(self, message: str) -> None:
        line = self._socket
        if line is None:
            return
        with contextlib.suppress(ConnectionClosed):
            await line.send(message)
        if self.is_lossy and self.chance.random() < CUT:
            await self._cut()

    async def _cut(self) -> None:
        if self._socket is not None:
            self.cuts += 1
            self._socket.transport.abort()


def _plain(documents: dict[str, Document]) -> str:
    return repr(
        [
            (twin, sorted((key, _sorted(entry)) for key, entry in document.entries.items()))
            for twin, document in sorted(documents.items())
        ]
    )


def _sorted(entry: Any) -> Any:
    if isinstance(entry, dict):
        return sorted((key, _sorted(value)) for key, value in entry.items())
    return entry


def _replayed(directory: Path) -> tuple[str, int]:
    """What the record adds up to, and how many changes of it are writings."""
    record = open_record(directory, "coedit", compacts=False)
    try:
        world = restore(record)
        documents = {f"part{i}": Document(world.writings.get(f"part{i}", ())) for i in range(TWINS)}
        return _plain(documents), world.position.sequence
    finally:
        record.close()


def _start(directory: Path, port: int) -> subprocess.Popen[str]:
    module = "mirrorworld.bench.coedit_server"
    server = subprocess.Popen(
        [sys.executable, "-m", module, str(directory), str(port), str(TWINS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    if not server.stdout.readline():
        raise RuntimeError("the server did not start")
    return server


def _kill(server: subprocess.Popen[str]) -> None:
    """SIGKILL: it has no time to write anything more."""
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert server.stdout is not None
    server.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
