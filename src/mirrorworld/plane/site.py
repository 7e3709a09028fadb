"""Another world of ours as a source: where it is, how the link stands, what it is made of, and
commands for it. How it is followed is in `mirroring.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from mirrorworld.connectors.options import read_options
from mirrorworld.connectors.zenoh_session import (
    Joined,
    Place,
    Unreachable,
    is_exposed,
    joined,
    place_of,
)
from mirrorworld.plane import wire
from mirrorworld.plane.mirroring import Mirroring, SiteOptions, ask_site, ask_structure
from mirrorworld.plane.translate import Words, plain_edits
from mirrorworld.world.changes import (
    Command,
    CommandState,
    Event,
    PutTwin,
    PutType,
    Severity,
)
from mirrorworld.world.model import Text
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import (
    ConnectorAbout,
    Finding,
    Link,
    LinkState,
    OptionAbout,
    Sink,
    SourceConfig,
    SourceError,
)

LOOK_S: Final = 5.0
RETRY_S: Final = (0.5, 5.0)


class Site:
    """Mirrors one site."""

    schemes: ClassVar[tuple[str, ...]] = ("site", "site+tls")
    has_live_clock: ClassVar[bool] = False
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "Another world of ours",
        "site+tls://0.0.0.0:7447/north",
        "A world elsewhere that publishes itself (mirrorworld edge, up --to), by its name. At"
        " 0.0.0.0 it comes to us; at any other host we go to it.",
        (
            OptionAbout("listen", "Listen here", "choice", "auto", "", ("auto", "true", "false")),
            OptionAbout("history", "Bring in its past too", "boolean", True),
            OptionAbout("tls_ca", "Authority of both sides (PEM)"),
            OptionAbout("tls_certificate", "Our certificate (PEM)"),
            OptionAbout("tls_key", "Our key (PEM)"),
        ),
        takes_login=False,
    )

    def __init__(self, config: SourceConfig) -> None:
        self.link = Link(LinkState.CONNECTING)
        self._config = config
        self._was_live = False
        self._part: Joined | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._config.name!r}, {self.link.state.value})"

    def _place(self) -> tuple[Place, str, SiteOptions]:
        """(where, which site, options).

        Raises:
            SourceError: the address or an option cannot be used.
        """
        name = self._config.name
        options = read_options(SiteOptions, self._config.options, name)
        listens = {"auto": None, "true": True, "false": False}[options.listen.lower()]
        if not self._config.url.startswith(tuple(f"{scheme}://" for scheme in self.schemes)):
            raise SourceError(f"{name}: a site's address reads like site://host:7447/north")
        try:
            place, site = place_of(
                self._config.url,
                ca=options.tls_ca,
                certificate=options.tls_certificate,
                key=options.tls_key,
                listens=listens,
            )
        except ValueError as error:
            raise SourceError(f"{name}: {error}") from None
        if is_exposed(place):
            raise SourceError(
                f"{name}: {place} is reached from other machines, and without TLS anyone there"
                " could read and forge what the site sends; write site+tls://"
            )
        if not wire.SITE.fullmatch(site):
            raise SourceError(
                f"{name}: the address names no site; one reads like site://host:7447/north"
            )
        return place, site, options

    def _session(self, place: Place, site: str) -> contextlib.AbstractAsyncContextManager[Joined]:
        return joined(place, {site: (wire.key_of(site, "**"),)} if place.listens else None)

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Asks the site what it is made of."""
        place, site, _ = self._place()
        name = self._config.name
        try:
            async with self._session(place, site) as part:
                deadline = time.monotonic() + LOOK_S
                while True:
                    try:
                        told = await ask_structure(part, site)
                        break
                    except Unreachable:
                        # What the other side offers comes a moment after the link.
                        if time.monotonic() > deadline:
                            raise
                        await asyncio.sleep(0.2)
        except (Unreachable, wire.BrokenMessage) as error:
            raise SourceError(f"{name}: {error}") from error
        words = Words(name)
        edits = words.edits(plain_edits(told.edits))
        types = {edit.type.id: edit.type for edit in edits if isinstance(edit, PutType)}
        return [
            Finding(edit.twin, types.get(edit.twin.type), f"twin of site {site}, as it says itself")
            for edit in edits
            if isinstance(edit, PutTwin)
        ][:limit]

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """See the port."""
        place, site, options = self._place()
        wait_s = RETRY_S[0]
        self._was_live = False
        while True:
            try:
                async with self._session(place, site) as part:
                    wait_s = RETRY_S[0]
                    self._part = part
                    try:
                        await Mirroring(self, part, site, options, sink).run()
                    finally:
                        self._part = None
            except Unreachable as error:
                await self.tell(LinkState.LOST, str(error), sink)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_S[1])

    async def tell(self, state: LinkState, detail: str, sink: Sink) -> None:
        """How the link stands; its loss and its return are events."""
        self.link = Link(state, detail, sink.now_ns())
        is_live = state is LinkState.LIVE
        if is_live == self._was_live:
            return
        self._was_live = is_live
        source = self._config.name
        await sink.event(
            Event(
                f"{source}/link",
                source,
                "source_live" if is_live else "source_lost",
                Text((("en", detail or "connected"),)),
                Severity.INFO if is_live else Severity.MEDIUM,
                is_active=not is_live,
                source_ns=sink.now_ns(),
            )
        )

    @property
    def name(self) -> str:
        """The source's name."""
        return self._config.name

    # --- writing

    async def write(self, command: Command) -> Command:
        """Hands a command to the site's own command road, where it has to be armed too.

        It is due by the site's clock, which is asked first: what a link holds up is not carried
        out late. Asked again, the site knows the command by its id.
        """
        started_s, left_ms = time.monotonic(), command.timeout_ms
        part = self._part
        if part is None or self.link.state is not LinkState.LIVE:
            return _answered(command, CommandState.FAILED, f"{self.name} is not linked; not sent")
        _, site, _ = self._place()
        there = command.twin.removeprefix(f"{self.name}/")
        try:
            within_s = left_ms / 1_000
            clock = await ask_site(part, site, "command", "", is_urgent=True, timeout_s=within_s)
            now_ns = int.from_bytes(clock, "little", signed=True)
            left_ms -= int((time.monotonic() - started_s) * 1_000)
            order = wire.Order(
                wire.VERSION,
                to_plain(dataclasses.replace(command, twin=there), tagged=True),
                now_ns + left_ms * 1_000_000,
            )
            told = wire.encode(order)
            data = await ask_site(
                part, site, "command", "", told, is_urgent=True, timeout_s=within_s + 1.0
            )
            answer = wire.decode_command(data)
        except Unreachable as error:
            detail = f"{error}; a site takes commands where it was started with --commands"
            return _answered(command, CommandState.FAILED, detail)
        except wire.BrokenMessage as error:
            return _answered(command, CommandState.FAILED, f"{self.name}: {error}")
        said = f"site {site}: {answer.detail}"
        if answer.state is CommandState.CONFIRMED and command.operation:
            answered = dataclasses.replace(command, results=answer.results)
            return _answered(answered, CommandState.CONFIRMED, said)
        if answer.state in (CommandState.SENT, CommandState.CONFIRMED):
            return _answered(command, CommandState.SENT, said)
        is_refused = answer.state is CommandState.REFUSED
        return _answered(command, CommandState.REFUSED if is_refused else CommandState.FAILED, said)


def _answered(command: Command, state: CommandState, detail: str) -> Command:
    return dataclasses.replace(command, state=state, detail=detail, decided_ns=time.time_ns())


__all__ = ["Site", "SiteOptions"]
