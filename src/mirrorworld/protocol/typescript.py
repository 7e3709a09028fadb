"""Writes the page's `protocol.ts`: `python -m mirrorworld.protocol.typescript`.

Plain forms of the model have optional fields, since defaults are left out of them; messages and
REST answers have all their fields. With `--check` nothing is written, and the exit code says
whether the file is up to date.
"""

from __future__ import annotations

import argparse
import dataclasses
import enum
import json
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mirrorworld.protocol import (
    accounts,
    authoring,
    binary,
    boards,
    branches,
    discovery,
    exchange,
    looks,
    mapping,
    messages,
    operations,
    people,
    poses,
    quantities,
    rest,
    rules,
    tours,
    voice,
)
from mirrorworld.protocol.shape import Plain, class_doc, field_docs
from mirrorworld.world import changes, model
from mirrorworld.world import quality as codes

TARGET: Final = Path("web/src/protocol.ts")

_ENUMS: Final = (
    model.Kind,
    changes.OriginKind,
    changes.CommandState,
    changes.Severity,
)

_DECODER: Final = """\
export interface ValueFrame {
  kind: number;
  isWhole: boolean;
  hasMore: boolean;
  sequence: number;
  epoch: number;
  baseMs: number;
  handle: Uint32Array;
  /** NaN: no number. */
  value: Float32Array;
  /** See severityOf, originOf, detailOf. */
  status: Uint8Array;
  /** Source time - whole milliseconds of baseMs; NO_TIME: the point never had a value. */
  ageMs: Int32Array;
}

/** Views of the buffer, nothing is copied. Throws a RangeError if the buffer is no whole frame. */
export function decodeFrame(buffer: ArrayBuffer): ValueFrame {
  const head = new DataView(buffer);
  const n = head.getUint32(4, true);
  const padded = (n + 3) & ~3;
  if (buffer.byteLength !== HEADER_BYTES + 12 * n + padded) {
    throw new RangeError(`a value frame of ${n} rows does not have ${buffer.byteLength} bytes`);
  }
  const flags = head.getUint8(1);
  return {
    kind: head.getUint8(0),
    isWhole: (flags & FLAG_WHOLE) !== 0,
    hasMore: (flags & FLAG_MORE) !== 0,
    sequence: Number(head.getBigUint64(8, true)),
    epoch: head.getUint32(24, true),
    baseMs: head.getFloat64(16, true),
    handle: new Uint32Array(buffer, HEADER_BYTES, n),
    value: new Float32Array(buffer, HEADER_BYTES + 4 * n, n),
    status: new Uint8Array(buffer, HEADER_BYTES + 8 * n, n),
    ageMs: new Int32Array(buffer, HEADER_BYTES + 8 * n + padded, n),
  };
}

/** 0 good, 1 uncertain, 2 bad. */
export const severityOf = (status: number): number => status >> 6;
export const originOf = (status: number): OriginKind => ((status >> 3) & 7) as OriginKind;
export const detailOf = (status: number): (typeof STATUS_DETAILS)[number] =>
  STATUS_DETAILS[status & 7] as (typeof STATUS_DETAILS)[number];
"""


def text() -> str:
    """The whole file."""
    writer = _Writer()
    writer.declare(messages.ClientMessage)
    writer.declare(messages.ServerMessage)
    modules = (
        authoring, rest, discovery, accounts, rules, operations, mapping, exchange, quantities,
        branches, people, voice,
    )  # fmt: skip
    for module in modules:
        for cls in vars(module).values():
            if dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__:
                writer.declare(cls)
    writer.declare(Plain(changes.Edits))
    for cls in (boards.Board, tours.Tour, looks.Look):
        writer.declare(Plain(cls))
    body = "\n\n".join(writer.declared.values())
    return "\n".join(
        (
            "// Written by `python -m mirrorworld.protocol.typescript`. Do not edit.",
            "",
            *_constants(),
            "",
            '/** BCP 47 tag -> text; the tag "" is no language given. */',
            "export type Text = Record<string, string>;",
            "export type Scalar = null | boolean | number | string;",
            "",
            body,
            "",
            _union("ClientMessage", messages.ClientMessage),
            "",
            _union("ServerMessage", messages.ServerMessage),
            "",
            _union("MeetClientMessage", people.MeetClientMessage),
            "",
            _union("MeetServerMessage", people.MeetServerMessage),
            "",
            _union("VoiceClientMessage", voice.VoiceClientMessage),
            "",
            _union("VoiceServerMessage", voice.VoiceServerMessage),
            "",
            _union("AuthorMessage", authoring.AuthorMessage),
            "",
            _union("AuthorAnswer", authoring.AuthorAnswer),
            "",
            _union("Tile", boards.Tile),
            "",
            _DECODER,
        )
    )


def _constants() -> Iterator[str]:
    numbers = {
        "PROTOCOL_VERSION": messages.PROTOCOL_VERSION,
        "FILE_BYTES_MAX": rest.FILE_BYTES_MAX,
        "RATE_HZ_DEFAULT": int(messages.RATE_HZ_DEFAULT),
        "RATE_HZ_MAX": int(messages.RATE_HZ_MAX),
        "HEADER_BYTES": binary.HEADER_BYTES,
        "FRAME_SNAPSHOT": binary.SNAPSHOT,
        "FRAME_DELTA": binary.DELTA,
        "FRAME_AS_OF": binary.AS_OF,
        "FLAG_WHOLE": binary.WHOLE,
        "FLAG_MORE": binary.MORE,
        "NO_TIME": binary.NO_TIME,
        "MEETING_VERSION": people.MEETING_VERSION,
        "POSE_HZ": people.POSE_HZ,
        "MEET_NAME_MAX": people.NAME_MAX,
        "MEET_CHAT_MAX": people.CHAT_MAX,
        "MEET_REASON_MAX": people.REASON_MAX,
        "CLOSE_ELSEWHERE": people.CLOSE_ELSEWHERE,
        "CLOSE_PUT_OUT": people.CLOSE_PUT_OUT,
        "CLOSE_FLOOD": people.CLOSE_FLOOD,
        "MESH_MAX": voice.MESH_MAX,
        "VOICE_SLOTS": voice.VOICE_SLOTS,
        "POSE": poses.POSE,
        "POSES": poses.POSES,
        "POSES_HEADER_BYTES": poses.HEADER.size,
        "POSE_LEFT": poses.LEFT,
        "POSE_RIGHT": poses.RIGHT,
        "POSE_POINTER": poses.POINTER,
        "POSE_UNIT": poses.UNIT,
        "POSE_MM_MAX": poses.MM_MAX,
        "QUALITY_GOOD": codes.GOOD,
        "QUALITY_UNCERTAIN": codes.UNCERTAIN,
        "QUALITY_BAD": codes.BAD,
    }
    yield f'export const STREAM_PATH = "{messages.STREAM_PATH}";'
    for name, number in numbers.items():
        yield f"export const {name} = {number};"
    for limit in ("COLUMNS", "TILES_MAX", "TILE_ROWS_MAX", "POINTS_MAX"):
        yield f"export const BOARD_{limit} = {getattr(boards, limit)};"
    for name in ("COLOURS", "MARKS", "SHOWS"):
        listed = json.dumps(getattr(looks, name), ensure_ascii=False)
        yield f"export const LOOK_{name} = {listed} as const;"
    for limit in ("RULES_MAX", "BANDS_MAX"):
        yield f"export const LOOK_{limit} = {getattr(looks, limit)};"
    yield f"export const TOUR_STEPS_MAX = {tours.STEPS_MAX};"
    details = ", ".join(f'"{detail}"' for detail in binary.DETAILS)
    yield f"export const STATUS_DETAILS = [{details}] as const;"
    for cls in _ENUMS:
        members = ", ".join(f"{member.name}: {member.value}" for member in cls)
        yield ""
        yield f"export const {cls.__name__} = {{ {members} }} as const;"
        yield f"export type {cls.__name__} = (typeof {cls.__name__})[keyof typeof {cls.__name__}];"


def _union(name: str, union: Any) -> str:
    members = "".join(f'\n  | ({{ "@": "{m.__name__}" }} & {m.__name__})' for m in _members(union))
    return f"export type {name} ={members};"


def _members(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return typing.get_args(hint)
    return (hint,)


class _Writer:
    """Collects the interfaces that a set of definitions needs, each once."""

    def __init__(self) -> None:
        self.declared: dict[str, str] = {}

    def declare(self, what: Any) -> None:
        """Declares the interfaces of a class or a union, and all that they need."""
        if isinstance(what, Plain):
            self.plain(what.of)
            return
        for cls in _members(what):
            self._interface(cls, is_plain=False)

    def _interface(self, cls: type, *, is_plain: bool) -> None:
        if cls.__name__ in self.declared:
            return
        self.declared[cls.__name__] = ""
        hints = typing.get_type_hints(cls, include_extras=True)
        docs = field_docs(cls)
        lines = [f"/** {doc} */"] if (doc := class_doc(cls)) else []
        lines.append(f"export interface {cls.__name__} {{")
        for field in dataclasses.fields(cls):
            if doc := docs.get(field.name):
                lines.append(f"  /** {doc} */")
            has_default = (
                field.default is not dataclasses.MISSING
                or field.default_factory is not dataclasses.MISSING
            )
            hint = hints[field.name]
            type_ = self.plain(hint) if is_plain else self.type(hint)
            lines.append(f"  {field.name}{'?' if is_plain and has_default else ''}: {type_};")
        self.declared.pop(cls.__name__)  # after what it needs
        self.declared[cls.__name__] = "\n".join((*lines, "}"))

    def type(self, hint: Any) -> str:
        """The TypeScript type of a message's field."""
        for extra in getattr(hint, "__metadata__", ()):
            if isinstance(extra, Plain):
                inner = typing.get_args(hint)[0]
                nullable = " | null" if type(None) in _members(inner) else ""
                return self.plain(extra.of, is_tagged=len(_members(extra.of)) > 1) + nullable
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            return " | ".join(dict.fromkeys(self.type(a) for a in args))
        if origin is list:
            return _list(self.type(args[0]))
        if origin is dict:
            return f"Record<string, {self.type(args[1])}>"
        if dataclasses.is_dataclass(hint):
            self._interface(typing.cast(type, hint), is_plain=False)
            return typing.cast(type, hint).__name__
        return _SCALARS[hint]

    def plain(self, hint: Any, *, is_tagged: bool = False) -> str:
        """The TypeScript type of the plain form of a model's field."""
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if model.Ref in args:  # the alias itself is gone once its forward reference is resolved
            self._value()
            return "Value"
        if hint == model.Scalar:
            return "Scalar"
        if hint is model.Text:
            return "Text"
        if origin in (types.UnionType, typing.Union):
            tagged = sum(dataclasses.is_dataclass(a) for a in args) > 1
            parts = (self.plain(a, is_tagged=tagged or is_tagged) for a in args)
            return " | ".join(dict.fromkeys(parts))
        if origin is tuple and args[-1] is Ellipsis:
            return _list(self.plain(args[0]))
        if origin is tuple:
            return f"[{', '.join(self.plain(a) for a in args)}]"
        if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
            return hint.__name__
        if dataclasses.is_dataclass(hint):
            cls = typing.cast(type, hint)
            self._interface(cls, is_plain=True)
            return f'({{ "@": "{cls.__name__}" }} & {cls.__name__})' if is_tagged else cls.__name__
        return _SCALARS[hint]

    def _value(self) -> None:
        """The recursive type of a property's value, in which every class says its name."""
        if "Value" in self.declared:
            return
        self.declared["Value"] = (
            '/** A property\'s value; what is not a scalar says what it is under "@". */\n'
            "export type Value =\n"
            "  | Scalar\n"
            '  | ({ "@": "Text" } & Text)\n'
            '  | ({ "@": "Ref" } & Ref)\n'
            '  | ({ "@": "Blob" } & Blob)\n'
            '  | ({ "@": "Property" } & Property)[]\n'
            "  | Scalar[];"
        )
        self._interface(model.Ref, is_plain=True)
        self._interface(model.Blob, is_plain=True)
        self._interface(model.Property, is_plain=True)


def _list(item: str) -> str:
    is_compound = " | " in item or (" " in item and not item.startswith(("[", "({")))
    return f"({item})[]" if is_compound else f"{item}[]"


_SCALARS: Final[dict[Any, str]] = {
    int: "number",
    float: "number",
    str: "string",
    bool: "boolean",
    type(None): "null",
    None: "null",
    Any: "unknown",
}


def main() -> int:
    """Writes or checks the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", nargs="?", type=Path, default=TARGET)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    new = text()
    if options.check:
        if options.target.read_text(encoding="utf-8") != new:
            print(f"{options.target}: not what the definitions say; run this without --check")
            return 1
        return 0
    options.target.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
