"""How the SQL connector reaches its database: read-only, within time, and what went wrong.

Knows SQLAlchemy's engines and drivers; knows nothing of tables. Everything here needs the extra
`sql`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mirrorworld.connectors.sql_config import DRIVERS, Database, Settings
from mirrorworld.world.ports import SourceError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from mirrorworld.connectors.sql_tables import Table

CONNECT_TIMEOUT_S: Final = 10.0


class SqliteConnection(sqlite3.Connection):
    """Lets go of the file when it is closed, also of a query that was broken off.

    A cursor that nobody has read to its end keeps the file locked, against those who write to it
    too, until it is closed itself.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._cursors = weakref.WeakSet[sqlite3.Cursor]()

    def cursor(self, *arguments: Any, **named: Any) -> Any:
        """See sqlite3."""
        cursor = super().cursor(*arguments, **named)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """See sqlite3."""
        for cursor in list(self._cursors):
            cursor.close()
        super().close()


@asynccontextmanager
async def engine_of(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine that makes read-only connections.

    Raises:
        SourceError: its driver is not installed.
    """
    import sqlalchemy as sa
    from sqlalchemy.exc import ArgumentError
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    database, options = settings.database, settings.options
    arguments: dict[str, Any] = {}
    if database.is_sqlite:
        # mode=ro: SQLite itself refuses to write, and makes no file where there is none.
        path = Path(database.name).absolute().as_uri()
        url = sa.URL.create(database.drivername, database=path, query={"mode": "ro", "uri": "true"})
        arguments = {"timeout": options.timeout_s, "factory": SqliteConnection}
    else:
        url = sa.URL.create(
            database.drivername,
            database.username or None,
            database.password or None,
            database.host,
            database.port,
            database.name,
        )
    if database.is_postgresql:
        arguments = {
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": options.timeout_s + 2,
            "ssl": {"off": "disable", "verify": "verify-full"}.get(options.tls, options.tls),
            "server_settings": {
                "application_name": "mirrorworld",
                "default_transaction_read_only": "on",
                "statement_timeout": str(int(options.timeout_s * 1000)),
                "idle_in_transaction_session_timeout": "60000",
            },
        }
    try:
        engine = create_async_engine(url, poolclass=NullPool, connect_args=arguments)
    except (ImportError, ArgumentError) as error:
        driver = dict(DRIVERS.values()).get(database.drivername, "its driver")
        raise SourceError(
            f"{database.shown}: needs the package {driver}: pip install {driver}"
        ) from error
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def connected(engine: AsyncEngine, settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A connection of an engine, for the length of a block."""
    import sqlalchemy as sa

    if settings.database.is_sqlite and not Path(settings.database.name).is_file():
        shown = Path(settings.database.name).absolute()
        raise FileNotFoundError(
            f"there is no file {shown}; an absolute path has four slashes, sqlite:////data/plant.db"
        )
    async with asyncio.timeout(CONNECT_TIMEOUT_S + 2):
        connection = await engine.connect()
    try:
        if settings.database.is_sqlite:
            await connection.execute(sa.text("PRAGMA query_only = ON"))
        elif engine.dialect.name in ("mysql", "mariadb"):
            await connection.execute(sa.text("SET SESSION TRANSACTION READ ONLY"))
        await connection.rollback()
        yield connection
    finally:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(3):
                await connection.close()


async def described(connection: AsyncConnection, schema: str | None, name: str) -> Table | None:
    """A table with the kinds that its values show."""
    from mirrorworld.connectors import sql_select, sql_tables

    table = await connection.run_sync(sql_tables.describe, schema, name)
    if table is None or all(c.kind is not None for c in table.columns):
        return table
    rows = (await connection.execute(sql_select.first(table, 5))).all()
    return sql_tables.refined(table, [tuple(row) for row in rows])


async def listen(connection: AsyncConnection, settings: Settings, wake: asyncio.Event) -> None:
    """Has PostgreSQL's NOTIFY on the option's channel end the pause between two polls."""
    if not settings.options.channel:
        return
    if not settings.database.is_postgresql:
        raise SourceError("option 'channel': only PostgreSQL notifies; leave it out")
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.add_listener(settings.options.channel, lambda *_: wake.set())


def inode_of(database: Database) -> tuple[int, int]:
    """Which file a path leads to; an open file does not tell when another took its place."""
    if not database.is_sqlite:
        return 0, 0
    found = os.stat(database.name)
    return found.st_dev, found.st_ino


def told(error: BaseException, settings: Settings) -> str:
    """The driver's own sentence, without statement, values or password."""
    origin = getattr(error, "orig", None) or error
    origin = getattr(origin, "__cause__", None) or origin
    text = (str(origin).strip().splitlines() or [""])[0]
    if isinstance(error, TimeoutError) and not text:
        text = "no answer in time"
    if settings.database.password:
        text = text.replace(settings.database.password, "…")
    return f"{text or type(origin).__name__}"[:500]


def is_refused(error: BaseException) -> bool:
    """Whether someone has to act: the login is wrong, the database does not exist."""
    while error is not None:
        state = str(getattr(error, "sqlstate", "") or "")
        if state.startswith("28") or state in ("3D000", "42501"):
            return True
        error = getattr(error, "orig", None) or error.__cause__  # type: ignore[assignment]
    return False
