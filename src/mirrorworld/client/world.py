"""A world as objects: twins, points, commands. The same wherever the world is.

Objects hold names, not copies: `point.value` asks each time. What was fetched together
(`twin.properties`, `world.read(...)`) is a value that no longer changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, overload

import msgspec

from mirrorworld.client import acts, notes, show
from mirrorworld.client import branches as futures
from mirrorworld.client.access import Access
from mirrorworld.client.acts import Command, Subscription
from mirrorworld.client.branches import Branch, Plan
from mirrorworld.client.errors import InvalidError
from mirrorworld.client.meetings import Meeting, poses_table
from mirrorworld.client.tables import as_frame
from mirrorworld.client.things import Point, Points, Twin, Twins, history, names_of
from mirrorworld.client.times import Time, nanoseconds
from mirrorworld.client.values import As, Values
from mirrorworld.protocol import rest
from mirrorworld.protocol.authoring import NoteRow, TaskRow
from mirrorworld.protocol.branches import Comparison
from mirrorworld.protocol.people import (
    RECORDINGS_PATH as RECORDINGS,
)
from mirrorworld.protocol.people import (
    MeetingRecording,
    MeetingRecordingDetail,
    MeetingRecordingsPage,
)
from mirrorworld.protocol.rest import Problem
from mirrorworld.world.changes import Arm, Disarm, Edit, Event
from mirrorworld.world.model import Scalar, TwinType
from mirrorworld.world.query import Query

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

PAGE: Final = 1_000


class World:
    """A world. Use it as a context manager, or `close` it."""

    def __init__(self, access: Access) -> None:
        self._access = access

    # --- reading ---

    @property
    def info(self) -> rest.WorldInfo:
        """The world at a glance, now."""
        return self._access.info()

    @property
    def id(self) -> str:
        """The world's id."""
        return self.info.id

    @property
    def position(self) -> str:
        """`epoch:sequence` of the latest change."""
        return self.info.position

    @property
    def types(self) -> dict[str, TwinType]:
        """All types by id."""
        return {one.id: one for one in self._access.types()}

    def twins(
        self,
        *,
        type: str | Iterable[str] = (),
        text: str = "",
        property: Mapping[str, Scalar] | list[tuple[str, str, Scalar]] | None = None,
        related: tuple[str, str] | None = None,
        box: tuple[float, float, float, float, float, float] | None = None,
        limit: int | None = None,
    ) -> Twins:
        """The twins for which all that is given holds.

        Args:
            type: of this type or one that extends it; or of one of several.
            text: found anywhere in id, name, type's name and text properties.
            property: path -> value, or (path, operator, value) with `== != < <= > >=`.
            related: (path, twin): the path of relations leads to that twin, as in
                `("part_of*", "line1")`; steps are separated by `/`, `^` turns one around.
            box: (x0, y0, z0, x1, y1, z1) in metres.
            limit: at most so many.
        """
        conditions: list[tuple[str, str, Scalar]] = []
        if isinstance(property, Mapping):
            conditions += [(path, "==", value) for path, value in property.items()]
        else:
            conditions += property or []
        query = Query(
            (type,) if isinstance(type, str) else tuple(type),
            text,
            tuple(conditions),
            (tuple(related[0].split("/")), related[1]) if related else None,
            box,
        )
        rows: list[rest.TwinRow] = []
        cursor: str | None = None
        while limit is None or len(rows) < limit:
            wanted = PAGE if limit is None else min(PAGE, limit - len(rows))
            page = self._access.twins(query, wanted, cursor)
            rows += page.twins
            cursor = page.cursor
            if cursor is None:
                break
        return Twins(self._access, rows)

    def twin(self, id: str) -> Twin:
        """The twin of that id; NotFoundError (a LookupError) names what is near."""
        return Twin(self._access, id, self._access.twin(id))

    def point(self, id: str) -> Point:
        """The point `twin.point`."""
        (value,) = self._access.read([id])
        return Point(self._access, value.id, value.twin, value.name)

    def read(self, points: Points) -> Values:
        """Latest values of points, all of one moment where the world is local."""
        return Values(self._access.read(names_of(points)))

    @overload
    def history(
        self,
        points: Points,
        start: Time = ...,
        end: Time = ...,
        max_rows: int | None = ...,
        *,
        as_: Literal["arrow"] = ...,
    ) -> pa.Table: ...
    @overload
    def history(
        self,
        points: Points,
        start: Time = ...,
        end: Time = ...,
        max_rows: int | None = ...,
        *,
        as_: Literal["pandas"],
    ) -> pd.DataFrame: ...
    @overload
    def history(
        self,
        points: Points,
        start: Time = ...,
        end: Time = ...,
        max_rows: int | None = ...,
        *,
        as_: Literal["polars"],
    ) -> pl.DataFrame: ...
    def history(
        self,
        points: Points,
        start: Time = None,
        end: Time = None,
        max_rows: int | None = None,
        *,
        as_: As = "arrow",
    ) -> Any:
        """Samples with start <= source time < end, as one long table.

        Its columns are point, time (UTC nanoseconds), value, quality (OPC UA status) and
        sequence. `value` has the points' kind where they share one, else float64 with texts in a
        column `text` beside it.

        Args:
            start: None: from the first on. A time, ISO 8601 text, nanoseconds, or a `timedelta`
                before now. Times without a zone are UTC.
            end: None: until now.
            max_rows: of each point at most so many; its extremes stay.
            as_: "pandas" and "polars" need that library.
        """
        return history(self._access, names_of(points), start, end, max_rows, as_)

    @overload
    def sql(
        self, query: str, *, rows: int = ..., time_s: float = ..., as_: Literal["arrow"] = ...
    ) -> pa.Table: ...
    @overload
    def sql(
        self, query: str, *, rows: int = ..., time_s: float = ..., as_: Literal["pandas"]
    ) -> pd.DataFrame: ...
    @overload
    def sql(
        self, query: str, *, rows: int = ..., time_s: float = ..., as_: Literal["polars"]
    ) -> pl.DataFrame: ...
    def sql(
        self, query: str, *, rows: int = 10_000, time_s: float = 30.0, as_: As = "arrow"
    ) -> Any:
        """The rows of one SELECT of DuckDB's dialect over twins, points, properties, relations,
        samples, latest, alarms and commands; see the guide for their columns.

        Args:
            rows: more than so many are refused, so that nothing is missing unseen.
            time_s: after so long it is ended; 30 at most where the world is served.
            as_: "pandas" and "polars" need that library.

        Raises:
            InvalidError: it is no SELECT, fails, took too long, or gives more rows.
        """
        table, is_cut = self._access.sql(query, rows, time_s)
        if is_cut:
            mend = "give rows=…, or aggregate, or add a LIMIT"
            raise InvalidError(Problem(f"there are more than {rows} rows", "sql", mend))
        return as_frame(table, as_)

    def save_history(
        self,
        points: Points,
        path: str | os.PathLike[str],
        start: Time = None,
        end: Time = None,
        *,
        zone: str = "UTC",
    ) -> Path:
        """Writes samples with start <= source time < end to a file, a row each, however many.

        Args:
            path: ends in `.parquet` or `.csv`; it is there when it is whole.
            start: None: from the first on.
            end: None: until now.
            zone: IANA time zone of the times in CSV; in Parquet they are UTC.
        """
        target = Path(path)
        if target.suffix not in (".csv", ".parquet"):
            mend = "let it end in .parquet or .csv"
            raise InvalidError(Problem(f"'{target.name}' says no form", "path", mend))
        start_ns = 0 if start is None else nanoseconds(start)
        end_ns = None if end is None else nanoseconds(end)
        self._access.save_history(names_of(points), start_ns, end_ns, target, zone)
        return target

    def asof(self, at: Time | str, points: Points) -> Values:
        """Values as they were true at a source time, or (`"1:4711"`) known at a position."""
        names = names_of(points)
        if isinstance(at, str) and _is_position(at):
            return Values(self._access.as_of(names, None, at))
        return Values(self._access.as_of(names, nanoseconds(at), None))

    def changes(self, after: str = "0:0") -> Iterator[rest.ChangeRow]:
        """The log from a position on, every durable change of it, up to now."""
        while True:
            page = self._access.changes(after, PAGE)
            yield from page.changes
            after = page.after
            if page.is_end:
                return

    def subscribe(self, points: Points) -> Subscription:
        """New values of points as they come, exactly. See `Subscription`."""
        return Subscription(self._access.subscribe(names_of(points)))

    def meet(self, name: str = "", *, place: str = "") -> Meeting:
        """Joins the meeting in this world; leave it with `.close()`, or use it in a `with`.

        Args:
            name: how one is called there; "": as the account is.
            place: the twin whose room one enters; "": the whole world's.
        """
        return self._access.meet(name, place)

    def meetings(self) -> list[MeetingRecording]:
        """Meetings that were recorded, the latest first: those that one was in; to the owner all.

        Raises:
            ClientError: the world is one's own, so nobody met.
        """
        content = self._access.ask("GET", RECORDINGS)
        return msgspec.json.decode(content, type=MeetingRecordingsPage).recordings

    def meeting(self, id: str) -> MeetingRecordingDetail:
        """Who was in a recorded meeting and agreed when; chat, raised hands, moments."""
        content = self._access.ask("GET", f"{RECORDINGS}/{id}")
        return msgspec.json.decode(content, type=MeetingRecordingDetail)

    @overload
    def meeting_poses(self, id: str, *, as_: Literal["arrow"] = ...) -> pa.Table: ...
    @overload
    def meeting_poses(self, id: str, *, as_: Literal["pandas"]) -> pd.DataFrame: ...
    @overload
    def meeting_poses(self, id: str, *, as_: Literal["polars"]) -> pl.DataFrame: ...
    def meeting_poses(self, id: str, *, as_: As = "arrow") -> Any:
        """Where people were in a recorded meeting, one row whenever somebody moved.

        Columns: time (UTC), person (their number), name; `head_`, `left_`, `right_` with `x_m`,
        `y_m`, `z_m` in the scene and the unit quaternion `qx` to `qw`; the ray that they pointed
        with, `from_` and `to_`, in metres. Null: no such hand, or no ray.
        """
        detail = self.meeting(id)
        return as_frame(
            poses_table(self._access.ask("GET", f"{RECORDINGS}/{id}/poses"), detail), as_
        )

    def delete_meeting(self, id: str) -> None:
        """Deletes a recorded meeting that one was in, or that is in one's own world."""
        self._access.ask("DELETE", f"{RECORDINGS}/{id}")

    # --- writing about twins ---

    def notes(self, twin: str | Twin | None = None) -> list[NoteRow]:
        """What people wrote and drew about twins, the latest first; `row.note.text`."""
        return self._access.notes(_id_of(twin))

    def tasks(
        self, twin: str | Twin | None = None, *, state: str | None = None, owner: str | None = None
    ) -> list[TaskRow]:
        """What is to be done about twins, the latest first.

        Args:
            state: only those that are open, doing, done or dropped.
            owner: only those of somebody.
        """
        return self._access.tasks(_id_of(twin), state, owner)

    def note(
        self, twin: str | Twin, text: str, *, at: tuple[float, float, float] = (0.0, 1.0, 0.0)
    ) -> str:
        """Writes a note about a twin; its id. Everybody who has the page open sees it.

        Args:
            at: where on the twin: x, y, z in metres in its own frame, y up.
        """
        return notes.add_note(self._access, str(_id_of(twin)), text, at)

    def reply(self, twin: str | Twin, note: str, text: str) -> str:
        """Answers a note; the position in the log."""
        return notes.reply(self._access, str(_id_of(twin)), note, text)

    def task(
        self, twin: str | Twin, title: str, *, owner: str = "", due: str = "", note: str = ""
    ) -> str:
        """A new task about a twin; its id.

        Args:
            due: a date, 2026-11-30.
            note: the id of the note that it is about.
        """
        return notes.add_task(self._access, str(_id_of(twin)), title, owner, due, note)

    def change_task(self, twin: str | Twin, id: str, **said: str) -> str:
        """Says anew of a task its `state`, `owner`, `due` or `title`; the position in the log."""
        return notes.change_task(self._access, str(_id_of(twin)), id, said)

    # --- acting ---

    def write(
        self,
        point: str | Point,
        value: Scalar,
        *,
        unit: str = "",
        reason: str = "",
        timeout_s: float = 10.0,
        confirmed: bool = False,
    ) -> Command:
        """Asks the real thing for a value; `.wait()` on what comes back.

        Args:
            unit: UCUM unit of the value; "" is the point's own.
            timeout_s: after that it is never sent.
            confirmed: you say yes a second time, where the arm asks for it.
        """
        one = point if isinstance(point, Point) else self.point(point)
        return acts.write(
            self._access,
            one.twin,
            one.name,
            value,
            unit=unit,
            reason=reason,
            timeout_s=timeout_s,
            confirmed=confirmed,
        )

    def call(
        self,
        twin: str | Twin,
        operation: str,
        *,
        reason: str = "",
        timeout_s: float = 10.0,
        confirmed: bool = False,
        **arguments: Scalar,
    ) -> Command:
        """Asks the real thing for an operation; `.wait()` on what comes back."""
        return acts.call(
            self._access,
            twin.id if isinstance(twin, Twin) else twin,
            operation,
            arguments,
            reason=reason,
            timeout_s=timeout_s,
            confirmed=confirmed,
        )

    def edit(self, *edits: Edit, reason: str = "") -> str:
        """Makes edits of structure, together or not at all; returns their durable position."""
        return self._access.edit(edits, reason)

    def arm(self, twin: str, name: str, *, reason: str = "", **interlocks: Any) -> str:
        """Makes a point or operation writable; `low=`, `high=`, … are those of `Arm`."""
        return self.edit(Arm(twin, name, **interlocks), reason=reason)

    def disarm(self, twin: str, name: str, *, reason: str = "") -> str:
        """Makes a point or operation read-only again."""
        return self.edit(Disarm(twin, name), reason=reason)

    # --- conditions ---

    # --- other futures ---

    def branch(
        self,
        name: str,
        *,
        at: Time = None,
        parent: Branch | str = "",
        shared: bool = False,
        note: str = "",
    ) -> Branch:
        """A new branch.

        Args:
            at: None: from now; a position `1:4711` gives what was known then, a time what was true
                then, with the structure of now.
            parent: another branch, or its id; else this world itself.
            shared: whether others see it.
        """
        return futures.make(self._access, name, at, parent, shared, note)

    def branches(self) -> list[Branch]:
        """The branches that you may see, latest first."""
        return futures.all_of(self._access)

    def import_branch(self, path: str | os.PathLike[str]) -> Branch:
        """A branch from a file that `Branch.export` wrote."""
        return futures.import_(self._access, Path(path))

    def compare(self, *branches: Branch | str, evaluator: str = "") -> Comparison:
        """Branches beside each other by the latest evaluation of each: means with 95 % intervals,
        differences from the first with theirs, and the probability of being better."""
        return futures.compare(self._access, branches, evaluator)

    def plans(self) -> list[Plan]:
        """The plans of this world, latest first."""
        return futures.plans(self._access)

    def events(self, *, twin: str | None = None, active: bool | None = None) -> list[Event]:
        """Alarms and other conditions, latest first."""
        return self._access.events(twin, active)

    def acknowledge(self, event: str | Event, comment: str = "") -> Event:
        """Says that you have seen an event."""
        return self._access.acknowledge(event if isinstance(event, str) else event.id, comment)

    def commands(self) -> list[Command]:
        """Open and recent commands, latest first."""
        return [Command(self._access, one) for one in self._access.commands()]

    def sources(self) -> list[rest.Source]:
        """The sources and how they stand."""
        return self._access.sources()

    def trust(self, source: str, fingerprint: str) -> rest.Source:
        """Trusts the certificate that a source asks about; compare the fingerprint first.

        Raises:
            NotFoundError: there is no such source.
            InvalidError: it does not offer a certificate of that fingerprint.
        """
        return self._access.trust(source, fingerprint)

    # --- being there ---

    def close(self) -> None:
        """Lets go of the world."""
        self._access.close()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<World at {self._access.place}>"

    def _repr_html_(self) -> str:
        return show.world(self.info, self._access.place)


def _is_position(text: str) -> bool:
    epoch, colon, sequence = text.partition(":")
    return bool(colon) and epoch.isdigit() and sequence.isdigit()


def _id_of(twin: str | Twin | None) -> str | None:
    return twin.id if isinstance(twin, Twin) else twin
