"""A site's own words as those of a source here: its twins below the source's name.

Of what a site says, only what a source may say is taken: types, twins, points, properties, names,
places and relations of its own twins. Arms, sheets and assets are the site's own affair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mirrorworld.plane.wire import BrokenMessage
from mirrorworld.world.changes import (
    DropProperty,
    DropRelation,
    DropTwin,
    Edit,
    Event,
    PutName,
    PutPointAbout,
    PutPoints,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
    PutTypeOf,
    Unsay,
)
from mirrorworld.world.model import PART_OF, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.plain import from_tagged

SITE_TYPE: Final = TwinType(
    "mirrorworld:Site",
    Text((("en", "Site"), ("de", "Standort"))),
    description=Text((("en", "A world elsewhere that is mirrored from its own record"),)),
)

_OF_TWIN: Final = (
    DropProperty,
    PutName,
    PutPointAbout,
    PutPoints,
    PutProperty,
    PutTypeOf,
    Unsay,
)


class Words:
    """Translates for one source."""

    def __init__(self, source: str) -> None:
        self.source = source

    def root(self, site: str) -> list[Edit]:
        """The twin that stands for the site itself."""
        twin = Twin(self.source, SITE_TYPE.id, Text.of(site), (Property("site", site),))
        return [PutType(SITE_TYPE), PutTwin(twin)]

    def twin(self, id: str) -> str:
        """A twin's id here."""
        return f"{self.source}/{id}"

    def edit(self, edit: Edit) -> Edit | None:
        """An edit as it is said here; None for one that is the site's own affair."""
        match edit:
            case PutType(type=type_):
                return PutType(dataclasses.replace(type_, geometry=""))
            case PutTwin(twin=twin):
                return PutTwin(dataclasses.replace(twin, id=self.twin(twin.id), geometry=""))
            case DropTwin(id=id):
                return DropTwin(self.twin(id))
            case PutPose():
                return dataclasses.replace(edit, twin=self.twin(edit.twin), geometry="")
            case PutRelation(relation=relation):
                return PutRelation(
                    dataclasses.replace(
                        relation,
                        source=self.twin(relation.source),
                        target=self.twin(relation.target),
                    )
                )
            case DropRelation():
                return dataclasses.replace(
                    edit, source=self.twin(edit.source), target=self.twin(edit.target)
                )
            case _ if isinstance(edit, _OF_TWIN):
                return dataclasses.replace(edit, twin=self.twin(edit.twin))
            case _:
                return None

    def edits(self, edits: Iterable[Edit]) -> list[Edit]:
        """Those of the edits that are said here."""
        return [said for edit in edits if (said := self.edit(edit)) is not None]

    def below_root(self, edits: Sequence[Edit]) -> list[Edit]:
        """Relations that put what is part of nothing below the site itself; of translated edits."""
        twins = [edit.twin.id for edit in edits if isinstance(edit, PutTwin)]
        parts = {
            edit.relation.source
            for edit in edits
            if isinstance(edit, PutRelation) and edit.relation.kind == PART_OF
        }
        loose = [twin for twin in twins if twin not in parts and twin != self.source]
        return [PutRelation(Relation(PART_OF, twin, self.source)) for twin in loose]

    def event(self, event: Event) -> Event:
        """An event as it is said here."""
        twin = self.twin(event.twin) if event.twin else self.source
        return dataclasses.replace(event, id=f"{self.source}/{event.id}", twin=twin)

    def past_event(self, event: Event, sequence: int) -> Event:
        """An event that was, and says nothing of how it stands now."""
        said = self.event(event)
        was = Property("was_active", event.is_active)
        return dataclasses.replace(
            said,
            id=f"{said.id}@{sequence}",
            is_active=False,
            is_latched=False,
            properties=(*said.properties, was),
        )


def plain_edits(rows: Iterable[Any]) -> list[Edit]:
    """Edits of their plain form; BrokenMessage if one is none."""
    return [_plain(row, Edit) for row in rows]


def plain_events(rows: Iterable[Any]) -> list[Event]:
    """Events of their plain form; BrokenMessage if one is none."""
    return [_plain(row, Event) for row in rows]


def _plain(row: Any, cls: Any) -> Any:
    try:
        value = from_tagged(row, "the structure of a site")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BrokenMessage(f"an edit cannot be read: {error}") from error
    if not isinstance(value, cls):
        raise BrokenMessage(f"{type(value).__name__} does not belong here")
    return value
