"""All rules of a world at work: bound to its twins, looked at together, a few times a second.

A rule's instances with like points are one group: their inputs are gathered as columns, and the
expression runs once for all of them. Only what happens (an alarm raised, a derived value that
moved) becomes an object.

It is a Model (world/ports.py): it reads a world and gives changes; it applies nothing itself.
What it knows of alarms it reads back from the world's own events, so a restart forgets nothing but
how long a delay had lasted.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.rules import lifecycle
from mirrorworld.rules.book import KIND, Alarm, Derive, Rule, read
from mirrorworld.rules.compile import NUMBER, TRUTH, Expression, Input, Now, compile_
from mirrorworld.rules.language import Ref, RuleError, refs
from mirrorworld.world.changes import (
    Change,
    Edits,
    Event,
    Origin,
    OriginKind,
    PutPoints,
)
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import PART_OF, Kind, PointType, Property, Text
from mirrorworld.world.quality import BAD
from mirrorworld.world.world import World

INSTANCES_MAX: Final = 1_000_000
FLOOD: Final = 10
"""More alarms than this in ten minutes are a flood (ISA-18.2 §16.5.3)."""
FLOOD_NS: Final = 600 * 10**9
CHATTER: Final = 3
"""An alarm that is raised more often than this in a minute chatters (§16.5.4)."""
CHATTER_NS: Final = 60 * 10**9
CHATTER_OFF_NS: Final = 60 * 10**9
"""A chattering alarm goes only when its cause has been gone for so long."""
FLOOD_ID: Final = "alarms/flood"
_PLACE: Final = re.compile(r"\{(\w+)\}")


@dataclass(slots=True)
class Trouble:
    """A rule that does not work, or not for some twins."""

    rule: str
    why: str
    twins: int = 0


@dataclass(slots=True)
class Group:
    """Instances of one rule whose points are alike."""

    rule: Rule
    twins: list[str]
    handles: NDArray[np.uint32]
    """(inputs, instances)."""
    kinds: NDArray[np.uint8]
    """(inputs,)"""
    expression: Expression
    until: Expression | None = None
    target: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    """Of derived points: their handles."""
    scale: tuple[float, float] = (1.0, 0.0)
    active: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    since: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Since when the condition differs from what the alarm says; -1: it does not."""
    last: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Cells of derived points as they were given last."""
    last_known: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))


class Engine:
    """The rules of one world.

    Attributes:
        troubles: what does not work, for people to see.
        counts: alarms raised, chattering, floods.
    """

    name = "rules"
    origin = OriginKind.INFERRED

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []
        self.counts = {"raised": 0, "cleared": 0, "chattering": 0, "floods": 0}
        self.groups: list[Group] = []
        self._version = -1
        self._declared: set[tuple[str, str]] = set()
        self._raised: deque[int] = deque()
        self._times: dict[str, deque[int]] = {}
        self._is_flood = False

    @property
    def instances(self) -> int:
        """How many there are of all rules."""
        return sum(len(group.twins) for group in self.groups)

    def step(self, view: World, until_ns: int) -> Iterable[Change]:
        """See `Model`: derived values, and alarms that were raised or are gone."""
        if view.structure.version != self._version:
            yield from self._bind(view, until_ns)
        for group in self.groups:
            yield from self._look(group, view, until_ns)
        yield from self._shelves(view, until_ns)
        yield from self._flood(until_ns)

    # --- binding ---

    def _bind(self, view: World, now_ns: int) -> Iterator[Change]:
        """Finds the twins of all rules anew, and makes their expressions ready."""
        before = {(g.rule.name, t): g for g in self.groups for t in g.twins}
        self.groups, self.troubles = [], []
        declared: list[PutPoints] = []
        for (kind, _), sheet in view.structure.sheets.items():
            if kind != KIND:
                continue
            try:
                rule = read(sheet)
            except ValueError as error:
                self.troubles.append(Trouble(sheet.name, str(error)))
                continue
            if not rule.is_enabled:
                continue
            for group in self._grouped(rule, view, declared):
                self._remember(group, view)
                self.groups.append(group)
        gone = {key for key in before if not any(key[0] == g.rule.name for g in self.groups)}
        for rule_name, twin in gone:
            event = view.events.get(event_id(rule_name, twin))
            if event is not None and event.is_active:
                yield _told(lifecycle.cleared(event, now_ns), now_ns)
        self._version = view.structure.version
        if declared:
            # The points are there from the next look on.
            edits = Edits(tuple(declared), "points of rules")
            yield Change(edits, Origin(OriginKind.INFERRED, self.name), now_ns)

    def _grouped(
        self, rule: Rule, view: World, declared: list[PutPoints], *, is_trial: bool = False
    ) -> Iterator[Group]:
        expression = (
            rule.alarm.when if rule.alarm else rule.derive.expression if rule.derive else None
        )
        assert expression is not None
        nodes = [expression, *([rule.alarm.until] if rule.alarm else [])]
        order = list(dict.fromkeys(ref for node in nodes for ref in refs(node)))
        alike: dict[tuple[Input, ...], list[tuple[str, list[int]]]] = {}
        lacking: dict[str, int] = {}
        for twin in twins_of(rule, view):
            try:
                handles = [_handle(ref, twin, view) for ref in order]
            except KeyError as error:
                lacking[str(error.args[0])] = lacking.get(str(error.args[0]), 0) + 1
                continue
            about = [view.structure.point(handle)[1] for handle in handles]
            key = tuple(Input(p.kind, p.unit, p.labels) for p in about)
            alike.setdefault(key, []).append((twin, handles))
        for why, n in list(lacking.items())[:5]:
            self.troubles.append(Trouble(rule.name, why, n))
        for inputs, members in alike.items():
            if self.instances + len(members) > INSTANCES_MAX:
                why = f"more than {INSTANCES_MAX} instances of rules"
                self.troubles.append(Trouble(rule.name, why, len(members)))
                return
            try:
                yield self._made(rule, order, inputs, members, view, declared, is_trial)
            except (RuleError, units.UnitError) as error:
                self.troubles.append(Trouble(rule.name, str(error), len(members)))

    def _made(
        self,
        rule: Rule,
        order: list[Ref],
        inputs: tuple[Input, ...],
        members: list[tuple[str, list[int]]],
        view: World,
        declared: list[PutPoints],
        is_trial: bool,
    ) -> Group:
        n = len(members)
        twins = [twin for twin, _ in members]
        handles = np.array([h for _, h in members], np.uint32).reshape(n, len(order)).T.copy()
        node = rule.alarm.when if rule.alarm else rule.derive.expression  # pyright: ignore
        expression = compile_(node, order, inputs, n)
        group = Group(
            rule, twins, handles, np.array([i.kind for i in inputs], np.uint8), expression
        )
        if rule.alarm is not None:
            if expression.kind != TRUTH:
                raise RuleError("an alarm needs a yes or no", 0, "compare, as in level > 80 %")
            if rule.alarm.until != rule.alarm.when:
                group.until = compile_(rule.alarm.until, order, inputs, n)
            group.since = np.full(n, -1, np.int64)
        elif rule.derive is not None:
            if expression.kind == NUMBER and rule.derive.unit:
                group.scale = units.linear(expression.unit or "1", rule.derive.unit)
            if not is_trial:
                self._derived(group, rule.derive, view, declared)
        return group

    def _derived(
        self, group: Group, derive: Derive, view: World, declared: list[PutPoints]
    ) -> None:
        expression = group.expression
        is_number = expression.kind == NUMBER
        unit = (derive.unit or expression.unit) if is_number else ""
        kind = Kind.FLOAT if is_number else Kind.BOOL
        said = Text.of(f"{derive.point} = {derive.text}", "en")
        point = PointType(derive.point, kind, unit, description=said)
        there: list[int] = []
        kept: list[int] = []
        for i, twin in enumerate(group.twins):
            known = {p.name: p for p in view.structure.points_of(twin)}.get(derive.point)
            if known is None:
                declared.append(PutPoints(twin, (point,)))
                self._declared.add((twin, derive.point))
                continue
            is_ours = known.type.description.best("en").startswith(f"{derive.point} = ")
            if not is_ours or known.type.kind != kind:
                why = f"{twin} has a point '{derive.point}' of its own; choose another name"
                self.troubles.append(Trouble(group.rule.name, why, 1))
                continue
            there.append(known.handle)
            kept.append(i)
        if len(kept) < len(group.twins):
            # The others join at the next look, when their points are there.
            group.twins = [group.twins[i] for i in kept]
            group.handles = group.handles[:, kept]
            order = list(dict.fromkeys(refs(derive.expression)))
            inputs = [_input(view, int(h)) for h in group.handles[:, 0]] if kept else []
            if kept:
                group.expression = compile_(derive.expression, order, inputs, len(kept))
        group.target = np.array(there, np.uint32)
        group.last = np.zeros(len(there), np.int64)
        group.last_known = np.zeros(len(there), np.bool_)

    def _remember(self, group: Group, view: World) -> None:
        if group.rule.alarm is None:
            return
        events = (view.events.get(event_id(group.rule.name, twin)) for twin in group.twins)
        group.active = np.fromiter(
            (event is not None and event.is_active for event in events), np.bool_, len(group.twins)
        )

    # --- looking ---

    def _look(self, group: Group, view: World, now_ns: int) -> Iterator[Change]:
        if not group.twins:
            return
        now = self._now(group, view, now_ns)
        value, known = group.expression(now)
        if group.rule.alarm is not None:
            if group.until is not None:
                still, still_known = group.until(now)
                value = np.where(group.active, still, value)
                known = np.where(group.active, still_known, known)
            yield from self._alarms(group, group.rule.alarm, value, known, view, now_ns)
        else:
            yield from self._values(group, value, known, now, view, now_ns)

    def _now(self, group: Group, view: World, now_ns: int) -> Now:
        rows, n = group.handles.shape
        columns = view.read(group.handles.reshape(-1))
        cell = columns.cell.reshape(rows, n)
        value = cell.astype(np.float64)
        is_float = group.kinds == Kind.FLOAT
        if is_float.any():
            value[is_float] = cell[is_float].view(np.float64)
        changed = columns.changed.reshape(rows, n)
        quality = columns.quality.reshape(rows, n)
        known = (changed >= 0) & (quality < BAD)
        return Now(value, known, columns.source_ns.reshape(rows, n), changed, now_ns)

    def _alarms(
        self,
        group: Group,
        alarm: Alarm,
        value: NDArray,
        known: NDArray[np.bool_],
        view: World,
        now_ns: int,
    ) -> Iterator[Change]:
        differs = known & (value != group.active)
        group.since = np.where(differs, np.where(group.since < 0, now_ns, group.since), -1)
        if not differs.any():
            return
        waited = now_ns - group.since
        on_ns, off_ns = int(alarm.on_delay_s * 1e9), int(alarm.off_delay_s * 1e9)
        due = differs & (waited >= np.where(value, on_ns, off_ns))
        for i in np.flatnonzero(due).tolist():
            twin = group.twins[i]
            name = event_id(group.rule.name, twin)
            event = view.events.get(name) or Event(name, twin, group.rule.name, Text())
            if value[i]:
                event = replace(
                    event,
                    message=self._message(alarm, group, i, view),
                    severity=alarm.severity,
                    properties=_properties(alarm, event, self._chatter(name, now_ns)),
                )
                yield _told(lifecycle.raised(event, now_ns, needs_ack=alarm.needs_ack), now_ns)
                self.counts["raised"] += 1
                self._raised.append(now_ns)
            else:
                times = self._times.get(name, ())
                if len(times) > CHATTER and waited[i] < CHATTER_OFF_NS:
                    continue
                yield _told(lifecycle.cleared(event, now_ns, latches=alarm.latch), now_ns)
                self.counts["cleared"] += 1
            group.active[i] = bool(value[i])
            group.since[i] = -1

    def _chatter(self, name: str, now_ns: int) -> int:
        """Notes that an alarm was raised; how often in the last minute."""
        times = self._times.setdefault(name, deque(maxlen=CHATTER * 4))
        while times and now_ns - times[0] > CHATTER_NS:
            times.popleft()
        times.append(now_ns)
        if len(times) == CHATTER + 1:
            self.counts["chattering"] += 1
        return len(times)

    def _message(self, alarm: Alarm, group: Group, i: int, view: World) -> Text:
        twin = view.structure.twins.get(group.twins[i])
        name = twin.name.best("en") if twin is not None else ""
        filled = {"name": name or group.twins[i], "rule": group.rule.name}
        if len(group.handles):
            handle = int(group.handles[0, i])
            value = view.value(handle)
            unit = view.structure.point(handle)[1].unit
            shown = f"{value:.6g}" if isinstance(value, float) else str(value)
            filled["value"] = f"{shown} {unit}".strip()
        said = alarm.message.by_language or (("en", f"{group.rule.name}: {alarm.text}"),)

        def fill(match: re.Match[str]) -> str:
            return filled.get(match.group(1), match.group())

        return Text(tuple((tag, _PLACE.sub(fill, text)) for tag, text in said))

    def _values(
        self,
        group: Group,
        value: NDArray,
        known: NDArray[np.bool_],
        now: Now,
        view: World,
        now_ns: int,
    ) -> Iterator[Change]:
        if not len(group.target):
            return
        if group.expression.kind == NUMBER:
            scale, offset = group.scale
            moved = value if group.scale == (1.0, 0.0) else value * scale + offset
            cell = np.ascontiguousarray(moved, np.float64).view(np.int64)
        else:
            cell = value.astype(np.int64)
        differs = (known & ((cell != group.last) | ~group.last_known)) | (group.last_known & ~known)
        rows = np.flatnonzero(differs)
        if not len(rows):
            return
        group.last[rows], group.last_known[rows] = cell[rows], known[rows]
        newest = now.source_ns.max(axis=0) if len(now.source_ns) else np.full(len(known), now_ns)
        when = np.where(newest > 0, newest, now_ns)
        if group.expression.waits:
            when = np.maximum(when, now_ns)
        quality = np.where(known, 0, BAD).astype(np.uint32)
        frame = Frame(
            group.target[rows],
            np.where(known, cell, 0)[rows],
            quality[rows],
            when[rows].astype(np.int64),
        )
        origin = Origin(OriginKind.INFERRED, f"rule:{group.rule.name}")
        yield Change(frame, origin, now_ns, f"rule:{group.rule.name}")

    # --- beside the rules ---

    def _shelves(self, view: World, now_ns: int) -> Iterator[Change]:
        """Alarms whose time on the shelf is over call again."""
        if self._looked_ns_ago(now_ns) < 10**9:
            return
        for event in list(view.events.values()):
            if event.shelved_until_ns and event.shelved_until_ns <= now_ns:
                yield _told(replace(event, shelved_until_ns=0), now_ns)

    _last_shelves_ns = 0

    def _looked_ns_ago(self, now_ns: int) -> int:
        ago = now_ns - self._last_shelves_ns
        if ago >= 10**9:
            self._last_shelves_ns = now_ns
        return ago

    def _flood(self, now_ns: int) -> Iterator[Change]:
        while self._raised and now_ns - self._raised[0] > FLOOD_NS:
            self._raised.popleft()
        n = len(self._raised)
        is_flood = n > FLOOD or (self._is_flood and n > FLOOD // 2)
        if is_flood == self._is_flood:
            return
        self._is_flood = is_flood
        self.counts["floods"] += is_flood
        message = Text(
            (("en", f"{n} alarms in ten minutes"), ("de", f"{n} Alarme in zehn Minuten"))
        )
        event = Event(FLOOD_ID, "", "alarm_flood", message, is_acknowledged=True, source_ns=now_ns)
        yield _told(replace(event, is_active=is_flood), now_ns)


def event_id(rule: str, twin: str) -> str:
    """The id of the alarm of a rule on a twin."""
    return f"rule/{rule}@{twin}"


def twins_of(rule: Rule, view: World) -> Iterator[str]:
    """The twins that a rule applies to, in order of declaration."""
    structure, applies = view.structure, rule.applies
    if applies.twins:
        found: Iterable[str] = [t for t in applies.twins if t in structure.twins]
    elif applies.type:
        ordinals = sorted(
            o for each in structure.subtypes(applies.type) for o in structure.of_type(each)
        )
        found = [twin.id for o in ordinals if (twin := structure.twin_at(o)) is not None]
    else:
        found = list(structure.twins) if applies.subtree else ()
    for twin in found:
        if not applies.subtree or _is_below(twin, applies.subtree, view):
            yield twin


def _is_below(twin: str, subtree: str, view: World) -> bool:
    for _ in range(32):
        if twin == subtree or twin.startswith(f"{subtree}/"):
            return True
        whole = _whole(twin, view)
        if whole is None:
            return False
        twin = whole
    return False


def _whole(twin: str, view: World) -> str | None:
    relations = view.structure.relations_from(twin)
    return next((r.target for r in relations if r.kind == PART_OF), None)


def _handle(ref: Ref, twin: str, view: World) -> int:
    if ref.twin == ".":
        whole = _whole(twin, view)
        if whole is None:
            raise KeyError("it is part of nothing, so there is no parent")
        return _named(ref.point, whole, view)
    return _named(ref.point, ref.twin or twin, view)


def _named(point: str, twin: str, view: World) -> int:
    try:
        return view.structure.handle(twin, point)
    except KeyError as error:
        if twin not in view.structure.twins:
            raise KeyError(f"there is no twin '{twin}'") from error
        raise KeyError(f"there is no point '{point}'") from error


def _input(view: World, handle: int) -> Input:
    point = view.structure.point(handle)[1]
    return Input(point.kind, point.unit, point.labels)


def _properties(alarm: Alarm, event: Event, times: int) -> tuple[Property, ...]:
    names = ("suggestion", "chattering", "comment", "acknowledged_by")
    kept = tuple(p for p in event.properties if p.name not in names)
    said = [Property("suggestion", alarm.suggestion)] if alarm.suggestion else []
    if times > CHATTER:
        said.append(Property("chattering", times))
    return (*kept, *said)


def _told(event: Event, now_ns: int) -> Change:
    return Change(event, Origin(OriginKind.INFERRED, "rules"), now_ns)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would say now, if it were kept."""

    twins: list[tuple[str, float | bool | None]]
    """(twin, value); None: not known now."""
    unit: str
    troubles: list[Trouble]


def trial(rule: Rule, view: World, now_ns: int) -> Trial:
    """Tries a rule without keeping it. What needs time to pass says what it says at first."""
    engine = Engine()
    found: list[tuple[str, float | bool | None]] = []
    unit = ""
    for group in engine._grouped(rule, view, [], is_trial=True):
        value, known = group.expression(engine._now(group, view, now_ns))
        scale, offset = group.scale
        is_truth = group.expression.kind == TRUTH
        unit = (
            "" if is_truth else (rule.derive.unit if rule.derive else "") or (group.expression.unit)
        )
        for twin, one, is_known in zip(group.twins, value.tolist(), known.tolist(), strict=True):
            shown = bool(one) if is_truth else one * scale + offset
            found.append((twin, shown if is_known else None))
    return Trial(found, unit, engine.troubles)
