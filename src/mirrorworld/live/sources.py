"""Sources: which connectors run, how they stand, and what brings a fallen one back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from mirrorworld.live.pipeline import Pipeline, Refused, SourceSink
from mirrorworld.world.changes import Tally
from mirrorworld.world.ports import (
    Connector,
    ConnectorAbout,
    Finding,
    Link,
    LinkState,
    SourceConfig,
    SourceError,
)

log = logging.getLogger(__name__)

ConnectorClass = Callable[[SourceConfig], Connector]
RESTART_S_MAX: Final = 60.0


class PendingTrust(Protocol):
    """A certificate that a connector's `pending_certificate()` offers for trust."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def detail(self) -> str: ...


@dataclass(slots=True)
class Source:
    """One source of a world, running."""

    config: SourceConfig
    connector: Connector
    sink: SourceSink
    task: asyncio.Task[None] | None = None
    failure: Link | None = None
    """How it stands when the connector itself cannot say, since it has ended."""

    @property
    def name(self) -> str:
        """Its name in the world."""
        return self.config.name

    @property
    def link(self) -> Link:
        """How it stands now."""
        return self.failure if self.failure is not None else self.connector.link

    @property
    def url(self) -> str:
        """Where it is, without user or password."""
        parts = urlsplit(self.config.url)
        if "@" not in parts.netloc:
            return self.config.url
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    @property
    def tally(self) -> Tally:
        """What became of its samples."""
        return self.sink.tally

    @property
    def counts(self) -> Mapping[str, int]:
        """What its connector dropped or refused, by name."""
        return self.sink.counts

    @property
    def kind(self) -> str:
        """Name of the connector's class, in small letters."""
        return type(self.connector).__name__.lower()

    @property
    def pending(self) -> Sequence[PendingTrust]:
        """Certificates that a person has to compare and trust before the source can be used."""
        ask = getattr(self.connector, "pending_certificate", None)
        found = ask() if ask is not None else None
        return () if found is None else (found,)


class Sources:
    """The sources of one world.

    Args:
        pipeline: where their changes go.
        schemes: URL scheme -> connector class.
    """

    def __init__(self, pipeline: Pipeline, schemes: Mapping[str, ConnectorClass]) -> None:
        self._pipeline = pipeline
        self._schemes = schemes
        self._sources: dict[str, Source] = {}

    def __iter__(self) -> Any:
        return iter(self._sources.values())

    def __len__(self) -> int:
        return len(self._sources)

    def get(self, name: str) -> Source:
        """The source of that name; KeyError names those there are."""
        try:
            return self._sources[name]
        except KeyError:
            have = ", ".join(self._sources) or "none"
            raise KeyError(f"no source '{name}'; there are: {have}") from None

    def connectors(self) -> list[tuple[list[str], ConnectorAbout]]:
        """The connectors that are installed: their schemes, and what a person is told of them."""
        by_class: dict[ConnectorClass, list[str]] = {}
        for scheme, connector in self._schemes.items():
            by_class.setdefault(connector, []).append(scheme)
        return [(schemes, about_of(connector, schemes)) for connector, schemes in by_class.items()]

    def of_twin(self, twin: str) -> Source | None:
        """The source that a twin comes from, by the beginning of its id."""
        fitting = [s for s in self._sources if twin == s or twin.startswith(f"{s}/")]
        return self._sources[max(fitting, key=len)] if fitting else None

    def connector(self, config: SourceConfig) -> Connector:
        """A connector for a URL; SourceError names the schemes there are."""
        scheme = scheme_of(config.url)
        try:
            connector_class = self._schemes[scheme]
        except KeyError:
            have = ", ".join(sorted(self._schemes))
            raise SourceError(
                f"{config.url}: nothing here speaks '{scheme}'; known are {have}"
            ) from None
        return connector_class(config)

    def add(self, config: SourceConfig) -> Source:
        """Starts mirroring a source; SourceError if its URL or name cannot be used."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", config.name):
            raise SourceError(
                f"'{config.name}' cannot name a source: letters, digits, '-', '_' and '.' can"
            )
        if config.name in self._sources:
            raise SourceError(f"there is a source '{config.name}' already; choose another name")
        connector = self.connector(config)
        clock = getattr(connector, "has_live_clock", True)
        sink = SourceSink(self._pipeline, config.name, has_live_clock=clock)
        source = self._sources[config.name] = Source(config, connector, sink)
        source.task = asyncio.create_task(self._keep_running(source), name=f"source {config.name}")
        return source

    async def remove(self, name: str) -> None:
        """Stops mirroring a source. Its twins and their past stay."""
        source = self.get(name)
        del self._sources[name]
        await _end(source)

    async def trust(self, name: str, fingerprint: str) -> Source:
        """Remembers that a source's certificate is trusted, and tries the source again."""
        source = self.get(name)
        if fingerprint not in {pending.fingerprint for pending in source.pending}:
            raise ValueError(f"{name} does not offer a certificate {fingerprint}; look again")
        trust: Callable[[str], None] = getattr(source.connector, "trust")  # noqa: B009
        trust(fingerprint)
        return await self.restart(name)

    async def restart(self, name: str) -> Source:
        """Starts a source anew, as after its certificate was trusted."""
        config = self.get(name).config
        await self.remove(name)
        return self.add(config)

    async def discover(self, config: SourceConfig) -> Sequence[Finding]:
        """What a source would be mirrored as; nothing is declared."""
        return await self.connector(config).discover()

    async def stop(self) -> None:
        """Stops them all."""
        await asyncio.gather(*(_end(source) for source in self._sources.values()))

    async def _keep_running(self, source: Source) -> None:
        wait_s = 1.0
        while True:
            started_ns = self._pipeline.now_ns()
            try:
                await source.connector.run(source.sink)
                return
            except (SourceError, Refused) as error:
                log.error("source %s: %s", source.name, error)
                source.failure = Link(LinkState.REFUSED, str(error), self._pipeline.now_ns())
                return
            except Exception as error:
                # A defect or a failed disk: said, counted and tried again, ever more slowly.
                log.exception("source %s failed", source.name)
                source.sink.count("connector_failures")
                detail = f"{type(error).__name__}: {error}"
                source.failure = Link(LinkState.LOST, detail, self._pipeline.now_ns())
            if self._pipeline.failure is not None:
                return
            lived_s = (self._pipeline.now_ns() - started_ns) / 1e9
            wait_s = 1.0 if lived_s > 60 else min(wait_s * 2, RESTART_S_MAX)
            await asyncio.sleep(wait_s * (0.5 + random.random()))
            source.failure = None
            source.connector = self.connector(source.config)


async def _end(source: Source) -> None:
    if source.task is not None:
        source.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await source.task


def about_of(connector: ConnectorClass, schemes: Sequence[str]) -> ConnectorAbout:
    """What a connector says of itself, or what can be said of one that says nothing."""
    about = getattr(connector, "about", None)
    if isinstance(about, ConnectorAbout):
        return about
    title = str(getattr(connector, "__name__", schemes[0])).replace("_", " ")
    return ConnectorAbout(title, f"{schemes[0]}://host")


def scheme_of(url: str) -> str:
    """The scheme of a URL; a plain path is a file."""
    scheme = urlsplit(url).scheme.lower() if "://" in url else ""
    return scheme or "file"


def name_of(url: str, taken: frozenset[str] = frozenset()) -> str:
    """A short name for a source, from its URL: the file's stem, or the host."""
    parts = urlsplit(url if "://" in url else f"file://{url}")
    last = parts.path.rstrip("/").rsplit("/", 1)[-1]
    raw = last.split(".")[0] if scheme_of(url) == "file" else (parts.hostname or last)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", raw).strip("-") or "source"
    if name[0].isdigit() or name == "localhost":
        name = (
            f"{scheme_of(url).replace('.', '')}-{name}"
            if name != "localhost"
            else (scheme_of(url).split(".")[0])
        )
    unique, n = name, 2
    while unique in taken:
        unique, n = f"{name}-{n}", n + 1
    return unique
