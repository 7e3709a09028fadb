"""Twins and points as objects. They hold names, not copies: `point.value` asks each time."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mirrorworld import attachments
from mirrorworld.client import acts, show
from mirrorworld.client.access import Access
from mirrorworld.client.acts import Command, Subscription
from mirrorworld.client.errors import InvalidError, NotFoundError
from mirrorworld.client.files import Document
from mirrorworld.client.tables import as_frame
from mirrorworld.client.times import Time, nanoseconds, when
from mirrorworld.client.values import As, Values
from mirrorworld.protocol import rest
from mirrorworld.protocol.rest import LEAST_ROWS, PointValue, Problem
from mirrorworld.world.changes import Unsay
from mirrorworld.world.model import Blob, Property, Relation, Scalar
from mirrorworld.world.model import Twin as TwinModel
from mirrorworld.world.plain import from_plain


class Twins(list["Twin"]):
    """Twins that a query found, in order of declaration."""

    def __init__(self, access: Access, rows: Iterable[rest.TwinRow]) -> None:
        self.rows = list(rows)
        super().__init__(Twin(access, row.id) for row in self.rows)

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [row.id for row in self.rows]

    def _repr_html_(self) -> str:
        return show.twins(self.rows)


class Twin:
    """One twin. Everything but its id is fetched when it is first asked for; `refresh` again."""

    def __init__(self, access: Access, id: str, detail: rest.TwinDetail | None = None) -> None:
        self._access = access
        self._detail = detail
        self.id = id

    @property
    def detail(self) -> rest.TwinDetail:
        """Everything known of it, when it was last fetched."""
        if self._detail is None:
            self.refresh()
        assert self._detail is not None
        return self._detail

    def refresh(self) -> Twin:
        """Fetches again what is known of it."""
        self._detail = self._access.twin(self.id)
        return self

    @property
    def model(self) -> TwinModel:
        """The twin as the kernel's value."""
        return from_plain(TwinModel, self.detail.twin)

    @property
    def type(self) -> str:
        """Id of its type."""
        return self.model.type

    @property
    def name(self) -> str:
        """Its name, in English where it has one."""
        return self.model.name.best("en") or self.id

    @property
    def properties(self) -> dict[str, Property]:
        """Its properties at the top, by name."""
        return {prop.name: prop for prop in self.model.properties}

    @property
    def points(self) -> dict[str, Point]:
        """Its points by name."""
        values = (point.value for point in self.detail.points)
        return {v.name: Point(self._access, v.id, v.twin, v.name) for v in values}

    def __getitem__(self, point: str) -> Point:
        """The point of that name."""
        found = self.points.get(point)
        if found is None:
            have = ", ".join(self.points) or "none"
            raise NotFoundError(Problem(f"there is no point '{point}'", self.id, f"it has {have}"))
        return found

    @property
    def operations(self) -> list[str]:
        """Names of its operations."""
        return [operation.type["name"] for operation in self.detail.operations]

    @property
    def relations(self) -> list[Relation]:
        """Its relations, those that start at it first."""
        both = (*self.detail.relations_out, *self.detail.relations_in)
        return [from_plain(Relation, one) for one in both]

    @property
    def documents(self) -> list[Document]:
        """The files that are attached to it now."""
        found = attachments.documents_of(self.refresh().model)
        return [Document(self._access, self.id, blob) for blob in found]

    def attach(self, path: str | Path, *, name: str = "") -> Document:
        """Attaches a file: PDF, PNG, JPEG, WebP, GIF, UTF-8 text or glTF, by its content.

        Args:
            name: what it is called; "": as the file is.

        Raises:
            InvalidError: it is nothing that is taken; HTML, SVG and XML never are.
        """
        blob = self._send(path, name, "document")
        return Document(self._access, self.id, blob)

    def set_model(self, path: str | Path, *, scale: float = 1.0, up: str = "y") -> None:
        """Lets it look like a glTF file that holds everything itself (`.glb`).

        Args:
            scale: metres of one unit in the file: 0.001 where it is in millimetres.
            up: the axis that is up in it, "y" (glTF) or "z" (many CAD programs).

        Raises:
            InvalidError: it is broken, too large, or needs what lies outside of it.
        """
        self._send(path, "", "model", scale, up)

    def remove_model(self) -> str:
        """Lets it look again as its source or type says; returns the durable position."""
        position = self._access.edit([Unsay(self.id, "PutGeometry")], "")
        self._detail = None
        return position

    def _send(
        self, path: str | Path, name: str, purpose: str, scale: float = 1.0, up: str = "y"
    ) -> Blob:
        sent = self._access.attach(self.id, Path(path), name, purpose, scale, up)
        self._detail = None
        return sent

    def read(self) -> Values:
        """Latest values of all its points."""
        return Values(point.value for point in self.refresh().detail.points)

    def call(self, operation: str, *, reason: str = "", **arguments: Scalar) -> Command:
        """See `World.call`."""
        return acts.call(self._access, self.id, operation, arguments, reason=reason)

    def __repr__(self) -> str:
        return f"<Twin {self.id}>"

    def _repr_html_(self) -> str:
        return show.twin(self.refresh().detail)


class Point:
    """One live signal. `value`, `quality` and `time` ask each time; `read` gives all at once."""

    def __init__(self, access: Access, id: str, twin: str, name: str) -> None:
        self._access = access
        self.id = id
        """`twin.point`."""
        self.twin = twin
        self.name = name

    def read(self) -> PointValue:
        """The latest value, with all that is known of it."""
        (value,) = self._access.read([self.id])
        return value

    @property
    def value(self) -> rest.AnyValue:
        """The latest value; None: there is none yet, or no number."""
        return self.read().value

    @property
    def quality(self) -> str:
        """Name of the OPC UA status, `"Good"`."""
        return self.read().quality_name

    @property
    def time(self) -> datetime.datetime | None:
        """When the source says it was so (UTC); None: never."""
        return when(self.read().source_ns)

    @property
    def unit(self) -> str:
        """UCUM."""
        return self.read().unit

    def history(
        self,
        start: Time = None,
        end: Time = None,
        max_rows: int | None = None,
        *,
        as_: As = "arrow",
    ) -> Any:
        """See `World.history`."""
        return history(self._access, [self.id], start, end, max_rows, as_)

    def write(self, value: Scalar, *, reason: str = "", **more: Any) -> Command:
        """See `World.write`."""
        return acts.write(self._access, self.twin, self.name, value, reason=reason, **more)

    def subscribe(self) -> Subscription:
        """See `World.subscribe`."""
        return Subscription(self._access.subscribe([self.id]))

    def __repr__(self) -> str:
        return f"<Point {self.id}>"

    def _repr_html_(self) -> str:
        return show.values([self.read()])


Points = str | Point | Twin | Iterable[str | Point | Twin]
"""A point by name or object, all points of a twin, or several of those."""


def names_of(points: Points) -> list[str]:
    """The names of points, `twin.point`."""
    if isinstance(points, str):
        return [points]
    if isinstance(points, Point):
        return [points.id]
    if isinstance(points, Twin):
        return [point.value.id for point in points.detail.points]
    return [name for one in points for name in names_of(one)]


def history(
    access: Access, points: list[str], start: Time, end: Time, max_rows: int | None, as_: As
) -> Any:
    """See `World.history`."""
    if max_rows is not None and max_rows < LEAST_ROWS:
        mend = f"ask for {LEAST_ROWS} or more"
        raise InvalidError(Problem(f"{max_rows} rows cannot show a series", "max_rows", mend))
    start_ns = nanoseconds(start) if start is not None else 0
    end_ns = nanoseconds(end) if end is not None else None
    return as_frame(access.history(points, start_ns, end_ns, max_rows), as_)
