"""How requests are read: times, points, positions, queries. Each error names the parameter."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from fastapi import Request, Response
from numpy.typing import NDArray

from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Position
from mirrorworld.world.model import Scalar
from mirrorworld.world.query import Query
from mirrorworld.world.world import World

TIME_MAX_NS: Final = 1 << 62
T = TypeVar("T")
_JSON: Final = "send Content-Type: application/json"
_COMPARISON: Final = re.compile(r"(.+?)(==|!=|<=|>=|<|>)(.*)", re.DOTALL)


def json_answer(value: Any, status: int = 200) -> Response:
    """A response of one of the protocol's shapes."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


# What routes depend on is asynchronous though it waits for nothing: FastAPI sends plain functions
# through a thread, which costs more than most routes do.


async def context(request: Request) -> Context:
    """What the application was made with; or that of a branch, where one is asked."""
    of_branch = getattr(request.state, "context", None)
    return request.app.state.context if of_branch is None else of_branch


async def sight(request: Request) -> Sight:
    """What the one who asks may see; 403 where it may not see the world at all."""
    found = (await context(request)).sights.of(request.state.principal)
    if not found.sees(""):
        raise Refused(403, f"{found.who.id} may not see this world", "session", "ask its owner")
    return found


def check_json(request: Request) -> None:
    """422 where a body does not say that it is JSON: what a foreign form can send is not read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    main, _, sub = kind.partition("/")
    if main != "application" or not (sub == "json" or sub.endswith("+json")):
        raise Refused(422, "this body does not say that it is JSON", "header Content-Type", _JSON)


def body(text: bytes, shape: type[T]) -> T:
    """What a body or a message says, in one of the protocol's shapes; 422 says where it does not
    fit."""
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        said, _, place = str(error).partition(" - at `$")
        raise Refused(422, said, place.strip(".`") or "body", "see /api/openapi.json") from error


def time_ns(text: str, place: str) -> int:
    """Nanoseconds of `1732262400000000000` or of an ISO 8601 time (UTC where it names no zone)."""
    try:
        if text.lstrip("-").isdigit():
            time = int(text)
        else:
            read = datetime.datetime.fromisoformat(text.replace(" ", "+"))
            read = read if read.tzinfo else read.replace(tzinfo=datetime.UTC)
            since = read - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
            time = (since // datetime.timedelta(microseconds=1)) * 1_000
    except (ValueError, OverflowError) as error:
        mend = "write 2026-11-22T08:00:00Z or nanoseconds since 1970"
        raise Refused(422, f"'{text[:60]}' is no time", place, mend) from error
    if abs(time) > TIME_MAX_NS:
        raise Refused(422, f"{text[:60]} is too far away", place, "give nanoseconds since 1970")
    return time


def position(text: str, place: str) -> Position:
    """The position that a text names."""
    try:
        found = Position.parse(text)
    except ValueError as error:
        raise Refused(422, str(error), place, "give a position that an answer gave") from error
    if found.sequence >= 1 << 63 or found.epoch >= 1 << 32:
        raise Refused(422, f"'{text[:60]}' is no position of this world", place, "")
    return found


def twin(world: World, view: Sight, twin_id: str) -> str:
    """The id of a twin that is there and shown."""
    if twin_id not in world.structure.twins or not view.sees(twin_id):
        mend = "GET /api/twins?text=… finds twins by parts of their names"
        raise (
            unknown("twin", twin_id, (), mend)
            if not view.is_whole
            else unknown("twin", twin_id, world.structure.twins, mend)
        )
    return twin_id


def point(world: World, view: Sight, name: str) -> int:
    """The handle of `twin.point`. Both parts may have dots in them, so each is tried."""
    at = len(name)
    while (at := name.rfind(".", 0, at)) >= 0:
        if name[:at] in world.structure.twins:
            twin_id = twin(world, view, name[:at])
            try:
                return world.structure.handle(twin_id, name[at + 1 :])
            except KeyError:
                points = [p.name for p in world.structure.points_of(twin_id)]
                mend = "it has " + ", ".join(points[:8]) if points else "it has no points"
                raise unknown(f"point of {twin_id}", name[at + 1 :], points, mend) from None
    mend = "a point is written twin.point, as in line1/filler.level"
    raise unknown("point", name, (), mend)


def handles(
    world: World,
    view: Sight,
    names: Sequence[str],
    twins: Sequence[str] = (),
    numbers: Sequence[int] = (),
) -> NDArray[np.uint32]:
    """Handles of points by name, of all points of twins, and handles as they are."""
    found = [point(world, view, name) for name in names]
    for twin_id in twins:
        known = twin(world, view, twin_id)
        found += [one.handle for one in world.structure.points_of(known)]
    for number in numbers:
        if not 0 <= number < world.n_points or not view.sees(world.point(number)[0]):
            raise Refused(404, f"there is no point with handle {number}", "handle", "")
        found.append(number)
    return np.array(found, np.uint32)


def query(
    types: Sequence[str],
    text: str,
    properties: Sequence[str],
    related: str | None,
    box: str | None,
) -> Query:
    """The query that parameters spell."""
    compared: list[tuple[str, str, Scalar]] = []
    for condition in properties:
        match = _COMPARISON.fullmatch(condition)
        if match is None:
            mend = "write path==value; also != < <= > >="
            raise Refused(422, f"'{condition[:60]}' compares nothing", "property", mend)
        path, operator, value = match.groups()
        compared.append((path, operator, scalar(value)))
    way: tuple[tuple[str, ...], str] | None = None
    if related is not None:
        path, colon, target = related.partition(":")
        if not (colon and path and target):
            mend = "write feeds/^part_of:twin, the path and then the twin it leads to"
            raise Refused(422, f"'{related[:60]}' is no relation path", "related", mend)
        way = (tuple(path.split("/")), target)
    corners: tuple[float, ...] | None = None
    if box is not None:
        try:
            corners = tuple(float(number) for number in box.split(","))
        except ValueError:
            corners = ()
        if len(corners) != 6 or any(number != number for number in corners):
            mend = "write x0,y0,z0,x1,y1,z1 in metres"
            raise Refused(422, f"'{box[:60]}' is no box", "box", mend)
    return Query(tuple(types), text, tuple(compared), way, corners)  # pyright: ignore[reportArgumentType]


def scalar(text: str) -> Scalar:
    """The value that a text spells: JSON where it is that, else the text itself."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
    return value if isinstance(value, Scalar) else text
