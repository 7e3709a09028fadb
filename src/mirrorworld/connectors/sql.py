"""SQL databases: tables followed live, as an MES, a historian or a LIMS keeps them.

`Sql` is the connector. It reads, in read-only transactions, what is new in a table by a column
that only grows, a page at a time; it never writes. How it is done stands beside this file:
`sql_config` (what it is told), `sql_connection` (reaching the database), `sql_tables` (the
catalogue and its guesses), `sql_select` (the statements), `sql_follow` (one table), `sql_rows`
(rows to frames), `sql_cursor` (how far it is). They need SQLAlchemy with its asyncio part and a
driver, the extra `sql`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mirrorworld.connectors.sql_config import (
    DRIVERS,
    TABLES_MAX,
    Settings,
    TableOptions,
    checked,
)
from mirrorworld.connectors.sql_connection import (
    connected,
    described,
    engine_of,
    inode_of,
    is_refused,
    listen,
    told,
)
from mirrorworld.world.changes import Command, CommandState, Edits, Event, PutTwin, Severity
from mirrorworld.world.model import Property, Scalar, Text, Twin
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

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from mirrorworld.connectors.sql_follow import Follower
    from mirrorworld.connectors.sql_tables import Plan, Table

log = logging.getLogger(__name__)

RETRY_S_FIRST: Final = 0.5
RETRY_S_MAX: Final = 30.0
RETRY_S_REFUSED: Final = 600.0
"""Databases lock accounts too."""

LOOK_ROWS_MAX: Final = 1000
"""Rows of a table that `discover` reads to see which twins there would be."""
PAUSE_S: Final = 0.005


class Sql:
    """Follows the tables of one database. Options: `SqlOptions` in `sql_config.py`."""

    schemes: tuple[str, ...] = tuple(DRIVERS)
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "SQL database",
        "postgresql://db.plant/mes",
        "PostgreSQL, or sqlite:///data/mes.db; read only.",
        (
            OptionAbout("table", "Tables", hint="Names, by commas; empty: all that fit."),
            OptionAbout("time", "Column of the time", hint="Empty: guessed."),
            OptionAbout("change", "Column that only grows", hint="As id or updated_at."),
            OptionAbout("poll_s", "Ask every, s", "number", 1),
            OptionAbout("zone", "Time zone of times without one", default="UTC"),
        ),
    )

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.link = Link(LinkState.CONNECTING, "not tried yet")
        self._told_lost = False

    def __repr__(self) -> str:
        return f"Sql({self.config.name!r}, {self.link.state.value})"

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """The tables, how each would be followed, and a few of its values.

        Raises:
            SourceError: the database cannot be reached or entered.
        """
        settings = self._settings()
        found: list[Finding] = []
        try:
            async with engine_of(settings) as engine, connected(engine, settings) as connection:
                for schema, name in await self._wanted(connection, settings, limit):
                    if len(found) >= limit:
                        break
                    found += await self._look(connection, settings, schema, name)
                    await asyncio.sleep(PAUSE_S)
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{settings.database.shown}: {told(error, settings)}") from error
        return found[: max(limit, 0)]

    async def _wanted(
        self, connection: AsyncConnection, settings: Settings, limit: int
    ) -> list[tuple[str | None, str]]:
        from mirrorworld.connectors import sql_tables

        if not settings.tables:
            return await connection.run_sync(sql_tables.table_names, max(limit, 1))
        return [(t.schema, t.name) for t in await self._named(connection, settings)]

    async def _look(
        self, connection: AsyncConnection, settings: Settings, schema: str | None, name: str
    ) -> list[Finding]:
        """What a table would be mirrored as; if it cannot be, why."""
        from mirrorworld.connectors import sql_select, sql_tables
        from mirrorworld.connectors.sql_cursor import Cursor
        from mirrorworld.connectors.sql_follow import Follower

        options = next((t for t in settings.tables if t.table in (name, f"{schema}.{name}")), None)
        options = options or TableOptions(name)
        label = name if schema is None else f"{schema}.{name}"
        twin = Twin(f"{self.config.name}/{label}", name=Text.of(label))
        rows: list[Any] = []
        try:
            table = await described(connection, schema, name)
            if table is None:
                return []
            plan = sql_tables.plan(table, options, self.config.name)
            statement = sql_select.page(plan, limit=LOOK_ROWS_MAX, is_backward=True)
            async with asyncio.timeout(settings.options.timeout_s + 5):
                rows = list((await connection.execute(statement)).all())
        except SourceError as error:
            return [Finding(twin, None, f"{error}")]
        except Exception as error:
            await connection.rollback()
            return [Finding(twin, None, f"cannot be read: {told(error, settings)}")]
        await connection.rollback()
        follower = Follower(plan, self.config.name, settings.options, Cursor(None))
        return _findings(plan, follower, rows)

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """Follows the tables until cancelled, through the database's vanishing and return.

        Raises:
            SourceError: it can never work as configured.
            OSError: the record or the note of how far it is could not be written.
        """
        from mirrorworld.connectors.careful_sink import CarefulSink, SinkFailed
        from mirrorworld.connectors.sql_cursor import Cursor

        settings = self._settings()
        sink = CarefulSink(sink)
        cursor = Cursor(self._cursor_file(settings))
        delay_s, was_live = RETRY_S_FIRST, False
        while True:
            try:
                async with engine_of(settings) as engine, connected(engine, settings) as connection:
                    followers = await self._followers(connection, settings, cursor)
                    await self._declare_self(sink, settings)
                    await self._say(sink, LinkState.LIVE, _detail(connection, followers, settings))
                    was_live, delay_s = True, RETRY_S_FIRST
                    await self._follow(connection, followers, sink, settings)
            except SinkFailed as error:
                raise error.error from error
            except SourceError as error:
                if not was_live:
                    raise
                # The table was there when it began: someone is at work on the database.
                await self._say(sink, LinkState.LOST, str(error))
            except Exception as error:
                text = f"{settings.database.shown}: {told(error, settings)}"
                if is_refused(error):
                    delay_s = RETRY_S_REFUSED
                    await self._say(sink, LinkState.REFUSED, text)
                else:
                    await self._say(sink, LinkState.LOST, text)
            await asyncio.sleep(delay_s * random.uniform(0.7, 1.3))
            delay_s = min(2 * delay_s, RETRY_S_MAX) if delay_s < RETRY_S_REFUSED else RETRY_S_FIRST

    async def _follow(
        self,
        connection: AsyncConnection,
        followers: Sequence[Follower],
        sink: Sink,
        settings: Settings,
    ) -> None:
        wake = asyncio.Event()
        await listen(connection, settings, wake)
        inode = inode_of(settings.database)
        async with connection.begin():
            for follower in followers:
                await follower.start(connection, sink)
        while True:
            wake.clear()
            has_more = False
            if inode_of(settings.database) != inode:
                raise ConnectionError("the file is another one now")
            for follower in followers:
                # One transaction a turn: it sees one state, and is over before anyone waits.
                async with connection.begin():
                    has_more |= await follower.poll(connection, sink)
            if has_more:
                rows = sum(follower.rows for follower in followers)
                detail = f"{settings.database.shown}: reading what there is, {rows} rows so far"
                self.link = Link(LinkState.LIVE, detail, self.link.since_ns)
                continue
            detail = _detail(connection, followers, settings)
            self.link = Link(LinkState.LIVE, detail, self.link.since_ns)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(settings.options.poll_s):
                    await wake.wait()

    async def _followers(
        self, connection: AsyncConnection, settings: Settings, cursor: Any
    ) -> list[Follower]:
        from mirrorworld.connectors import sql_tables
        from mirrorworld.connectors.sql_follow import Follower

        chosen: list[tuple[Table, TableOptions]] = []
        if settings.tables:
            tables = await self._named(connection, settings)
            chosen = list(zip(tables, settings.tables, strict=True))
        else:
            chosen = await self._all_that_fit(connection)
        followers: list[Follower] = []
        for table, options in chosen:
            plan = sql_tables.plan(table, options, self.config.name)
            followers.append(Follower(plan, self.config.name, settings.options, cursor))
        await connection.rollback()
        labels = {follower.plan.label for follower in followers}
        if cursor.pending is not None and cursor.pending.table not in labels:
            await asyncio.to_thread(cursor.done, settings.options.overlap_rows)
        return followers

    async def _all_that_fit(self, connection: AsyncConnection) -> list[tuple[Table, TableOptions]]:
        """The tables that can be followed as they are.

        Raises:
            SourceError: there are none.
        """
        from mirrorworld.connectors import sql_tables

        found: list[tuple[Table, TableOptions]] = []
        for schema, name in await connection.run_sync(sql_tables.table_names, TABLES_MAX):
            try:
                table = await described(connection, schema, name)
                if table is not None:
                    sql_tables.plan(table, TableOptions(name), self.config.name)
                    found.append((table, TableOptions(name)))
            except SourceError:
                continue  # `discover` says why
            except Exception:
                await connection.rollback()  # not ours to read
            await asyncio.sleep(PAUSE_S)
        if not found:
            raise SourceError(
                f"{self.config.name}: no table can be followed as it is; `mirrorworld discover`"
                " with this address says of each why; name one by the option 'table'"
            )
        return found

    async def _named(self, connection: AsyncConnection, settings: Settings) -> list[Table]:
        """The tables that the options name.

        Raises:
            SourceError: there is none of that name.
        """
        from mirrorworld.connectors import sql_tables

        found: list[Table] = []
        for options in settings.tables:
            schema, dot, name = options.table.partition(".")
            table = await described(connection, None, options.table)
            if table is None and dot:
                table = await described(connection, schema, name)
            if table is None:
                names = await connection.run_sync(sql_tables.table_names, 20)
                have = ", ".join(n if s is None else f"{s}.{n}" for s, n in names) or "none"
                raise SourceError(
                    f"{self.config.name}: option table='{options.table}': there is no such table"
                    f" or view, or {settings.database.username or 'this user'} may not see it;"
                    f" there are {have}"
                )
            found.append(table)
        return found

    async def _declare_self(self, sink: Sink, settings: Settings) -> None:
        twin = Twin(
            self.config.name,
            name=Text.of(self.config.name),
            properties=(Property("database", settings.database.shown),),
        )
        await sink.declare(Edits((PutTwin(twin),), "database entered"))

    async def _say(self, sink: Sink, state: LinkState, detail: str) -> None:
        before = self.link
        since_ns = before.since_ns if before.state is state else sink.now_ns()
        self.link = Link(state, detail, since_ns)
        is_lost = state is not LinkState.LIVE
        if is_lost is self._told_lost or (is_lost and before.state is not LinkState.LIVE):
            return
        self._told_lost = is_lost
        with contextlib.suppress(ValueError):  # the source's own twin is not declared yet
            await sink.event(
                Event(
                    f"{self.config.name}/link",
                    self.config.name,
                    "source_lost" if is_lost else "source_live",
                    Text.of(detail, "en"),
                    Severity.MEDIUM if is_lost else Severity.INFO,
                    is_active=is_lost,
                    source_ns=sink.now_ns(),
                )
            )

    def _cursor_file(self, settings: Settings) -> Path | None:
        """Where is kept how far this database was read."""
        if self.config.state_dir is None:
            return None
        digest = hashlib.sha256(settings.database.shown.encode()).hexdigest()[:12]
        return self.config.state_dir / "sql" / f"{self.config.name}-{digest}.json"

    # --- writing

    async def write(self, command: Command) -> Command:
        """Refused: a table of rows has no place for a desired value."""
        return dataclasses.replace(
            command,
            state=CommandState.REFUSED,
            detail="SQL sources are read only; nothing is ever written to the database",
            decided_ns=time.time_ns(),
        )

    def _settings(self) -> Settings:
        try:
            import sqlalchemy.ext.asyncio  # noqa: F401
        except ImportError as error:
            raise SourceError(
                "SQL needs SQLAlchemy with greenlet: pip install 'mirrorworld[sql]'"
            ) from error
        return checked(self.config)


# --- what is said ---------------------------------------------------------------------------


def _detail(connection: Any, followers: Sequence[Follower], settings: Settings) -> str:
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    rows = sum(follower.rows for follower in followers)
    names = ", ".join(follower.plan.label for follower in followers[:3])
    more = f" and {len(followers) - 3} more" if len(followers) > 3 else ""
    product = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}.get(
        connection.dialect.name, connection.dialect.name
    )
    return f"{product} {version}: {names}{more}; {rows} rows since the start".replace("  ", " ")


def _findings(plan: Plan, follower: Follower, rows: Sequence[Any]) -> list[Finding]:
    """A twin for each key among the newest rows, with the values of its newest row."""
    key_at, point_at = plan.place(plan.key), plan.place(plan.point)
    newest: dict[Any, dict[str, Scalar]] = {}
    for row in rows:  # newest first
        values = newest.setdefault(row[key_at] if plan.key is not None else None, {})
        if plan.is_long:
            values.setdefault(str(row[point_at])[:200], _scalar(row[plan.n_key]))
        else:
            for i, point in enumerate(plan.points):
                values.setdefault(point.name, _scalar(row[plan.n_key + i]))
    if not rows and plan.key is None:
        newest[None] = {}
    found: list[Finding] = []
    for key, values in newest.items():
        twin = follower.twin(key)
        if plan.is_long:
            points = tuple(dataclasses.replace(plan.points[0], name=name) for name in values)
            twin = dataclasses.replace(twin, points=points)
        found.append(Finding(twin, follower.type(), plan.why, tuple(values.items())[:20]))
    if not newest:
        twin = Twin(f"{follower.source}/{plan.label}", name=Text.of(plan.label))
        found.append(Finding(twin, None, f"{plan.why}; it has no rows yet"))
    return found


def _scalar(value: Any) -> Scalar:
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
