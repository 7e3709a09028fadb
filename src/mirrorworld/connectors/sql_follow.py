"""One table, followed: its pages in order, rows that came late, and the points they are of.

Knows a plan, a cursor and a sink. Which connection it reads from, and what happens when that
breaks, is `sql.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncConnection

from mirrorworld.connectors import sql_select
from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.sql_config import SqlOptions
from mirrorworld.connectors.sql_cursor import Cursor, Key, text_of
from mirrorworld.connectors.sql_rows import NO_POINT, Samples, times_ns
from mirrorworld.connectors.sql_tables import Plan
from mirrorworld.world.changes import Edit, Edits, PutPoints, PutRelation, PutTwin, PutType
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import PART_OF, PointType, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.ports import Sink

Row = Sequence[Any]

PAGES_A_TURN: Final = 20
"""Pages of one table before the next has its turn."""

NAME_MAX: Final = 200
"""Longest name of a twin or a point that a row may give."""


class Follower:
    """Follows one table.

    Attributes:
        rows: how many were taken since the start.
    """

    def __init__(self, plan: Plan, source: str, options: SqlOptions, cursor: Cursor) -> None:
        self.plan, self.source, self.options, self.cursor = plan, source, options, cursor
        self.zone = ZoneInfo(options.zone)
        self.rows = 0
        self._handles: dict[tuple[Any, ...], int] = {}
        """By (key,) and number of value column, or by (key, point name)."""
        self._twins: set[str] = set()
        self._key_at, self._point_at = plan.place(plan.key), plan.place(plan.point)
        self._time_at = plan.place(plan.time)

    # --- names

    def twin_id(self, key: Any) -> str:
        """The id of the twin that a row with this key is of."""
        template = self.plan.options.twin or ("{table}/{key}" if self.plan.key else "{table}")
        shown = "none" if key is None else str(key)[:NAME_MAX] or "none"
        levels = [
            level.replace("{table}", self.plan.label).replace("{key}", shown)
            for level in template.strip("/").split("/")
        ]
        # A slash in a name is no level of its own.
        return "/".join([self.source, *(iri_level(x).replace("/", "%2F") for x in levels)])

    def type(self) -> TwinType | None:
        """The type that all twins of the table have, where its columns are their points."""
        if self.plan.is_long:
            return None
        label = iri_level(self.plan.label.replace("/", "%2F"))
        name = Text.of(self.plan.label)
        return TwinType(f"urn:sql:{self.source}:{label}", name, points=self.plan.points)

    def twin(self, key: Any) -> Twin:
        """The twin of a key, without the points of its type."""
        type_ = self.type()
        name = self.plan.label if self.plan.key is None else str(key)[:NAME_MAX]
        return Twin(
            self.twin_id(key),
            type_.id if type_ else "",
            Text.of(name),
            (Property("table", self.plan.label),),
        )

    # --- reading

    async def start(self, connection: AsyncConnection, sink: Sink) -> None:
        """Hands over again what was in doubt; on the very first start finds where to begin."""
        if self.plan.key is None:
            await self._declare(sink, [None], [])
        progress, pending = self.cursor.of(self.plan.label), self.cursor.pending
        if pending is not None and pending.table == self.plan.label:
            wanted = {text_of(key) for key in pending.keys}
            rows = await self._again(connection, wanted, is_late=pending.is_late)
            if rows:
                await self._push(rows, sink, pending.number)
            await asyncio.to_thread(self.cursor.done, self.options.overlap_rows)
        if progress.at is None and self.options.start == "now":
            last = await self._read(connection, limit=1, is_backward=True)
            if last:
                self.cursor.start_at(self.plan.label, self._key(last[0]))

    async def poll(self, connection: AsyncConnection, sink: Sink) -> bool:
        """Takes what is new, at most `PAGES_A_TURN` pages; whether there is more."""
        progress = self.cursor.of(self.plan.label)
        is_full = False
        for _ in range(PAGES_A_TURN):
            after = self._end() or progress.at
            rows = await self._read(connection, after=after, limit=self.options.page_rows)
            if rows:
                await self._take(rows, sink, is_late=False)
            is_full = len(rows) == self.options.page_rows
            if not is_full:
                break
        await asyncio.to_thread(self.cursor.done, self.options.overlap_rows)
        if not is_full and self.options.overlap_rows and progress.at is not None:
            late = await self._late(connection)
            if late:
                sink.count("late_rows", len(late))
                await self._take(late, sink, is_late=True)
                await asyncio.to_thread(self.cursor.done, self.options.overlap_rows)
        return is_full

    def _end(self) -> Key | None:
        """Where the page that was handed over last ends."""
        pending = self.cursor.pending
        if pending is None or pending.table != self.plan.label or pending.is_late:
            return None
        return pending.keys[-1]

    async def _late(self, connection: AsyncConnection) -> list[Row]:
        """Rows among the last ones that were not taken: they were committed late."""
        progress = self.cursor.of(self.plan.label)
        last = await self._read(
            connection,
            after=progress.floor,
            until=progress.at,
            limit=self.options.overlap_rows,
            is_backward=True,
        )
        taken = {text for text, _ in progress.taken}
        return [row for row in reversed(last) if text_of(self._key(row)) not in taken]

    async def _again(
        self, connection: AsyncConnection, wanted: set[str], *, is_late: bool
    ) -> list[Row]:
        """The rows of the page in doubt, as they stand now, in their order."""
        progress = self.cursor.of(self.plan.label)
        pending = self.cursor.pending
        assert pending is not None
        after = progress.floor if is_late else progress.at
        found: list[Row] = []
        while True:
            rows = await self._read(
                connection, after=after, until=pending.keys[-1], limit=self.options.page_rows
            )
            found += [row for row in rows if text_of(self._key(row)) in wanted]
            if len(rows) < self.options.page_rows:
                return found
            after = self._key(rows[-1])

    async def _read(self, connection: AsyncConnection, **bounds: Any) -> list[Row]:
        statement = sql_select.page(self.plan, **bounds)
        async with asyncio.timeout(self.options.timeout_s + 5):
            return list((await connection.execute(statement)).all())

    def _key(self, row: Row) -> Key:
        return tuple(row[: self.plan.n_key])

    # --- handing over

    async def _take(self, rows: list[Row], sink: Sink, *, is_late: bool) -> None:
        keys = [self._key(row) for row in rows]
        begin = self.cursor.begin
        number = await asyncio.to_thread(
            begin, self.plan.label, keys, self.options.overlap_rows, is_late=is_late
        )
        await self._push(rows, sink, number)

    async def _push(self, rows: list[Row], sink: Sink, number: int) -> None:
        frame = await self._frame(rows, sink)
        self.rows += len(rows)
        if len(frame):
            ticket = await sink.push(frame, incarnation=self.cursor.incarnation, source_seq=number)
            await sink.durable(ticket)

    async def _frame(self, rows: list[Row], sink: Sink) -> Frame:
        plan, n = self.plan, len(rows)
        columns = list(zip(*rows, strict=True))
        times = (
            times_ns(columns[self._time_at], self.zone, sink.now_ns(), sink.count)
            if plan.time is not None
            else np.full(n, sink.now_ns(), np.int64)
        )
        keys = columns[self._key_at] if plan.key is not None else (None,) * n
        samples = Samples(sink.count)
        values = columns[plan.n_key : plan.n_key + len(plan.values)]
        if plan.is_long:
            names = columns[self._point_at]
            await self._declare_points(sink, keys, names)
            points = self._points(zip(keys, names, strict=True), n)
            samples.add(values[0], plan.points[0].kind, points, keeps_null=True)
        else:
            await self._declare(sink, list(dict.fromkeys(keys)), [])
            for i, column in enumerate(values):
                points = self._points(((key, i) for key in keys), n)
                samples.add(column, plan.points[i].kind, points, keeps_null=False)
        return samples.build(times)

    def _points(self, names: Any, n: int) -> NDArray[np.uint32]:
        find = self._handles.get
        return np.fromiter((find(name, NO_POINT) for name in names), np.uint32, n)

    async def _declare_points(self, sink: Sink, keys: Sequence[Any], names: Sequence[Any]) -> None:
        """Makes twins and points of pairs that are new (long form)."""
        pairs = dict.fromkeys(zip(keys, names, strict=True))
        new = [pair for pair in pairs if pair not in self._handles]
        room = max(self.options.max_points - len(self._handles), 0)
        if len(new) > room:
            sink.count("points_beyond_max_points", len(new) - room)
        if new:
            await self._declare(sink, list(dict.fromkeys(k for k, _ in new[:room])), new[:room])

    async def _declare(self, sink: Sink, keys: list[Any], pairs: list[tuple[Any, Any]]) -> None:
        """Declares the twins of keys that are new, and the points of pairs (long form)."""
        plan, edits = self.plan, list[Edit]()
        type_ = self.type()
        if not plan.is_long:
            keys = [key for key in keys if (key, 0) not in self._handles]
            room = max(self.options.max_points - len(self._handles), 0) // len(plan.points)
            if len(keys) > room:
                sink.count("points_beyond_max_points", (len(keys) - room) * len(plan.points))
                keys = keys[:room]
        by_id = {self.twin_id(key): key for key in keys}
        fresh = [key for twin, key in by_id.items() if twin not in self._twins]
        if fresh and not self._twins and type_ is not None:
            edits.append(PutType(type_))
        for key in fresh:
            twin = self.twin(key)
            edits.append(PutTwin(twin))
            edits.append(PutRelation(Relation(PART_OF, twin.id, self.source)))
            self._twins.add(twin.id)
        names: dict[str, dict[str, PointType]] = {}
        for key, name in pairs:
            point = self._named_point(name)
            names.setdefault(self.twin_id(key), {})[point.name] = point
        edits += [PutPoints(twin, tuple(points.values())) for twin, points in names.items()]
        if edits:
            await sink.declare(Edits(tuple(edits), f"rows of {plan.label}"))
        if plan.is_long:
            wanted = [(self.twin_id(k), self._named_point(n).name) for k, n in pairs]
            self._handles.update(zip(pairs, sink.handles(wanted).tolist(), strict=True))
        else:
            of = [(k, i) for k in keys for i in range(len(plan.points))]
            wanted = [(self.twin_id(k), plan.points[i].name) for k, i in of]
            self._handles.update(zip(of, sink.handles(wanted).tolist(), strict=True))

    def _named_point(self, name: Any) -> PointType:
        """The point that a row names (long form)."""
        kind = self.plan.points[0].kind
        text = "none" if name is None else str(name)[:NAME_MAX] or "none"
        return PointType(text, kind, unit=self.plan.options.units.get(text, ""))
