"""Values of several points at one moment."""

from __future__ import annotations

from typing import Any, Literal

from mirrorworld.client import show
from mirrorworld.client.errors import NotFoundError
from mirrorworld.client.tables import as_frame, values_table
from mirrorworld.protocol.rest import PointValue, Problem

As = Literal["arrow", "pandas", "polars"]


class Values(list[PointValue]):
    """Values of points at one moment."""

    def __getitem__(self, which: Any) -> Any:
        """By number, or by the point's name (`twin.point`)."""
        if isinstance(which, str):
            for value in self:
                if value.id == which:
                    return value
            have = ", ".join(value.id for value in self[:8])
            raise NotFoundError(Problem(f"there is no '{which}' among these", "", f"have {have}"))
        return super().__getitem__(which)

    def table(self, as_: As = "arrow") -> Any:
        """As a table: point, value, text, unit, quality, time, origin, by."""
        return as_frame(values_table(self), as_)

    def _repr_html_(self) -> str:
        return show.values(self)
