"""What the SQL connector is told, checked: the database, and which tables are followed how.

Knows URLs, options and map files; asks nothing of a database.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import yaml

from mirrorworld.connectors.options import read_options
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig, SourceError

DRIVERS: Final = {
    "postgresql": ("postgresql+asyncpg", "asyncpg"),
    "postgres": ("postgresql+asyncpg", "asyncpg"),
    "sqlite": ("sqlite+aiosqlite", "aiosqlite"),
    "sql+mysql": ("mysql+aiomysql", "aiomysql"),
    "sql+mariadb": ("mariadb+aiomysql", "aiomysql"),
    "sql+mssql": ("mssql+aioodbc", "aioodbc"),
    "sql+oracle": ("oracle+oracledb", "oracledb"),
}
"""URL scheme -> (SQLAlchemy's dialect and driver, the package that the driver is in)."""

MAP_BYTES_MAX: Final = 1 << 20
TABLES_MAX: Final = 1000


@dataclass(frozen=True)
class TableOptions:
    """How one table is followed. Empty: as the table itself suggests."""

    table: str = ""
    """Name, or `schema.name`."""
    twin: str = ""
    """Id of the twins below the source: `{table}`, `{key}` and text, as in `ovens/{key}`."""
    key: str = ""
    """Column whose values name the twins; without one, the table is one twin."""
    point: str = ""
    """Column whose values name the points: the long form, a row per sample."""
    value: str = ""
    """Columns with values, by commas. Long form: one. Wide form: all that are left."""
    time: str = ""
    """Column with the time of a row; without one, rows are stamped when they are read."""
    change: str = ""
    """Column that only grows and by which new rows are found: a serial id, `updated_at`."""
    tie: str = ""
    """Columns that tell rows with the same `change` apart; as a rule the primary key."""
    units: Mapping[str, str] = field(default_factory=dict[str, str])
    """UCUM by point. Only in a map file."""


@dataclass(frozen=True)
class SqlOptions:
    """The options of a source. Those of `TableOptions` hold for each table that `table` names."""

    table: str = ""
    """Names by commas; without any, and without a map, all tables that can be followed."""
    map: str = ""
    twin: str = ""
    key: str = ""
    point: str = ""
    value: str = ""
    time: str = ""
    change: str = ""
    tie: str = ""
    start: str = "all"
    zone: str = "UTC"
    poll_s: float = 1.0
    page_rows: int = 5000
    overlap_rows: int = 500
    channel: str = ""
    tls: str = "prefer"
    timeout_s: float = 20.0
    max_points: int = 100_000

    def __post_init__(self) -> None:
        if self.start not in ("all", "now"):
            raise ValueError(f"start='{self.start}' is neither 'all' nor 'now'")
        if self.tls not in ("off", "prefer", "require", "verify"):
            raise ValueError(f"tls='{self.tls}' is none of off, prefer, require, verify")
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"zone='{self.zone}' is no time zone; one is named like 'Europe/Berlin'"
            ) from error
        for name, low, high in (
            ("poll_s", 0.05, 86_400),
            ("page_rows", 1, 100_000),
            ("overlap_rows", 0, 100_000),
            ("timeout_s", 0.1, 3600),
            ("max_points", 1, 10_000_000),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}={getattr(self, name)} is not from {low} to {high}")
        if self.map and self.table:
            raise ValueError("table: a map file names the tables already; give one of the two")


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is and as whom. `shown` may be shown, the rest not."""

    drivername: str
    shown: str
    host: str = ""
    port: int | None = None
    name: str = ""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.drivername.startswith("sqlite")

    @property
    def is_postgresql(self) -> bool:
        """Whether it is a PostgreSQL, or speaks like one."""
        return self.drivername.startswith("postgresql")


@dataclass(frozen=True, slots=True)
class Settings:
    """A SourceConfig, checked."""

    database: Database
    options: SqlOptions
    tables: tuple[TableOptions, ...]


def checked(config: SourceConfig) -> Settings:
    """The configuration as values that can be trusted.

    Raises:
        SourceError: the URL, an option or the map file cannot be used; it names the place.
    """
    database = _database(config)
    options = read_options(SqlOptions, config.options, config.name)
    return Settings(database, options, _tables(options, config.name))


def _database(config: SourceConfig) -> Database:
    example = "one reads like postgresql://reader@db.example:5432/plant or sqlite:////data/plant.db"
    scheme, _, rest = config.url.partition("://")
    found = DRIVERS.get(scheme.lower())
    if found is None:
        have = ", ".join(DRIVERS)
        raise SourceError(f"{config.name}: '{scheme}' is no database; there are {have}; {example}")
    if found[0].startswith("sqlite"):
        # As SQLAlchemy writes it: three slashes and a relative path, four and an absolute one.
        path = unquote(rest.partition("?")[0]).removeprefix("/")
        if not path or path == ":memory:" or "\0" in path:
            raise SourceError(f"{config.name}: names no database file; {example}")
        return Database(found[0], f"{scheme}:///{path}", name=path)
    try:
        parts = urlsplit(config.url)
        port = parts.port
    except ValueError:
        raise SourceError(
            f"{config.name}: the port is not a number up to 65535; {example}"
        ) from None
    name = unquote(parts.path.strip("/"))
    if not parts.hostname or not name or any(c.isspace() for c in parts.netloc):
        raise SourceError(f"{config.name}: needs a host and the name of a database; {example}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Database(
        found[0],
        f"{scheme}://{host}{f':{port}' if port else ''}/{name}",
        parts.hostname,
        port,
        name,
        config.username or unquote(parts.username or ""),
        config.password or unquote(parts.password or ""),
    )


def _tables(options: SqlOptions, source: str) -> tuple[TableOptions, ...]:
    if options.map:
        return _read_map(Path(options.map), source)
    given = {
        f.name: getattr(options, f.name)
        for f in dataclasses.fields(TableOptions)
        if f.name not in ("table", "units")
    }
    names = [name.strip() for name in options.table.split(",") if name.strip()]
    return tuple(TableOptions(name, **given) for name in names)


def _read_map(path: Path, source: str) -> tuple[TableOptions, ...]:
    """The tables of a map file: `tables:` with a mapping of names, or a list, of options."""
    place = f"{source}: option map='{path}'"
    try:
        if path.stat().st_size > MAP_BYTES_MAX:
            raise SourceError(f"{place}: is larger than {MAP_BYTES_MAX >> 20} MiB")
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SourceError(f"{place}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        # Not the error's own text, which quotes the file: whatever file the path led to.
        raise SourceError(f"{place}: {where}is no YAML") from error
    entries = content.get("tables") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise SourceError(f"{place}: needs 'tables:' with the name of each and its options below")
    if len(entries) > TABLES_MAX:
        raise SourceError(f"{place}: names {len(entries)} tables; {TABLES_MAX} are possible")
    return tuple(_entry(str(n), given, f"{place}: tables.{n}") for n, given in entries.items())


def _entry(name: str, given: Any, place: str) -> TableOptions:
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise SourceError(f"{place}: its options are not 'name: value'")
    units = given.pop("units", None) or {}
    if not isinstance(units, dict):
        raise SourceError(f"{place}.units: is not 'point: unit'")
    plain: dict[str, Scalar] = {str(k): v for k, v in given.items() if not isinstance(v, dict)}
    for option, value in given.items():
        if isinstance(value, list):
            plain[str(option)] = ",".join(map(str, value))
        elif isinstance(value, dict):
            raise SourceError(f"{place}.{option}: is not a text")
    read = read_options(TableOptions, {"table": name, **plain}, place)
    return dataclasses.replace(read, units={str(k): str(v) for k, v in units.items()})
