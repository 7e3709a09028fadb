"""An edge: sources, a record and the live plane, in a small process without a page.

    python -m mirrorworld.edge DESCRIPTOR

`mirrorworld edge` reads the command line, as `up` does, and becomes this process, which imports
only what the named sources need; what it is to do comes through a file descriptor, so that no
secret is ever among arguments or in the environment. Loops are not compiled here: an edge has a
hundred megabytes, not a hundred thousand changes a second.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # Before anything is imported that would load it; every loop has its NumPy twin.
    sys.modules["numba"] = None  # type: ignore[assignment]

import asyncio
import contextlib
import importlib
import logging
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from mirrorworld.care import service
from mirrorworld.connectors.zenoh_session import Place
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline
from mirrorworld.live.sources import ConnectorClass, Sources
from mirrorworld.plane.publisher import Publisher
from mirrorworld.record.store import Store, open_record, restore
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig, SourceError

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
DISK_RESERVE_BYTES: Final = 200 << 20
"""So much of the disk stays free for others, whatever may be kept."""
SEGMENT_BYTES: Final = (1 << 20, 16 << 20)
REMEMBERED_ROWS: Final = 1 << 17
"""Of sources that number nothing; a server remembers a million, in thirty megabytes more."""
STANDING_FILE: Final = "edge.json"


class EdgeSource(msgspec.Struct, frozen=True):
    """One source, and where its connector is."""

    connector: str
    """As `package.module:Class`."""
    url: str
    name: str
    options: Mapping[str, Scalar] = {}
    username: str = ""
    password: str = ""


class Edge(msgspec.Struct, frozen=True):
    """What an edge is to do."""

    site: str
    directory: str
    host: str
    port: int
    sources: list[EdgeSource]
    listens: bool = False
    is_tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""
    keep_bytes: int = 1 << 30
    takes_commands: bool = False
    is_verbose: bool = False

    @property
    def place(self) -> Place:
        """Where it publishes."""
        return Place(
            self.host, self.port, self.listens, self.is_tls, self.ca, self.certificate, self.key
        )


def become(edge: Edge) -> None:
    """Replaces this process by an edge; it does not return."""
    data = msgspec.json.encode(edge)
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    # A pipe holds at least 64 kB without a reader; a configuration is far smaller.
    if len(data) > 60_000:
        raise ValueError("so many sources at one edge are not meant; start several")
    os.write(writing, data)
    os.close(writing)
    os.execv(sys.executable, [sys.executable, "-m", "mirrorworld.edge", str(reading)])


async def run(edge: Edge, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Mirrors the sources and publishes until it is told to stop."""
    directory = Path(edge.directory)
    low, high = SEGMENT_BYTES
    record = open_record(
        directory / "record",
        edge.site,
        segment_bytes=min(high, max(low, edge.keep_bytes // 16)),
        compacts=False,
    )
    for report in record.reports:
        log.warning("%s", report)
    classes = [_class_of(source.connector) for source in edge.sources]
    async with contextlib.AsyncExitStack() as ending:
        ending.callback(record.close)
        pipeline = Pipeline(
            restore(record, compiled=False, remembered_rows=REMEMBERED_ROWS), record, RoleGuard()
        )
        pipeline.start()
        ending.push_async_callback(pipeline.stop)
        feeds = Sources(pipeline, {s: cls for cls in classes for s in cls.schemes})
        ending.push_async_callback(feeds.stop)
        road = None
        if edge.takes_commands:
            from mirrorworld.live.commands import CommandRoad

            road = CommandRoad(pipeline, feeds)
            await road.start()
            ending.push_async_callback(road.stop)
        publisher = Publisher(pipeline, record, edge.site, edge.place, road)
        work = [
            asyncio.create_task(publisher.run(), name="publish"),
            asyncio.create_task(_watch(pipeline, feeds, publisher, record, edge), name="watch"),
        ]
        ending.push_async_callback(_cancel, work)
        for source in edge.sources:
            config = SourceConfig(
                source.url,
                source.name,
                source.options,
                source.username,
                source.password,
                directory / "sources" / source.name,
            )
            try:
                feeds.add(config)
            except SourceError as error:
                say(f"source {source.name}: {error}")
        service.notify("READY=1")
        say(f"edge {edge.site}: publishing at {edge.place}")
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait({stopping, *work}, return_when=asyncio.FIRST_COMPLETED)
        service.notify("STOPPING=1")
        for task in done - {stopping}:
            task.result()  # raises what ended it
        stopping.cancel()
    say("stopping")


async def _watch(
    pipeline: Pipeline, feeds: Sources, publisher: Publisher, record: Store, edge: Edge
) -> None:
    """Keeps the log within its bounds, tells systemd that the loop turns, and says how it is."""
    directory = Path(edge.directory)
    period_s = min(LOOK_EVERY_S, service.watchdog_s() or LOOK_EVERY_S)
    lost = 0
    was_linked = False
    while pipeline.failure is None:
        free = shutil.disk_usage(directory).free
        keep = max(0, min(edge.keep_bytes, record.log_bytes + free - DISK_RESERVE_BYTES))
        before = record.kept_from
        gone = await asyncio.to_thread(record.forget, keep)
        missed = max(0, gone - max(publisher.held, before - 1))
        if missed:
            lost += missed
            publisher.counts["changes_dropped_before_they_were_held"] += missed
            log.warning(
                "%d changes were dropped that nobody had yet (%d in all): the log may take no more"
                " than %d MB, or the disk is full. --keep gives it more",
                missed, lost, keep >> 20,
            )  # fmt: skip
        if publisher.is_linked != was_linked:
            was_linked = publisher.is_linked
            log.warning("%s: %s", edge.place, "linked" if was_linked else publisher.detail)
        _say_standing(directory, _standing(feeds, publisher, record, lost))
        service.notify("WATCHDOG=1")
        await asyncio.sleep(period_s)
    raise pipeline.failure


def _say_standing(directory: Path, standing: dict[str, Any]) -> None:
    """How it stands, for whoever looks after the machine: there is no page here."""
    path = directory / STANDING_FILE
    new = path.with_suffix(".new")
    with contextlib.suppress(OSError):  # a full disk must not end what still publishes
        new.write_bytes(msgspec.json.format(msgspec.json.encode(standing), indent=1))
        new.replace(path)


def _standing(feeds: Sources, publisher: Publisher, record: Store, lost: int) -> dict[str, Any]:
    return {
        "site": publisher.site,
        "process": os.getpid(),
        "place": str(publisher.place),
        "is_linked": publisher.is_linked,
        "detail": publisher.detail,
        "durable": record.position.sequence,
        "held": publisher.held,
        "kept_from": record.kept_from,
        "dropped_before_held": lost,
        "log_bytes": record.log_bytes,
        "counts": dict(publisher.counts),
        "sources": {
            source.name: {
                "link": source.link.state.value,
                "detail": source.link.detail,
                "accepted": source.tally.accepted,
                "counts": dict(source.counts),
            }
            for source in feeds
        },
    }


def _class_of(place: str) -> ConnectorClass:
    module, _, name = place.partition(":")
    found: ConnectorClass = getattr(importlib.import_module(module), name)
    return found


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main(descriptor: int) -> int:
    """Runs what comes through a descriptor; the exit status."""
    with os.fdopen(descriptor, "rb") as file:
        edge = msgspec.json.decode(file.read(), type=Edge)
    logging.basicConfig(
        level=logging.INFO if edge.is_verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )

    async def until_told() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run(edge, lambda text: print(text, flush=True), stop)

    try:
        asyncio.run(until_told())
    except Exception as error:
        log.debug("ended", exc_info=True)
        print(f"mirrorworld edge: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
