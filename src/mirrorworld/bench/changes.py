"""Single-property changes and searches against a served world of 100,000 twins.

The world is a process of its own behind the real server, its record on disk; a client in this
process sends changes of one property of one twin each, over one WebSocket without waiting, and
over HTTP one at a time on connections that are kept, waiting where the doors say so. A change
counts when its answer says that it is durable. Searches run over HTTP while nothing else does; the
`query` bench runs them in process.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from websockets.asyncio.client import connect

from mirrorworld.bench.query import KINDS, built
from mirrorworld.bench.serving import Serving, serving
from mirrorworld.record import open_record

WINDOW: Final = 1_000
"""Messages that wait for their answer."""


def run(
    twins: int = 100_000,
    changes: int = 50_000,
    http_changes: int = 6_000,
    connections: int = 4,
    queries: int = 300,
) -> dict[str, Any]:
    """Figures: `changes_per_s` over the WebSocket (wall, durable), `http_changes_per_cpu_s` of the
    server's process, `query_p95_ms` over HTTP, pages of 100."""
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name:
        directory = Path(name) / "world"
        world, log = built(twins)
        with open_record(directory / "record", world.id, compacts=False) as store:
            for change in log:
                store.append(change)
            store.commit()
            store.keyframe(world.snapshot())
        ids = list(world.structure.twins)
        del world, log
        with serving(directory) as served:
            return {
                "twins": twins,
                **asyncio.run(_over_socket(served, ids, changes)),
                **asyncio.run(_over_http(served, ids, http_changes, connections)),
                **asyncio.run(_searches(served, twins, queries)),
                "server_mb": round(psutil.Process(served.pid).memory_full_info().uss / 1e6),
            }


def _edit(ids: list[str], i: int) -> dict[str, Any]:
    twin = ids[i * 7919 % len(ids)]
    return {
        "@": "PutProperty",
        "twin": twin,
        "property": {"name": "power", "value": i * 0.5, "unit": "kW"},
    }


async def _over_socket(served: Serving, ids: list[str], n: int) -> dict[str, Any]:
    url = served.url.replace("http", "ws", 1) + "/api/edits/stream"
    messages = [json.dumps({"id": i, "edits": [_edit(ids, i)]}) for i in range(n)]
    took: list[float] = []
    sent_at = [0.0] * n
    async with connect(url, additional_headers=served.headers, compression=None) as socket:
        room = asyncio.Semaphore(WINDOW)

        async def hear() -> None:
            answered = 0
            while answered < n:
                for one in json.loads(await socket.recv()):
                    if one.get("problem"):
                        raise RuntimeError(str(one["problem"]))
                    took.append(time.perf_counter() - sent_at[one["id"]])
                    answered += 1
                    room.release()

        hearing = asyncio.create_task(hear())
        cpu_s, start = served.cpu_s(), time.perf_counter()
        for i, message in enumerate(messages):
            await room.acquire()
            sent_at[i] = time.perf_counter()
            await socket.send(message)
        await hearing
        wall_s, cpu_s = time.perf_counter() - start, served.cpu_s() - cpu_s
    return {
        "changes": n,
        "changes_per_s": round(n / wall_s),
        "changes_per_cpu_s": round(n / cpu_s),
        "change_ms_p50": round(statistics.median(took) * 1e3, 1),
        "window": WINDOW,
    }


async def _over_http(served: Serving, ids: list[str], n: int, connections: int) -> dict[str, Any]:
    bodies = [json.dumps({"edits": [_edit(ids, i)], "reason": ""}) for i in range(n)]
    headers = {**served.headers, "content-type": "application/json"}
    limits = httpx.Limits(max_connections=connections)
    waiting = iter(bodies)

    async with httpx.AsyncClient(base_url=served.url, headers=headers, limits=limits) as client:

        async def send() -> None:
            for body in waiting:
                answer = await client.post("/api/edits", content=body)
                while answer.status_code == 429:  # the doors let 400 a second in, 2,000 at once
                    await asyncio.sleep(float(answer.headers["retry-after"]))
                    answer = await client.post("/api/edits", content=body)
                if answer.status_code != 200:
                    raise RuntimeError(f"{answer.status_code}: {answer.text[:200]}")

        cpu_s, start = served.cpu_s(), time.perf_counter()
        await asyncio.gather(*(send() for _ in range(connections)))
        wall_s, cpu_s = time.perf_counter() - start, served.cpu_s() - cpu_s
    return {
        "http_changes": n,
        "http_changes_per_cpu_s": round(n / cpu_s),
        "http_changes_per_s": round(n / wall_s),
    }


async def _searches(served: Serving, twins: int, n: int) -> dict[str, Any]:
    took: list[float] = []
    async with httpx.AsyncClient(base_url=served.url, headers=served.headers) as client:
        for i in range(n + 10):
            twin = i * 104_729 % twins
            asked: dict[str, Any] = {"limit": 100}
            match i % 4:
                case 0:
                    asked["type"] = KINDS[i % len(KINDS)]
                case 1:
                    asked["text"] = f"sn{twin * 7919 % 1_000_003:07d}"
                case 2:
                    asked |= {"type": KINDS[i % len(KINDS)], "text": str(twin)}
                case _:
                    asked["property"] = ["maker==Nordwerk", f"power>{i % 500}"]
            start = time.perf_counter()
            answer = await client.get("/api/twins", params=asked)
            took.append((time.perf_counter() - start) * 1e3)
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
    took = took[10:]  # the first ones build what the later ones use
    return {
        "queries": n,
        "query_p95_ms": round(statistics.quantiles(took, n=20)[-1], 1),
        "query_median_ms": round(statistics.median(took), 1),
    }
