"""OPC UA: a server's objects as twins, its variables live, its methods as operations.

`Opcua` is the connector. It looks at the server gently, subscribes to every readable variable,
survives the server's vanishing and return, and writes only what it is told to. How it is done
stands beside this file: `opcua_session` (entering), `opcua_browse` (reading the address space),
`opcua_model` (what becomes of it), `opcua_subscription` (live values), `opcua_decode` (bytes to
columns), `opcua_history` (gaps), `opcua_alarms` (conditions), `opcua_trust` (certificates). They
need asyncua, the extra `opcua`; this file can be imported without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from mirrorworld.world.changes import (
    Command,
    CommandState,
    DropTwin,
    Edit,
    Edits,
    Event,
    Severity,
)
from mirrorworld.world.model import Scalar, Text
from mirrorworld.world.ports import (
    ConnectorAbout,
    Finding,
    KnowsLatest,
    Link,
    LinkState,
    OptionAbout,
    Sink,
    SourceConfig,
    SourceError,
)

if TYPE_CHECKING:
    from mirrorworld.connectors.opcua_alarms import Alarms
    from mirrorworld.connectors.opcua_browse import Space
    from mirrorworld.connectors.opcua_config import Settings
    from mirrorworld.connectors.opcua_model import Item, Mirror
    from mirrorworld.connectors.opcua_session import Server, Session
    from mirrorworld.connectors.opcua_subscription import Subscription
    from mirrorworld.connectors.opcua_trust import Certificate, Trust

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 4840
RETRY_S_FIRST: Final = 0.5
RETRY_S_MAX: Final = 30.0
ALIVE_S: Final = 5.0
"""How often it is noted up to where nothing is missing."""
ALIVE_MARGIN_NS: Final = 1_000_000_000
"""By how much a server's publish time may be ahead of what it has sampled before."""
SETTLE_S_MAX: Final = 60.0
"""How long to wait for the first value of every point before history is read for the others."""

SAMPLE_VALUES_MAX: Final = 500
"""Points whose present value `discover` reads to show it."""


class Opcua:
    """A connector to one OPC UA server.

    Options: `security` ("auto", "none", or a policy as "Basic256Sha256,SignAndEncrypt"),
    `interval_ms` (how often the server publishes), `sampling_ms` (-1: as often),
    `queue_size` (changes kept per variable between two publishings), `root` (a NodeId or a path
    of browse names: mirror only what is below), `max_nodes`, `pause_ms` (between two browse
    requests), `publish_requests` (how many wait at the server), `history` (read gaps; with a
    time as in "24h" also what was before the first start), `alarms` (take its conditions over).
    """

    schemes: tuple[str, ...] = ("opc.tcp",)
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "OPC UA",
        "opc.tcp://192.168.1.20:4840",
        options=(
            OptionAbout(
                "security",
                "Security",
                "choice",
                "auto",
                "auto takes the strongest that fits the login.",
                (
                    "auto",
                    "none",
                    "Basic256Sha256,Sign",
                    "Basic256Sha256,SignAndEncrypt",
                    "Aes128Sha256RsaOaep,SignAndEncrypt",
                    "Aes256Sha256RsaPss,SignAndEncrypt",
                ),
            ),
            OptionAbout(
                "root",
                "Mirror only what is below",
                hint="A NodeId, or a path of browse names from Objects.",
            ),
            OptionAbout("interval_ms", "Publishing interval, ms", "number", 250),
            OptionAbout("sampling_ms", "Sampling interval, ms", "number", -1),
            OptionAbout("history", "Fill gaps from the server's history", "boolean", True),
        ),
    )

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.link = Link(LinkState.CONNECTING, "not tried yet")
        self._session: Session | None = None
        self._space: Space | None = None
        self._mirror: Mirror | None = None
        self._server: Server | None = None
        self._subscription: Subscription | None = None
        self._alarms: Alarms | None = None
        self._items: dict[tuple[str, str], Item] = {}
        self._trust_store: Trust | None = None
        self._wake = asyncio.Event()

    def __repr__(self) -> str:
        return f"Opcua({self.config.name!r})"

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """What would be mirrored, with present values. Declares and writes nothing.

        Raises:
            SourceError: the server cannot be looked at; the message says why and what to do.
        """
        settings = self._settings()
        _need_asyncua()
        from mirrorworld.connectors import opcua_browse, opcua_model, opcua_session, opcua_text

        try:
            session = await opcua_session.Session.open(settings.login, self._trust, _now())
        except (opcua_session.Refused, opcua_session.Lost) as error:
            raise SourceError(str(error)) from error
        try:
            space = await opcua_browse.walk(
                session,
                root=settings.root,
                max_nodes=settings.max_nodes,
                pause_s=settings.pause_s,
            )
            # In a thread: the first unit loads pint, which would hold up everything else.
            mirror = await asyncio.to_thread(
                opcua_model.mirror, space, session.server, self.config.name
            )
            twins = list(mirror.twins.values())[: max(limit, 0)]
            shown = {twin.id for twin in twins}
            items = [i for i in mirror.items if i.twin in shown][:SAMPLE_VALUES_MAX]
            values = await session.values([i.node for i in items], settings.pause_s)
        except Exception as error:
            raise SourceError(str(opcua_session.explained(error, settings.login.url))) from error
        finally:
            await session.close()
        samples: dict[str, list[tuple[str, Scalar]]] = {}
        for item, value in zip(items, values, strict=True):
            shown_value = opcua_text.scalar_result(value)
            samples.setdefault(item.twin, []).append((item.point, shown_value))
        how = f"the server itself (connection: security {session.server.security})"
        return [
            Finding(
                twin,
                mirror.types.get(twin.type),
                mirror.guesses.get(twin.id, how),
                tuple(samples.get(twin.id, ())),
            )
            for twin in twins
        ]

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """Mirrors the server until cancelled, through its vanishing and return.

        Raises:
            SourceError: it can never work as configured.
            OSError: the record could not be written, and nothing can be acknowledged.
        """
        settings = self._settings()
        _need_asyncua()
        from asyncua.ua import UaError

        from mirrorworld.connectors import opcua_decode
        from mirrorworld.connectors.careful_sink import CarefulSink, SinkFailed
        from mirrorworld.connectors.opcua_session import Lost, Refused, Session, explained
        from mirrorworld.connectors.opcua_subscription import Gone

        sink = CarefulSink(sink)
        if settings.uses_alarms:
            from mirrorworld.connectors.opcua_alarms import Alarms

            self._alarms = Alarms(self.config.name, sink, self._file("-alarms"))

        warming = asyncio.ensure_future(asyncio.to_thread(opcua_decode.warm))
        url, delay_s = settings.login.url, RETRY_S_FIRST
        try:
            while True:
                session = None
                try:
                    self._say(
                        sink, LinkState.CONNECTING, f"{url}: connecting", unless=LinkState.LOST
                    )
                    session = self._session = await Session.open(
                        settings.login, self._trust, _now()
                    )
                    _stop_if_cancelled()
                    await self._prepare(session, sink, settings)
                    delay_s = RETRY_S_FIRST
                    while True:
                        try:
                            await self._live(session, sink, settings)
                        except Gone as error:
                            sink.count("subscription_lost")
                            await self._note_loss(
                                sink, f"{url}: the subscription is gone ({error})"
                            )
                            if self._subscription is not None:
                                self._subscription.id = 0
                except SinkFailed as error:
                    raise error.error from error
                except SourceError:
                    raise
                except Exception as error:
                    if not isinstance(error, Refused | Lost | OSError | TimeoutError | UaError):
                        log.exception("source %s", self.config.name)
                    told = explained(error, url)
                    self._session = None
                    state = LinkState.LOST
                    if isinstance(told, Refused):
                        state, delay_s = LinkState.REFUSED, told.retry_s
                    text = str(told)
                    if isinstance(error, Lost) and not text.startswith(url):
                        text = f"{url}: {text}"
                    await self._note_loss(sink, text, state)
                    if session is not None:
                        await session.close(is_lost=True)
                        session = None
                finally:
                    self._session = None
                    if session is not None:
                        await session.close()
                _stop_if_cancelled()
                # Jitter, so that a hundred mirrors do not knock at once when a plant returns.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s * random.uniform(0.7, 1.3)):
                        await self._wake.wait()
                self._wake.clear()
                delay_s = RETRY_S_FIRST if delay_s > RETRY_S_MAX else min(2 * delay_s, RETRY_S_MAX)
        finally:
            warming.cancel()

    async def _prepare(self, session: Session, sink: Sink, settings: Settings) -> None:
        """Looks at the address space where it may have changed, and declares what is there."""
        from mirrorworld.connectors import opcua_browse, opcua_model
        from mirrorworld.connectors.opcua_subscription import Subscription

        known = self._server
        is_same = (
            known is not None
            and self._mirror is not None
            and known.namespaces == session.server.namespaces
            and known.started_ns == session.server.started_ns
        )
        if is_same:
            return
        space = await opcua_browse.walk(
            session, root=settings.root, max_nodes=settings.max_nodes, pause_s=settings.pause_s
        )
        mirror = await asyncio.to_thread(
            opcua_model.mirror, space, session.server, self.config.name
        )
        if space.is_truncated:
            sink.count("address_space_cut")
        if mirror.odd_units:
            sink.count("unit_unknown", len(mirror.odd_units))
        edits = mirror.edits()
        if self._mirror is not None and not space.is_truncated:
            edits.extend(DropTwin(t) for t in self._mirror.twins if t not in mirror.twins)
        refused = await self._declare(sink, edits)
        items = [i for i in mirror.items if i.twin not in refused]
        handles = sink.handles((i.twin, i.point) for i in items)
        before = self._subscription

        async def clock_jumped(ns: int) -> None:
            message = f"the server's clock moved by {ns / 1e9:+.1f} s against the clock here"
            await self._tell(sink, "clock", message, is_active=False)

        subscription = Subscription(
            items, handles, sink, settings.rate, clock_jumped,
            self._alarms.take if self._alarms is not None else None,
        )  # fmt: skip
        if before is not None:
            subscription.take_over(before)
        else:
            lost_ns = self._remembered("lost_ns")
            if lost_ns:
                subscription.mark_unknown(lost_ns)
            self._resume(sink, subscription, settings)
        self._space, self._mirror, self._server = space, mirror, session.server
        self._subscription = subscription
        self._items = {(i.twin, i.point): i for i in items}

    def _resume(self, sink: Sink, subscription: Subscription, settings: Settings) -> None:
        """Sets from when on an earlier process may have missed something of each point.

        Of a point that is known, after its latest sample, or after the time up to which all that
        the server sent was on disk; of one that was never heard of, as far back as is asked for.
        """
        import numpy as np

        from mirrorworld.connectors.opcua_compiled import NO_TIME

        if not len(subscription.items):
            return
        latest_ns = sink.latest_ns(subscription.handles) if isinstance(sink, KnowsLatest) else None
        if latest_ns is None:
            return
        alive_ns = max(self._remembered("alive_ns"), self._remembered("lost_ns"))
        first_ns = NO_TIME
        if settings.backfill_s:
            first_ns = sink.now_ns() - int(settings.backfill_s * 1e9)
        known = latest_ns > 0
        # Without a note of an earlier process there is nothing that it can have missed.
        resumed = np.maximum(latest_ns, alive_ns) if alive_ns else NO_TIME
        subscription.resume_from(np.where(known, resumed, first_ns).astype(np.int64))

    async def _declare(self, sink: Sink, edits: Sequence[Edit]) -> set[str]:
        """Declares all at once or, if something is refused, one by one; returns refused twins."""
        try:
            await sink.declare(Edits(tuple(edits), "address space read"))
            return set()
        except ValueError:
            refused: set[str] = set()
            for edit in edits:
                try:
                    await sink.declare(Edits((edit,), "address space read"))
                except ValueError as error:
                    sink.count("edit_refused")
                    twin = getattr(getattr(edit, "twin", None), "id", "")
                    if twin:
                        refused.add(twin)
                    await self._tell(sink, f"declare/{twin}", str(error), is_active=True)
            return refused

    async def _live(self, session: Session, sink: Sink, settings: Settings) -> None:
        """Subscribes (or takes over what is subscribed) and receives until something is lost."""
        subscription = self._subscription
        assert subscription is not None
        was_lost = self.link.state is LinkState.LOST
        if await subscription.transfer(session):
            sink.count("subscription_transferred")
        else:
            await subscription.create(session)
        if self._alarms is not None and self._mirror is not None:
            await self._alarms.attach(session, subscription, self._mirror)
        server = session.server
        detail = (
            f"{server.product or 'OPC UA server'}: {len(subscription.items)} points,"
            f" security {server.security}"
        )
        if subscription.refused:
            named = ", ".join(subscription.refused[:3])
            detail += f"; {len(subscription.refused)} refused by the server: {named}"
        if self._space is not None and self._space.is_truncated:
            detail += f"; only the first {settings.max_nodes} nodes (option 'max_nodes')"
        self._say(sink, LinkState.LIVE, detail)
        if was_lost:
            await self._tell(sink, "link", f"{settings.login.url}: back", is_active=False)
        filling = asyncio.ensure_future(self._fill_gap(session, sink, settings, detail))
        try:
            await subscription.run(session)
        finally:
            filling.cancel()
            (outcome,) = await asyncio.gather(filling, return_exceptions=True)
            if isinstance(outcome, Exception):
                log.error("source %s: reading gaps failed", self.config.name, exc_info=outcome)

    async def _fill_gap(
        self, session: Session, sink: Sink, settings: Settings, detail: str
    ) -> None:
        """Once all points have reported: forgets the loss, reads what was missed, and from then
        on notes now and then up to where nothing is missing."""
        from mirrorworld.connectors.opcua_history import read_gap

        subscription = self._subscription
        assert subscription is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S_MAX):
                await subscription.settled.wait()
        gap, n = subscription.take_gap(), 0
        if settings.uses_history:
            try:
                async for frame in read_gap(
                    session,
                    subscription.items,
                    subscription.handles,
                    gap,
                    sink.count,
                    settings.pause_s,
                ):
                    await sink.push(frame)
                    n += len(frame)
                    sink.count("history_samples", len(frame))
                    self._say(
                        sink, LinkState.LIVE, f"{detail}; reading history, {n} samples so far"
                    )
            except Exception as error:  # what was not read by then stays unread, and is told
                sink.count("history_failed")
                await self._tell(
                    sink, "history", f"history could not be read: {error}", is_active=False
                )
            if n:
                self._say(sink, LinkState.LIVE, f"{detail}; {n} samples read from history")
        while True:
            alive_ns = await subscription.durable_until()
            if alive_ns > 0:
                self._remember(alive_ns=alive_ns - ALIVE_MARGIN_NS)
            await asyncio.sleep(ALIVE_S)

    async def _note_loss(self, sink: Sink, text: str, state: LinkState = LinkState.LOST) -> None:
        was_live = self.link.state is LinkState.LIVE
        self._say(sink, state, text)
        if not was_live:
            return
        if self._subscription is not None:
            await self._subscription.mark_lost()
            self._remember(lost_ns=self._subscription.lost_ns)
        await self._tell(sink, "link", text, is_active=True)

    async def _tell(self, sink: Sink, what: str, message: str, *, is_active: bool) -> None:
        event = Event(
            f"{self.config.name}/{what}",
            self.config.name,
            "source",
            Text.of(message, "en"),
            Severity.MEDIUM if is_active else Severity.INFO,
            is_active=is_active,
            source_ns=sink.now_ns(),
        )
        with contextlib.suppress(ValueError):  # the source's own twin is not declared yet
            await sink.event(event)

    def _say(
        self, sink: Sink, state: LinkState, detail: str, unless: LinkState | None = None
    ) -> None:
        if unless is not None and self.link.state in (unless, LinkState.REFUSED):
            return
        since_ns = self.link.since_ns if self.link.state is state else sink.now_ns()
        self.link = Link(state, detail, since_ns or sink.now_ns())

    # --- writing

    async def write(self, command: Command) -> Command:
        """Writes a value or calls a method, once. See `Connector.write`."""
        session = self._session
        if session is None or self.link.state is not LinkState.LIVE or self._mirror is None:
            return _answered(command, CommandState.FAILED, f"not connected: {self.link.detail}")
        from mirrorworld.connectors import opcua_write

        if command.operation:
            call = self._mirror.calls.get((command.twin, command.operation))
            if call is None:
                why = f"{command.twin}: the server has no method '{command.operation}'"
                return _answered(command, CommandState.REFUSED, why)
            return await opcua_write.call(session, call, command)
        item = self._items.get((command.twin, command.point))
        if item is None:
            why = f"{command.twin}.{command.point}: the server has no such variable"
            return _answered(command, CommandState.REFUSED, why)
        return await opcua_write.write(session, item, command)

    # --- conditions

    def keeps_condition(self, event_id: str) -> bool:
        """Whether an event is a condition of the server's own. See `KeepsConditions`."""
        from mirrorworld.connectors.opcua_conditions import prefix_of

        if not event_id.startswith(prefix_of(self.config.name)):
            return False
        known = self._alarms.conditions.get(event_id) if self._alarms is not None else None
        return known is None or known.can_acknowledge

    async def acknowledge(self, event: Event, comment: str) -> None:
        """Acknowledges a condition at the server; its own report says when it is.

        Raises:
            SourceError: it could not be told, or did not take it.
        """
        await self._of_conditions(event.id).acknowledge(event, comment)

    async def act_on_condition(
        self, event_id: str, action: str, *, comment: str = "", duration_s: float = 0.0
    ) -> None:
        """What else can be done about a condition (OPC 10000-9 §5.7, §5.8).

        Args:
            action: `confirm`, `shelve` (for `duration_s`), `shelve_once`, `unshelve`.

        Raises:
            SourceError: it could not be told, or did not do it.
        """
        alarms = self._of_conditions(event_id)
        await alarms.act(event_id, action, comment=comment, duration_s=duration_s)

    def _of_conditions(self, event_id: str) -> Alarms:
        if self._alarms is None or self.link.state is not LinkState.LIVE:
            raise SourceError(
                f"{event_id}: {self.config.name} is not connected, so that it cannot be told;"
                f" {self.link.detail}"
            )
        return self._alarms

    # --- trust

    def pending_certificate(self) -> Certificate | None:
        """The server's certificate that a person has to compare and accept, if there is one."""
        return self._trust.pending(_now())

    def trust(self, fingerprint: str) -> Certificate:
        """Accepts the pending certificate, now and (with a state directory) from now on.

        Raises:
            ValueError: no certificate with that fingerprint is pending.
        """
        certificate = self._trust.accept(fingerprint, _now())
        self._wake.set()
        return certificate

    async def fetch_certificate(self) -> Certificate | None:
        """Asks the server for its certificate and makes it the pending one, if it is unknown.

        Raises:
            SourceError: nobody answers.
        """
        settings = self._settings()
        _need_asyncua()
        from mirrorworld.connectors import opcua_session

        try:
            found = await opcua_session.fetch_certificate(settings.login, _now())
        except (opcua_session.Refused, opcua_session.Lost) as error:
            raise SourceError(str(error)) from error
        if found is not None and not self._trust.is_trusted(found):
            self._trust.ask(found)
        return found

    @property
    def _trust(self) -> Trust:
        if self._trust_store is None:
            from mirrorworld.connectors.opcua_trust import Trust

            self._trust_store = Trust(self.config.state_dir, self.config.name)
        return self._trust_store

    # --- what is remembered over a restart

    def _remember(self, **times_ns: int) -> None:
        """Keeps the time of a loss, or up to when nothing was missed, for the next process."""
        file = self._file()
        if file is None:
            return
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            new = file.with_suffix(".new")
            new.write_text(json.dumps(times_ns))
            new.replace(file)

    def _remembered(self, name: str) -> int:
        file = self._file()
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            return int(json.loads(file.read_text())[name]) if file is not None else 0
        return 0

    def _file(self, tail: str = "") -> Path | None:
        """Where this source's own notes are."""
        if self.config.state_dir is None:
            return None
        return self.config.state_dir / "opcua" / f"{self.config.name}{tail}.json"

    # --- configuration

    def _settings(self) -> Settings:
        """The configuration, checked.

        Raises:
            SourceError: the URL or an option cannot be used; the message names it.
        """
        _need_asyncua()
        from mirrorworld.connectors.opcua_config import checked

        return checked(self.config)


def _answered(command: Command, state: CommandState, detail: str) -> Command:
    return replace(command, state=state, detail=detail)


def _stop_if_cancelled() -> None:
    """Ends the task if it was told to end: asyncua swallows that in places."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _need_asyncua() -> None:
    try:
        import asyncua  # noqa: F401
    except ImportError as error:
        raise SourceError(
            "OPC UA needs asyncua, which is not installed: pip install 'mirrorworld[opcua]'"
        ) from error


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
