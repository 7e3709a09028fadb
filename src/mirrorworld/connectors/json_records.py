"""JSON that a program answers or posts: which part of it is what, by JSON pointers (RFC 6901).

Without options a document is one twin, its members are points. Options say otherwise:

    items=/machines key=id           each member of a list (or object) is a twin of its own
    points=temp=/t/value,/state      only these are points, by these names
    time=/meta/sampled               this is the time of all

What members mean (kinds, units, times) is guessed as for MQTT (`json_messages.py`). Knows
documents; refuses to know how they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.json_messages import JsonTopics
from mirrorworld.connectors.seen import SeenTwins
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Property, Text, Twin, TwinType
from mirrorworld.world.ports import Sink

ITEMS_MAX: Final = 10_000
TOPIC_CHARS_MAX: Final = 200
RECORD_TYPE: Final = TwinType(
    "json:Record",
    Text((("en", "JSON record"),)),
    description=Text((("en", "What a program answers or posts as JSON"),)),
)


class BadDocument(ValueError):
    """A document that cannot be read as asked. The message says where and why."""


@dataclass(frozen=True, slots=True)
class JsonOptions:
    """Which part of a document is what."""

    points: str = ""
    items: str = ""
    key: str = ""
    time: str = ""

    def check(self) -> None:
        """Raises ValueError that begins with the name of an option that cannot be used."""
        for name, pointer in (("items", self.items), ("time", self.time)):
            if pointer and not pointer.startswith("/"):
                raise ValueError(f"{name}='{pointer}' is no JSON pointer; one reads like /data/0")
        self.chosen()

    def chosen(self) -> list[tuple[str, str]]:
        """(point, pointer) of option `points`."""
        found: list[tuple[str, str]] = []
        for part in filter(None, (part.strip() for part in self.points.split(","))):
            name, equals, pointer = part.partition("=")
            if not equals:
                name, pointer = part.rpartition("/")[2], part
            if not pointer.startswith("/") or not name:
                raise ValueError(
                    f"points='{part}' is no pointer; write name=/a/b or /a/b, with commas between"
                )
            found.append((name.strip(), pointer.strip()))
        return found


class RecordTwins(SeenTwins):
    """The twins of one program's documents."""

    narrower = "choose some with the option points"

    def __init__(self, source: str, max_points: int, what: str) -> None:
        super().__init__(source, max_points)
        self.put_type(RECORD_TYPE)
        self.put(Twin(source, RECORD_TYPE.id, Text.of(source)), "", what)
        self.guesses[source] = f"{what}: its members are points"

    def of_object(self, topic: str) -> str:
        """The twin of a member; of the whole document for ""."""
        if not topic:
            return self.source
        twin = f"{self.source}/{iri_level(topic)}"
        if twin not in self.twins:
            made = Twin(twin, RECORD_TYPE.id, Text.of(topic), (Property("key", topic),))
            self.put(made, self.source, f"member '{topic}' of the document")
        return twin

    def of_scalar(self, topic: str) -> tuple[str, str]:
        """(twin, point) of a document that is one value."""
        return self.of_object(topic), "value"


class JsonRecords:
    """Reads documents into frames."""

    def __init__(
        self,
        twins: RecordTwins,
        options: JsonOptions,
        *,
        zone: ZoneInfo,
        keeps_integers: bool,
        protocol: str,
    ) -> None:
        self.twins = twins
        self._options = options
        self._chosen = options.chosen()
        self._is_whole = not (self._chosen or options.items or options.time)
        self._topics = JsonTopics(
            twins, zone=zone, keeps_integers=keeps_integers, protocol=protocol
        )

    async def frame(self, document: bytes, sink: Sink) -> Frame | None:
        """The samples of a document; declares what is new.

        Raises:
            BadDocument: it is no JSON, or has no list where option `items` says.
        """
        topics, payloads = self._split(document, sink)
        return await self._topics.frame(topics, payloads, set(), sink.now_ns(), sink)

    def _split(self, document: bytes, sink: Sink) -> tuple[list[bytes], list[bytes]]:
        try:
            value = msgspec.json.decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadDocument(f"it is no JSON: {str(error)[:200]}") from None
        except RecursionError:
            raise BadDocument("it is nested too deep") from None
        if self._is_whole:
            return [b""], [document]
        shared: dict[str, Any] = {}
        if self._options.time:
            shared["timestamp"] = at(value, self._options.time)
        if not self._options.items:
            return [b""], [msgspec.json.encode({**self._picked(value, sink), **shared})]
        members = at(value, self._options.items)
        if isinstance(members, dict):
            named = list(members.items())
        elif isinstance(members, list):
            named = [(self._name(member, i), member) for i, member in enumerate(members)]
        else:
            raise BadDocument(f"there is no list or object at items={self._options.items}")
        if len(named) > ITEMS_MAX:
            sink.count("json_items_left_out", len(named) - ITEMS_MAX)
        topics = [name[:TOPIC_CHARS_MAX].encode() for name, _ in named[:ITEMS_MAX]]
        payloads = [
            msgspec.json.encode({**self._picked(member, sink), **shared})
            for _, member in named[:ITEMS_MAX]
        ]
        return topics, payloads

    def _name(self, member: Any, index: int) -> str:
        found = member.get(self._options.key) if isinstance(member, dict) else None
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found):
            return str(found)
        return str(index)

    def _picked(self, value: Any, sink: Sink) -> dict[str, Any]:
        """The chosen points of a value; those that it does not have are left out, and counted."""
        if not self._chosen:
            return value if isinstance(value, dict) else {"value": value}
        found: dict[str, Any] = {}
        for name, pointer in self._chosen:
            one = at(value, pointer)
            if one is None:
                sink.count("json_point_missing")
            else:
                found[name] = one
        return found


def at(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer (RFC 6901 §4); None if nothing does."""
    for raw in pointer.split("/")[1:]:
        step = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10:
            value = value[int(step)] if int(step) < len(value) else None
        else:
            return None
    return value
