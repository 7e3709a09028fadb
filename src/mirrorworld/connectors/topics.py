"""Which twins and points a broker's topics have become, and what is still to be declared.

    site/line1/filler        an object     → twin `source/site/line1/filler`, its fields are points
    site/line1/filler/level  one value     → point `level` of the same twin

Every level above is a twin too, and each is part of the one above it. Knows names and bounds;
refuses to know payloads.
"""

from __future__ import annotations

from typing import Final

from mirrorworld.connectors.guesses import iri_level
from mirrorworld.connectors.seen import NO_HANDLE, SeenTwins
from mirrorworld.world.changes import Severity
from mirrorworld.world.model import PointType, Property, Text, Twin, TwinType
from mirrorworld.world.ports import Sink

__all__ = ["BROKER_TYPE", "NO_HANDLE", "NO_TWIN", "TOPIC_TYPE", "TopicTwins"]

NO_TWIN: Final = ""

TOPIC_TYPE: Final = TwinType(
    "mqtt:Topic",
    Text((("en", "MQTT topic"),)),
    description=Text((("en", "One level of a broker's topics, or what is published there"),)),
)
BROKER_TYPE: Final = TwinType(
    "mqtt:Broker",
    Text((("en", "MQTT broker"),)),
    description=Text((("en", "A broker whose topics are mirrored"),)),
)


class TopicTwins(SeenTwins):
    """The twins of one broker, or of another source whose names are paths.

    Attributes:
        root_type, level_type: of what type the source itself is, and each level of a path.
        word: what a path is called.
    """

    root_type = BROKER_TYPE
    level_type = TOPIC_TYPE
    word = "topic"

    def __init__(self, source: str, max_points: int) -> None:
        super().__init__(source, max_points)
        self._of_topic: dict[str, str] = {}
        self.put_type(self.root_type)
        self.put_type(self.level_type)
        root = Twin(source, self.root_type.id, Text.of(source))
        self.put(root, "", f"the {self.root_type.name.best('en')} itself")

    # --- topics to twins

    @property
    def _is_full(self) -> bool:
        """Whether new topics become twins no more: they could have no point, or are too many."""
        return self.n_points >= self.max_points or len(self.twins) >= 4 * self.max_points + 100

    def add(self, twin: str, point: PointType, sink: Sink) -> bool:
        """See SeenTwins; nothing is added to a topic that became no twin."""
        if twin == NO_TWIN:
            sink.count("over_max_points")
            return False
        return super().add(twin, point, sink)

    def of_object(self, topic: str) -> str:
        """The twin of a topic that carries objects; `NO_TWIN` if there are too many."""
        return self._topic_twin(
            topic.split("/"), "its payloads are objects: their fields are points"
        )

    def of_scalar(self, topic: str) -> tuple[str, str]:
        """(twin, point) of a topic that carries one value: the point is the last level, and the
        twin `NO_TWIN` if there are too many."""
        *levels, leaf = topic.split("/")
        return self._topic_twin(levels, "topics right below carry one value each: its points"), leaf

    def _topic_twin(self, levels: list[str], guess: str) -> str:
        topic = "/".join(levels)
        known = self._of_topic.get(topic)
        if known is None:
            whole = "/".join((self.source, *map(iri_level, levels)))
            if self._is_full and whole not in self.twins:
                self.report(
                    self.source,
                    "",
                    "too_many_points",
                    f"more than max_points={self.max_points} names: {self.word} '{topic}' and"
                    f" others are left out; raise max_points or {self.narrower}",
                    Severity.MEDIUM,
                )
                return NO_TWIN
            known = self.source
            for i, level in enumerate(levels):
                parent, known = known, f"{known}/{iri_level(level)}"
                if known not in self.twins:
                    path = "/".join(levels[: i + 1])
                    twin = Twin(
                        known,
                        self.level_type.id,
                        Text.of(level or "(empty level)"),
                        (Property(self.word, path),),
                    )
                    self.put(twin, parent, f"level of {self.word} '{path}'")
            self._of_topic[topic] = known
        if levels and known != NO_TWIN:
            self.guesses[known] = f"{self.word} '{topic}': {guess}"
        return known
