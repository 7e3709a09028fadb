"""A world that this process holds itself: its record read, or written, without a server.

No source feeds it, so nothing new comes but one's own edits, and no command can be sent. Knows
the kernel and the port of a record; which record it is, `app.py` decides.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from mirrorworld import attachments
from mirrorworld.authoring.documents import Author, Document
from mirrorworld.client import files
from mirrorworld.client.errors import (
    InvalidError,
    NotAllowedError,
    NotFoundError,
    of_exception,
    of_status,
)
from mirrorworld.client.meetings import Meeting
from mirrorworld.protocol import answers, past, rest, series
from mirrorworld.protocol.authoring import NoteRow, TaskRow
from mirrorworld.protocol.rest import Problem
from mirrorworld.world.changes import (
    Change,
    Command,
    Edit,
    Edits,
    Event,
    Origin,
    OriginKind,
    Position,
    PutGeometry,
    Writing,
)
from mirrorworld.world.model import Blob, Property, Twin, TwinType, point_id
from mirrorworld.world.plain import from_plain
from mirrorworld.world.ports import BlobStore, Record
from mirrorworld.world.query import Query
from mirrorworld.world.world import World

if TYPE_CHECKING:
    import pyarrow as pa

OWNER: Final = "owner"

Sql = Callable[[str, int, float], "tuple[pa.Table, bool]"]
"""(query, rows, time_s) -> the rows, and whether there were more."""
Save = Callable[..., None]
"""(record, (handle, twin, type) of each point, start_ns, end_ns, path, zone)."""


class Routes(Protocol):
    """What answers a request as a server would, in this process."""

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """A response with `status_code` and `content`."""
        ...

    def close(self) -> None: ...


class LocalAccess:
    """See `access.Access`.

    Args:
        world: as the record gave it.
        record: its past; open for writing if `is_writable`.
        place: the directory, for people.
        sql, save: how queries are answered and history is written to files.
        blobs: where attached files lie; `examiners` look into them, by media type.
        routes: answers for branches and plans, where the world is open for writing.
    """

    def __init__(
        self,
        world: World,
        record: Record,
        place: str,
        *,
        is_writable: bool = False,
        sql: Sql | None = None,
        save: Save | None = None,
        blobs: BlobStore | None = None,
        examiners: Mapping[str, files.Examine] | None = None,
        routes: Routes | None = None,
    ) -> None:
        self.place = place
        self._routes = routes
        self._sql, self._save = sql, save
        self._blobs, self._examiners = blobs, examiners or {}
        self._world = world
        self._record = record
        self._is_writable = is_writable
        self._changed = threading.Condition()
        self._is_closed = False

    def info(self) -> rest.WorldInfo:
        world = self._world
        return rest.WorldInfo(
            id=world.id,
            position=str(world.position),
            durable=str(world.position),
            twins=len(world.structure.twins),
            points=world.n_points,
            types=len(world.structure.types),
            relations=len(world.structure.relations),
            active_events=sum(event.is_active for event in world.events.values()),
            open_commands=sum(not c.state.is_final for c in world.commands.values()),
            now_ns=time.time_ns(),
            version=version("mirrorworld"),
            principal=rest.Who(OWNER, [OWNER]),
            first_ns=int(getattr(self._record, "first_ns", 0)),
            rows=answers.rows(world),
            features=["history", "edits"] if self._is_writable else ["history"],
        )

    def ask(self, method: str, path: str, **more: Any) -> bytes:
        if self._routes is None:
            mend = "open it with writable=True, or connect to where it runs"
            raise NotAllowedError(Problem("branches are kept by who writes", self.place, mend))
        answer = self._routes.ask(method, path, **more)
        if answer.status_code >= 400:
            raise of_status(answer.status_code, msgspec.json.decode(answer.content, type=Problem))
        return answer.content

    def types(self) -> list[TwinType]:
        return list(self._world.structure.types.values())

    def twins(self, query: Query, limit: int, cursor: str | None) -> rest.TwinsPage:
        try:
            page = self._world.query(query, limit, cursor)
        except ValueError as error:
            raise of_exception(error) from error
        rows = [answers.twin_row(self._world, twin) for twin in page.twins]
        return rest.TwinsPage(rows, page.cursor, page.total)

    def twin(self, twin_id: str) -> rest.TwinDetail:
        self._check_twin(twin_id)
        return answers.twin_detail(self._world, twin_id)

    def _check_twin(self, twin_id: str) -> None:
        if twin_id not in self._world.structure.twins:
            mend = answers.near(twin_id, self._world.structure.twins)
            raise NotFoundError(Problem(f"there is no twin '{twin_id}'", self.place, mend))

    def _handles(self, points: Sequence[str]) -> NDArray[np.uint32]:
        try:
            return np.array([answers.handle(self._world, name) for name in points], np.uint32)
        except KeyError as error:
            raise of_exception(error) from error

    def read(self, points: Sequence[str]) -> list[rest.PointValue]:
        return answers.point_values(self._world, self._handles(points))

    def history(
        self, points: Sequence[str], start_ns: int, end_ns: int | None, max_rows: int | None
    ) -> pa.Table:
        if not points:
            raise InvalidError(Problem("no point is named", "points", "name at least one"))
        end_ns = series.EVER_NS if end_ns is None else end_ns
        handles = self._handles(points).tolist()
        kinds = [self._world.point(handle) for handle in handles]
        try:
            read = [self._record.read(handle, start_ns, end_ns, max_rows) for handle in handles]
        except (LookupError, ValueError, OSError) as error:
            raise of_exception(error) from error
        return series.table([(point_id(twin, kind.name), kind) for twin, kind in kinds], read)

    def as_of(
        self, points: Sequence[str], time_ns: int | None, position: str | None
    ) -> list[rest.PointValue]:
        handles = self._handles(points)
        try:
            if position is not None:
                return past.as_of_position(self._record, handles, Position.parse(position))
            return past.as_of_time(self._world, self._record, handles, time_ns or time.time_ns())
        except (LookupError, ValueError, OSError) as error:
            raise of_exception(error) from error

    def changes(self, after: str, limit: int) -> rest.ChangesPage:
        try:
            found = list(self._record.changes(Position.parse(after), limit))
        except (LookupError, ValueError, OSError) as error:
            raise of_exception(error) from error
        rows = [past.change_row(self._world, change) for change in found]
        last = str(found[-1].position) if found else after
        return rest.ChangesPage(rows, last, len(found) < limit)

    # --- acting ---

    def edit(self, edits: Sequence[Edit], reason: str) -> str:
        return str(self._apply(Edits(tuple(edits), reason)))

    def notes(self, twin: str | None) -> list[NoteRow]:
        rows = [
            NoteRow(of, id, note)
            for of, document in self._documents(twin)
            for id, note in document.notes().items()
        ]
        return sorted(rows, key=lambda row: -row.note.created)

    def tasks(self, twin: str | None, state: str | None, owner: str | None) -> list[TaskRow]:
        rows = [
            TaskRow(of, id, task)
            for of, document in self._documents(twin)
            for id, task in document.tasks().items()
            if state in (None, task.state) and owner in (None, task.owner)
        ]
        return sorted(rows, key=lambda row: -row.task.created)

    def _documents(self, twin: str | None) -> Iterator[tuple[str, Document]]:
        if twin is not None:
            self._check_twin(twin)
        for of, kept in self._world.writings.items():
            if twin in (None, of) and of in self._world.structure.twins:
                yield of, Document(kept)

    def document(self, twin: str) -> bytes:
        self._check_twin(twin)
        return Document(self._world.writings.get(twin, ())).whole()

    def write_about(self, twin: str, update: bytes) -> str:
        document = Document(self._world.writings.get(twin, ()))
        try:
            document.take(update, Author(OWNER, is_editor=True), time.time_ns() / 1e6)
        except (PermissionError, ValueError) as error:
            raise of_exception(error) from error
        return str(self._apply(Writing(twin, update)))

    def _apply(self, body: Edits | Event | Writing) -> Position:
        if not self._is_writable:
            mend = "open(directory, writable=True), or connect() to the server that has it"
            raise NotAllowedError(Problem("this world is open for reading", self.place, mend))
        origin = Origin(OriginKind.AUTHORED, OWNER)
        try:
            applied = self._world.apply(Change(body, origin, time.time_ns())).change
            if applied is not None:
                self._record.append(applied)
                self._record.commit()
        except (LookupError, ValueError, OSError) as error:
            raise of_exception(error) from error
        with self._changed:
            self._changed.notify_all()
        return self._world.position

    def attach(
        self, twin_id: str, path: Path, name: str, purpose: str, scale: float, up: str
    ) -> Blob:
        if self._blobs is None or not self._is_writable:
            mend = "open(directory, writable=True), or connect() to the server that has it"
            raise NotAllowedError(Problem("files are not taken here", self.place, mend))
        twin = from_plain(Twin, self.twin(twin_id).twin)
        try:
            blob = files.keep(self._blobs, self._examiners, path, name or path.name)
            edit: Edit = attachments.with_document(twin, blob)
            if purpose == "model":
                if blob.media_type not in attachments.MODELS:
                    raise ValueError(f"{path}: this is {blob.media_type}, which cannot be drawn")
                look = attachments.Look(blob.sha256, scale, up)
                look.check()
                edit = PutGeometry(twin_id, str(look))
        except (ValueError, OSError) as error:
            raise of_exception(error) from error
        self.edit([edit], f"attached {blob.name}")
        return blob

    def file(self, sha256: str) -> bytes:
        try:
            if self._blobs is None:
                raise FileNotFoundError(sha256)
            return self._blobs.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise NotFoundError(Problem(f"there is no file '{sha256}'", self.place)) from error
        except (ValueError, OSError) as error:
            raise of_exception(error) from error

    def command(self, request: rest.CommandRequest) -> Command:
        place = f"{request.twin}.{request.point or request.operation}"
        mend = "start the world with `mirrorworld up`, then connect() to it"
        raise NotAllowedError(Problem("no source is live here to send it to", place, mend))

    def command_of(self, command_id: str, wait_s: float) -> Command:
        found = self._world.commands.get(command_id)
        if found is None:
            raise NotFoundError(Problem(f"there is no command '{command_id}'", self.place))
        return found

    def commands(self) -> list[Command]:
        found = self._world.commands.values()
        return sorted(found, key=lambda command: command.requested_ns, reverse=True)

    def events(self, twin: str | None, active: bool | None) -> list[Event]:
        found = [
            event
            for event in self._world.events.values()
            if (twin is None or event.twin == twin)
            and (active is None or event.is_active == active)
        ]
        return sorted(found, key=lambda event: event.source_ns, reverse=True)

    def acknowledge(self, event_id: str, comment: str) -> Event:
        event = self._world.events.get(event_id)
        if event is None:
            raise NotFoundError(Problem(f"there is no event '{event_id}'", self.place))
        said = (Property("comment", comment),) if comment else ()
        kept = tuple(p for p in event.properties if p.name != "comment")
        seen = dataclasses.replace(event, is_acknowledged=True, properties=(*kept, *said))
        self._apply(seen)
        return seen

    def sources(self) -> list[rest.Source]:
        return []

    def trust(self, source: str, fingerprint: str) -> rest.Source:
        mend = "connect() to the server that mirrors it"
        raise NotFoundError(Problem(f"no source '{source}' runs here", self.place, mend))

    def subscribe(self, points: Sequence[str]) -> LocalUpdates:
        return LocalUpdates(self._world, self._handles(points), self._changed)

    def meet(self, name: str, place: str) -> Meeting:
        mend = "connect to a world that is served: mirrorworld.connect(…)"
        raise InvalidError(Problem("a world of one's own has nobody to meet", self.place, mend))

    def sql(self, query: str, rows: int, time_s: float) -> tuple[pa.Table, bool]:
        if self._sql is None:
            raise InvalidError(Problem("this world answers no SQL", self.place, ""))
        try:
            return self._sql(query, rows, time_s)
        except ValueError as error:
            raise of_exception(error) from error

    def save_history(
        self, points: Sequence[str], start_ns: int, end_ns: int | None, path: Path, zone: str
    ) -> None:
        if self._save is None:
            raise InvalidError(Problem("this world writes no files", self.place, ""))
        handles = self._handles(points).tolist()
        named = [(handle, *self._world.point(handle)) for handle in handles]
        until_ns = time.time_ns() if end_ns is None else end_ns
        first_ns = int(getattr(self._record, "first_ns", 0))
        try:
            self._save(self._record, named, max(start_ns, first_ns), until_ns, path, zone)
        except (LookupError, ValueError, OSError) as error:
            raise of_exception(error) from error

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            if self._routes is not None:
                self._routes.close()
            self._record.close()


class LocalUpdates:
    """Values of points of a world that this process changes itself."""

    def __init__(
        self, world: World, handles: NDArray[np.uint32], changed: threading.Condition
    ) -> None:
        self._world = world
        self._handles = handles
        self._after = -1
        self._changed = changed
        self._is_closed = False

    def __iter__(self) -> Iterator[list[rest.PointValue]]:
        while True:
            try:
                yield self.next(None)
            except EOFError:
                return

    def next(self, timeout_s: float | None) -> list[rest.PointValue]:
        """See `access.Updates`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_closed or self._new().any(), timeout_s):
                raise TimeoutError("nothing new came in time")
            if self._is_closed:
                raise EOFError("the subscription was closed")
            handles = self._handles[self._new()]
            self._after = self._world.position.sequence
            return answers.point_values(self._world, handles)

    def _new(self) -> NDArray[np.bool_]:
        return self._world.read(self._handles).changed > self._after

    def close(self) -> None:
        """See `access.Updates`."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
