"""A world on a server: REST by httpx, new values by WebSocket.

Blocking, so that it serves scripts and notebooks alike; `Subscription` can be awaited too.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import msgspec
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_socket

from mirrorworld.client.errors import (
    ClientError,
    InvalidError,
    NotAllowedError,
    UnreachableError,
    of_status,
)
from mirrorworld.client.meetings import Meeting
from mirrorworld.client.world import World
from mirrorworld.protocol import authoring, binary, messages, places, rest
from mirrorworld.protocol.rest import Problem
from mirrorworld.world.changes import Command, Edit, Event
from mirrorworld.world.model import Blob, TwinType
from mirrorworld.world.plain import from_plain, to_plain
from mirrorworld.world.query import Query

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

ARROW: Final = "application/vnd.apache.arrow.stream"
POINTS_A_REQUEST: Final = 64
"""Keeps addresses short: names of points stand in them."""
TIMEOUT_S: Final = 60.0
EXACT_MAX: Final = 1_000
RETRY_S: Final = (0.1, 0.5, 1.0, 2.0, 5.0)


def connect(url: str | None = None, token: str | None = None) -> World:
    """A world on a server.

    Args:
        url: `http://127.0.0.1:7700`, with or without `?token=…`; the name of a world that runs on
            this machine; None: the only one that does.
        token: its owner's; None: taken from the address, or found in the world's own directory.

    Raises:
        UnreachableError: no server answers there.
        NotAllowedError: the token is missing or wrong.
    """
    address, token = _find(url, token)
    access = RemoteAccess(address, token)
    try:
        access.info()
    except ClientError:
        access.close()
        raise
    return World(access)


def _find(url: str | None, token: str | None) -> tuple[str, str]:
    if url is None or "://" not in url:
        found = _running(url)
        address = places.address_of(found)
    else:
        parts = urlsplit(url)
        address = f"{parts.scheme}://{parts.netloc}"
        token = token or parse_qs(parts.query).get("token", [None])[-1]
        found = next((w for w in places.worlds() if places.address_of(w) == address), None)
    if not token and found is not None:
        token = places.read_token(found)
    if not token:
        mend = "give the address that `mirrorworld up` printed, or token=…"
        raise NotAllowedError(Problem("there is no token for this world", address, mend))
    return address, token


def _running(name: str | None) -> Path:
    """The directory of a world that is served on this machine."""
    running = {path.name: path for path in places.worlds() if places.address_of(path)}
    if name is not None and name in running:
        return running[name]
    if name is None and len(running) == 1:
        return next(iter(running.values()))
    have = "running here: " + ", ".join(running) if running else "none runs here"
    what = f"no world '{name}' runs" if name else "it is not clear which world is meant"
    raise UnreachableError(Problem(what, "", f"{have}; start one with `mirrorworld up`"))


class RemoteAccess:
    """See `access.Access`."""

    def __init__(self, url: str, token: str) -> None:
        self.place = url
        self._token = token
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            trust_env=False,  # a proxy has no business with this machine's own server
        )

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **more)
        except httpx.TimeoutException as error:
            mend = "try again, or ask for less at once"
            raise UnreachableError(Problem("no answer in time", self.place, mend)) from error
        except httpx.HTTPError as error:
            mend = "is it running? `mirrorworld up` starts a world"
            problem = Problem(f"no server answers ({error})", self.place, mend)
            raise UnreachableError(problem) from error
        except RuntimeError as error:  # httpx says so of a closed client
            raise InvalidError(Problem("this world was closed", self.place, "")) from error
        if response.is_error:
            raise of_status(response.status_code, _problem(response))
        return response

    def _get(self, shape: type[T], path: str, params: Mapping[str, Any] | None = None) -> T:
        return msgspec.json.decode(self._ask("GET", path, params=params).content, type=shape)

    def info(self) -> rest.WorldInfo:
        return self._get(rest.WorldInfo, "/api/world")

    def ask(self, method: str, path: str, **more: Any) -> bytes:
        return self._ask(method, path, **more).content

    def types(self) -> list[TwinType]:
        plain = self._ask("GET", "/api/types").json()
        return [from_plain(TwinType, one) for one in plain]

    def twins(self, query: Query, limit: int, cursor: str | None) -> rest.TwinsPage:
        params: dict[str, Any] = {"limit": limit}
        if query.types:
            params["type"] = list(query.types)
        if query.text:
            params["text"] = query.text
        if query.properties:
            params["property"] = [
                f"{path}{operator}{_spelt(value)}" for path, operator, value in query.properties
            ]
        if query.related:
            params["related"] = f"{'/'.join(query.related[0])}:{query.related[1]}"
        if query.box:
            params["box"] = ",".join(f"{number:g}" for number in query.box)
        if cursor is not None:
            params["cursor"] = cursor
        return self._get(rest.TwinsPage, "/api/twins", params)

    def twin(self, twin_id: str) -> rest.TwinDetail:
        return self._get(rest.TwinDetail, f"/api/twins/{quote(twin_id)}")

    def read(self, points: Sequence[str]) -> list[rest.PointValue]:
        found: list[rest.PointValue] = []
        for chunk in _chunks(points):
            found += self._get(rest.PointsPage, "/api/points", {"id": chunk}).points
        return found

    def history(
        self, points: Sequence[str], start_ns: int, end_ns: int | None, max_rows: int | None
    ) -> pa.Table:
        import pyarrow as pa

        if not points:
            raise InvalidError(Problem("no point is named", "points", "name at least one"))
        tables: list[pa.Table] = []
        for chunk in _chunks(points):
            params: dict[str, Any] = {"point": chunk, "start": str(start_ns)}
            if end_ns is not None:
                params["end"] = str(end_ns)
            if max_rows is not None:
                params["max_rows"] = max_rows
            response = self._ask("GET", "/api/history", params=params, headers={"Accept": ARROW})
            tables.append(pa.ipc.open_stream(response.content).read_all())
        return tables[0] if len(tables) == 1 else _joined(tables)

    def as_of(
        self, points: Sequence[str], time_ns: int | None, position: str | None
    ) -> list[rest.PointValue]:
        at = {"time": str(time_ns)} if position is None else {"position": position}
        found: list[rest.PointValue] = []
        for chunk in _chunks(points):
            found += self._get(rest.AsOf, "/api/asof", {**at, "point": chunk}).points
        return found

    def changes(self, after: str, limit: int) -> rest.ChangesPage:
        return self._get(rest.ChangesPage, "/api/changes", {"after": after, "limit": limit})

    def edit(self, edits: Sequence[Edit], reason: str) -> str:
        body = {"edits": [to_plain(edit, tagged=True) for edit in edits], "reason": reason}
        return self._ask("POST", "/api/edits", json=body).json()["position"]

    def attach(
        self, twin_id: str, path: Path, name: str, purpose: str, scale: float, up: str
    ) -> Blob:
        params = {
            "twin": twin_id,
            "name": name or path.name,
            "as": purpose,
            "scale": scale,
            "up": up,
        }
        size = path.stat().st_size
        if size > rest.FILE_BYTES_MAX:
            mend = f"attach at most {rest.FILE_BYTES_MAX >> 20} MiB"
            raise InvalidError(Problem(f"{size} bytes are too many", str(path), mend))
        with open(path, "rb") as file:
            headers = {"content-length": str(size)}
            answer = self._ask("POST", "/api/blobs", params=params, content=file, headers=headers)
        return from_plain(Blob, answer.json()["blob"])

    def file(self, sha256: str) -> bytes:
        return self._ask("GET", f"/api/blobs/{quote(sha256)}").content

    def command(self, request: rest.CommandRequest) -> Command:
        body = msgspec.to_builtins(request)
        return from_plain(Command, self._ask("POST", "/api/commands", json=body).json())

    def command_of(self, command_id: str, wait_s: float) -> Command:
        path = f"/api/commands/{quote(command_id)}"
        answer = self._ask("GET", path, params={"wait_s": max(0.0, min(wait_s, 30.0))})
        return from_plain(Command, answer.json())

    def commands(self) -> list[Command]:
        plain = self._ask("GET", "/api/commands", params={"limit": 1000}).json()["commands"]
        return [from_plain(Command, one) for one in plain]

    def events(self, twin: str | None, active: bool | None) -> list[Event]:
        params: dict[str, Any] = {"limit": 10_000}
        if twin is not None:
            params["twin"] = twin
        if active is not None:
            params["active"] = active
        plain = self._ask("GET", "/api/events", params=params).json()["events"]
        return [from_plain(Event, one) for one in plain]

    def acknowledge(self, event_id: str, comment: str) -> Event:
        path = f"/api/events/{quote(event_id)}/acknowledge"
        return from_plain(Event, self._ask("POST", path, json={"comment": comment}).json())

    def sources(self) -> list[rest.Source]:
        return self._get(list[rest.Source], "/api/sources")

    def trust(self, source: str, fingerprint: str) -> rest.Source:
        path = f"/api/sources/{quote(source)}/trust"
        answer = self._ask("POST", path, json={"fingerprint": fingerprint})
        return msgspec.convert(answer.json(), rest.Source)

    def subscribe(self, points: Sequence[str]) -> RemoteUpdates:
        handles = [value.handle for value in self.read(points)]
        if not handles:
            raise InvalidError(Problem("no point is named", "points", "name at least one"))
        return RemoteUpdates(self.place, self._token, handles)

    def notes(self, twin: str | None) -> list[authoring.NoteRow]:
        params = {"limit": 10_000} | ({"twin": twin} if twin is not None else {})
        return self._get(authoring.NotesPage, "/api/notes", params).notes

    def tasks(
        self, twin: str | None, state: str | None, owner: str | None
    ) -> list[authoring.TaskRow]:
        asked = {"twin": twin, "state": state, "owner": owner, "limit": 10_000}
        params = {name: value for name, value in asked.items() if value is not None}
        return self._get(authoring.TasksPage, "/api/tasks", params).tasks

    def document(self, twin: str) -> bytes:
        found = self._get(authoring.Document, "/api/notes/document", {"twin": twin})
        return base64.b64decode(found.update)

    def write_about(self, twin: str, update: bytes) -> str:
        said = {"twin": twin, "update": base64.b64encode(update).decode()}
        return self._ask("POST", "/api/notes", json=said).json()["position"]

    def meet(self, name: str, place: str) -> Meeting:
        headers = {"Authorization": f"Bearer {self._token}"}
        return Meeting(self.place, headers, name, place)

    def sql(self, query: str, rows: int, time_s: float) -> tuple[pa.Table, bool]:
        import pyarrow as pa

        body = {"sql": query, "rows": rows, "time_s": time_s}
        answer = self._ask("POST", "/api/sql", json=body, headers={"Accept": ARROW})
        table = pa.ipc.open_stream(answer.content).read_all()
        return table, answer.headers.get("x-is-cut") == "true"

    def save_history(
        self, points: Sequence[str], start_ns: int, end_ns: int | None, path: Path, zone: str
    ) -> None:
        params: dict[str, Any] = {"point": list(points), "start": str(start_ns), "zone": zone}
        if end_ns is not None:
            params["end"] = str(end_ns)
        address = f"/api/export/history{path.suffix}"
        new = path.with_name(f".{path.name}.part")
        try:
            with self._http.stream("GET", address, params=params) as answer, new.open("wb") as file:
                if answer.is_error:
                    answer.read()
                    raise of_status(answer.status_code, _problem(answer))
                for piece in answer.iter_bytes():
                    file.write(piece)
            new.replace(path)
        except httpx.HTTPError as error:
            problem = Problem(f"the server did not send it all ({error})", self.place, "try again")
            raise UnreachableError(problem) from error
        finally:
            new.unlink(missing_ok=True)

    def close(self) -> None:
        self._http.close()


class RemoteUpdates:
    """A stream of the values of some points. Comes back by itself when the server does."""

    def __init__(self, url: str, token: str, handles: list[int]) -> None:
        self._url = url.replace("http", "ws", 1) + messages.STREAM_PATH
        self._headers = {"Authorization": f"Bearer {token}"}
        self._handles = handles
        self._position: str | None = None
        self._pending: set[int] = set()
        self._asked = 0
        self._closing = threading.Event()
        self._connections = contextlib.ExitStack()
        self._socket: ClientConnection | None = self._open()

    def _open(self) -> ClientConnection:
        try:
            connection = connect_socket(
                self._url, additional_headers=self._headers, compression=None, max_size=None,
                proxy=None,
            )  # fmt: skip
        except InvalidStatus as error:
            problem = Problem("the server refuses the stream", self._url, "connect again")
            raise NotAllowedError(problem) from error
        except (OSError, TimeoutError, ConnectionClosed) as error:
            problem = Problem(f"no server answers ({error})", self._url, "is it running?")
            raise UnreachableError(problem) from error
        socket = self._connections.enter_context(connection)
        hello = messages.Hello(resume=self._position, watch=self._handles)
        socket.send(messages.encode(hello).decode())
        return socket

    def __iter__(self) -> Iterator[list[rest.PointValue]]:
        while True:
            try:
                yield self.next(None)
            except EOFError:
                return

    def next(self, timeout_s: float | None) -> list[rest.PointValue]:
        """See `access.Updates`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        tries = 0
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError("nothing new came in time")
            try:
                if self._closing.is_set():
                    raise EOFError("the subscription was closed")
                if self._socket is None:
                    self._socket = self._open()
                    tries = 0
                found = self._hear(self._socket.recv(left))
            except (ConnectionClosed, UnreachableError) as error:
                self._lost(error, tries)
                tries += 1
                continue
            if found:
                return found

    def _lost(self, error: Exception, tries: int) -> None:
        if isinstance(error, ConnectionClosed) and error.rcvd and error.rcvd.code in (4401, 4403):
            problem = Problem("the session has ended", self._url, "connect again")
            raise NotAllowedError(problem) from error
        self._socket = None
        self._connections.close()
        if self._closing.wait(RETRY_S[min(tries, len(RETRY_S) - 1)]):
            raise EOFError("the subscription was closed") from error

    def _hear(self, data: str | bytes) -> list[rest.PointValue]:
        """What a message tells of the points; frames are asked about, to know exactly."""
        if isinstance(data, bytes):
            frame = binary.decode(data)
            self._pending.update(frame.handle.tolist())
            if not frame.flags & binary.MORE:
                self._position = f"{frame.epoch}:{frame.sequence}"
            self._ask()
            return []
        message = messages.read_server(data)
        if not isinstance(message, messages.Exact):
            return []
        self._asked = 0
        self._ask()
        return message.values

    def _ask(self) -> None:
        if self._asked or not self._pending or self._socket is None:
            return
        handles = sorted(self._pending)[:EXACT_MAX]
        self._pending.difference_update(handles)
        self._asked = len(handles)
        self._socket.send(messages.encode(messages.AskExact(1, handles)).decode())

    def close(self) -> None:
        """See `access.Updates`."""
        self._closing.set()
        self._connections.close()


def _problem(response: httpx.Response) -> Problem:
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        return Problem(f"the server answered {response.status_code}", str(response.url.path), "")


def _chunks(points: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(points), POINTS_A_REQUEST):
        yield list(points[start : start + POINTS_A_REQUEST])


def _spelt(value: Any) -> str:
    """A value as the server reads it back: texts that would be read as JSON are quoted."""
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return msgspec.json.encode(value).decode()


def _joined(tables: list[pa.Table]) -> pa.Table:
    import pyarrow as pa

    kinds = {table.schema.field("value").type for table in tables}
    if len(kinds) > 1:
        if not all(pa.types.is_primitive(kind) for kind in kinds):
            mend = "ask for texts and numbers one after the other"
            raise InvalidError(Problem("so many points of several kinds", "points", mend))
        at = [table.schema.get_field_index("value") for table in tables]
        tables = [
            table.set_column(i, "value", table.column(i).cast(pa.float64()))
            for i, table in zip(at, tables, strict=True)
        ]
    units: dict[bytes, bytes] = {}
    for table in tables:
        units.update(table.schema.metadata or {})
    plain = [table.replace_schema_metadata() for table in tables]
    return pa.concat_tables(plain, promote_options="default").replace_schema_metadata(units)
