"""Boards: what a sheet of kind `board` says, as the page composes it, read and checked.

    {"version": 1, "tiles": [{"@": "ValueTile", "id": "a1", "x": 0, "y": 0, "w": 3, "h": 3,
                              "point": {"twin": "line1/filler", "point": "level"}}]}

Knows shapes and bounds; refuses to know whether the twins that a board names are there, since
they come and go, and who looks may not see them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, cast

from mirrorworld.protocol import written
from mirrorworld.world.model import Sheet
from mirrorworld.world.plain import from_plain

KIND: Final = "board"
VERSION: Final = 1
TILES_MAX: Final = 200
COLUMNS: Final = 12
ROWS_MAX: Final = 2_000
TILE_ROWS_MAX: Final = 40
POINTS_MAX: Final = 8
TITLE_LENGTH_MAX: Final = 120
TEXT_LENGTH_MAX: Final = 4_000
SPAN_S_MIN: Final = 60
SPAN_S_MAX: Final = 30 * 86_400
_METRES_MAX: Final = 1e7


@dataclass(frozen=True, slots=True)
class PointAt:
    """A point by name: it means the same after its source was declared anew."""

    twin: str
    point: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tile:
    id: str
    """Stays the tile's own, so that two people can work on one board."""
    x: int
    """First column, 0 to 11."""
    y: int
    """First row."""
    w: int
    """Columns that it takes."""
    h: int
    """Rows that it takes."""
    title: str = ""
    """Empty: the tile says by itself what it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueTile(_Tile):
    """A point as a big number, with its unit, quality and age."""

    point: PointAt
    spark: bool = True
    """Whether the last minutes are drawn below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeTile(_Tile):
    """A point as a bar against its range and its alarm limits."""

    point: PointAt


@dataclass(frozen=True, slots=True, kw_only=True)
class StateTile(_Tile):
    """A point that is one of a few states, as a word and a colour."""

    point: PointAt


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendTile(_Tile):
    """Points over time."""

    points: tuple[PointAt, ...]
    span_s: int = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class TableTile(_Tile):
    """Twins as rows, chosen points as columns: those of a type, below a twin, or both."""

    points: tuple[str, ...]
    """Names of points, in the order of the columns."""
    type: str = ""
    """Id of a type; twins of types that extend it too."""
    subtree: str = ""
    """Id of a twin; it and what is below it."""
    sort: str = ""
    """Name of a point; empty: by the twins' names."""
    is_descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsTile(_Tile):
    """Active alarms, the most urgent first."""

    subtree: str = ""
    severity: int = 1
    """The least that is listed: 1 low, 2 medium, 3 high."""


@dataclass(frozen=True, slots=True)
class CameraAt:
    """Where one stands in the scene and what one looks at, in metres, y upwards."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTile(_Tile):
    """The 3D scene, seen from a saved place or flown to a twin. One on a board."""

    focus: str = ""
    camera: CameraAt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTile(_Tile):
    """Words, as they are written: no markup."""

    text: str = ""


Tile = ValueTile | GaugeTile | StateTile | TrendTile | TableTile | AlarmsTile | SceneTile | TextTile
_TILES: Final[dict[str, type[Tile]]] = {
    cls.__name__: cls
    for cls in (
        ValueTile,
        GaugeTile,
        StateTile,
        TrendTile,
        TableTile,
        AlarmsTile,
        SceneTile,
        TextTile,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """A board as it is written down."""

    tiles: tuple[Tile, ...] = ()
    version: int = VERSION


def read(sheet: Sheet) -> Board:
    """The board of a sheet.

    Raises:
        ValueError: it is none; the message names the board, the place in it and the mend.
    """
    place = written.place_of(sheet)
    known = written.opened(sheet, ("tiles",), VERSION)
    rows = written.rows(known, "tiles", TILES_MAX, sheet)
    found = tuple(_tile(row, f"{place}.tiles[{i}]") for i, row in enumerate(rows))
    written.own_ids([tile.id for tile in found], "tiles", "tile", sheet)
    if sum(isinstance(tile, SceneTile) for tile in found) > 1:
        raise ValueError(f"{place}.tiles: one SceneTile on a board; there is one scene")
    return Board(found)


def _tile(plain: Any, place: str) -> Tile:
    kind = cast("dict[str, Any]", plain).get("@") if isinstance(plain, dict) else None
    cls = _TILES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(f"{place}: '@' is {kind!r:.40}; it may be {', '.join(_TILES)}")
    tile = from_plain(cls, plain, place)
    written.within(tile.x, 0, COLUMNS - 1, f"{place}.x")
    written.within(tile.w, 1, COLUMNS - tile.x, f"{place}.w")
    written.within(tile.y, 0, ROWS_MAX, f"{place}.y")
    written.within(tile.h, 1, TILE_ROWS_MAX, f"{place}.h")
    written.short(tile.title, TITLE_LENGTH_MAX, f"{place}.title")
    match tile:
        case ValueTile(point=point) | GaugeTile(point=point) | StateTile(point=point):
            _named(point, f"{place}.point")
        case TrendTile(points=points):
            written.within(len(points), 1, POINTS_MAX, f"{place}.points")
            for i, each in enumerate(points):
                _named(each, f"{place}.points[{i}]")
            written.within(tile.span_s, SPAN_S_MIN, SPAN_S_MAX, f"{place}.span_s")
        case TableTile(points=points):
            written.within(len(points), 1, POINTS_MAX, f"{place}.points")
            for i, name in enumerate((*points, tile.type, tile.subtree, tile.sort)):
                written.short(
                    name,
                    written.ID_LENGTH_MAX,
                    f"{place}.points[{i}]" if i < len(points) else place,
                )
            if not tile.type and not tile.subtree:
                raise ValueError(f"{place}: say which twins: give type, subtree or both")
        case AlarmsTile():
            written.short(tile.subtree, written.ID_LENGTH_MAX, f"{place}.subtree")
            written.within(tile.severity, 1, 3, f"{place}.severity")
        case SceneTile():
            written.short(tile.focus, written.ID_LENGTH_MAX, f"{place}.focus")
            if tile.camera is not None:
                check_camera(tile.camera, f"{place}.camera")
        case TextTile():
            written.short(tile.text, TEXT_LENGTH_MAX, f"{place}.text")
    return tile


def check_camera(camera: CameraAt, place: str) -> None:
    """Raises ValueError where a place in the scene is none."""
    metres = (*camera.position, *camera.target)
    if not all(math.isfinite(m) and abs(m) < _METRES_MAX for m in metres):
        raise ValueError(f"{place}: finite metres were expected")


def _named(point: PointAt, place: str) -> None:
    if not point.twin or not point.point:
        raise ValueError(f"{place}: the id of a twin and the name of a point were expected")
    written.short(point.twin, written.ID_LENGTH_MAX, f"{place}.twin")
    written.short(point.point, written.ID_LENGTH_MAX, f"{place}.point")
