"""The plain form: every value of the model as dicts, lists and scalars, and back.

One form for the record, files, REST and the wire. Defaults are left out, bytes are in base64.
Where a value may be one of several classes (a property's value, an edit, a change's body) the
dict carries `"@"`, the class's name.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from mirrorworld.world import changes, model

T = TypeVar("T")
Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

_AS_IS = frozenset({type(None), bool, int, float, str})
_TAGGED: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        model.Text,
        model.Ref,
        model.Blob,
        model.Property,
        changes.PutType,
        changes.PutTwin,
        changes.DropTwin,
        changes.PutPoints,
        changes.PutProperty,
        changes.DropProperty,
        changes.PutName,
        changes.PutPose,
        changes.PutGeometry,
        changes.PutTypeOf,
        changes.PutPointAbout,
        changes.Unsay,
        changes.PutRelation,
        changes.DropRelation,
        changes.Arm,
        changes.Disarm,
        changes.PutSheet,
        changes.DropSheet,
        changes.Edits,
        changes.Command,
        changes.Event,
        changes.Writing,
    )
}


def to_plain(value: object, *, tagged: bool = False) -> Any:
    """The plain form of any value of the model.

    Args:
        tagged: whether a dict at the top carries its class's name, for when the reader cannot
            know what to expect.
    """
    kind = type(value)
    if kind in _AS_IS:
        return value
    if isinstance(value, tuple | list):
        items = typing.cast("tuple[object, ...]", value)
        return [to_plain(item, tagged=tagged) for item in items]
    if kind is bytes:
        return base64.b64encode(typing.cast(bytes, value)).decode()
    if kind is model.Text:
        plain: dict[str, Any] = dict(typing.cast(model.Text, value).by_language)
        return {"@": "Text", **plain} if tagged else plain
    if not dataclasses.is_dataclass(kind):
        if isinstance(value, enum.IntEnum):
            return int(value)
        if isinstance(value, int | float | str):  # of a class that goes further, as NumPy's
            return value
        raise TypeError(f"{kind.__name__} has no plain form")
    plain = {"@": kind.__name__} if tagged else {}
    for name, default, is_open in _fields(kind):
        item = getattr(value, name)
        if item is not default and (item != default or type(item) is not type(default)):
            plain[name] = to_plain(item, tagged=is_open)
    return plain


def from_plain(cls: type[T], plain: Any, path: str = "") -> T:
    """The value of class `cls` that `plain` describes.

    Raises:
        ValueError: it does not describe one; the message names the place and what was expected.
    """
    return _reader(cls)(plain, path or cls.__name__)


def from_tagged(plain: Any, path: str = "") -> Any:
    """The value of a dict that says its class itself."""
    return _read_tagged(plain, path or "value")


@functools.cache
def _fields(cls: type) -> tuple[tuple[str, object, bool], ...]:
    """(name, default, whether several classes may stand there) of a dataclass's fields."""
    hints = typing.get_type_hints(cls)
    found: list[tuple[str, object, bool]] = []
    for field in dataclasses.fields(cls):
        default: object = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found.append((field.name, default, _is_open(hints[field.name])))
    return tuple(found)


def _is_open(hint: Any) -> bool:
    if _is_union(hint):
        classes = [a for a in typing.get_args(hint) if dataclasses.is_dataclass(a)]
        return len(classes) > 1
    return any(_is_open(a) for a in typing.get_args(hint) if a is not Ellipsis)


Reader = Callable[[Any, str], Any]


@functools.cache
def _reader(hint: Any) -> Reader:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is model.Text:
        return _read_text
    if dataclasses.is_dataclass(hint):
        return functools.partial(_read_dataclass, typing.cast(type, hint))
    if origin is tuple and args[-1] is Ellipsis:
        return functools.partial(_read_list, args[0])
    if origin is tuple:
        return functools.partial(_read_fixed, args)
    if _is_union(hint):
        if _is_open(hint):
            return _read_tagged
        (rest,) = (
            (a for a in args if a is not type(None))
            if sum(a is not type(None) for a in args) == 1
            else (hint,)
        )
        if rest is hint:
            return functools.partial(_read_scalar, args)
        return lambda plain, path: None if plain is None else _reader(rest)(plain, path)
    if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
        return functools.partial(_read_enum, hint)
    if hint is float:
        return _read_float
    if hint is bytes:
        return _read_bytes
    return functools.partial(_read_scalar, (hint,))


def _wrong(path: str, expected: str, plain: Any) -> ValueError:
    return ValueError(f"{path}: expected {expected}, got {plain!r:.60}")


def _read_scalar(allowed: tuple[type, ...], plain: Any, path: str) -> Any:
    if type(plain) in allowed or (plain is None and type(None) in allowed):
        return plain
    raise _wrong(path, " or ".join(a.__name__ for a in allowed), plain)


def _read_float(plain: Any, path: str) -> float:
    return float(_read_scalar((float, int), plain, path))


def _read_bytes(plain: Any, path: str) -> bytes:
    try:
        return base64.b64decode(_read_scalar((str,), plain, path), validate=True)
    except binascii.Error:
        raise _wrong(path, "bytes in base64", plain) from None


def _read_enum(cls: type[enum.IntEnum], plain: Any, path: str) -> Any:
    if isinstance(plain, str) and plain.upper() in cls.__members__:
        return cls[plain.upper()]
    if isinstance(plain, int) and not isinstance(plain, bool):
        try:
            return cls(plain)
        except ValueError:
            pass
    raise _wrong(path, "one of " + ", ".join(m.lower() for m in cls.__members__), plain)


def _read_text(plain: Any, path: str) -> model.Text:
    if isinstance(plain, str):
        return model.Text.of(plain)
    if isinstance(plain, dict):
        entries = typing.cast("dict[str, Any]", plain)
        pairs = tuple((k, v) for k, v in entries.items() if k != "@")
        if all(isinstance(v, str) for _, v in pairs):
            return model.Text(pairs)
    raise _wrong(path, "a text, or a dict from language to text", plain)


def _read_list(hint: Any, plain: Any, path: str) -> Any:
    if not isinstance(plain, list | tuple):
        raise _wrong(path, "a list", plain)
    read = _reader(hint)
    items = typing.cast("list[Any]", plain)
    return tuple(read(item, f"{path}[{i}]") for i, item in enumerate(items))


def _read_fixed(hints: tuple[Any, ...], plain: Any, path: str) -> Any:
    if not isinstance(plain, list | tuple):
        raise _wrong(path, f"a list of {len(hints)}", plain)
    items = typing.cast("list[Any]", plain)
    if len(items) != len(hints):
        raise _wrong(path, f"a list of {len(hints)}", plain)
    return tuple(
        _reader(h)(item, f"{path}[{i}]")
        for i, (h, item) in enumerate(zip(hints, items, strict=True))
    )


def _read_tagged(plain: Any, path: str) -> Any:
    """A scalar, a list of such, or a dict that carries its class's name."""
    if isinstance(plain, dict):
        entries = typing.cast("dict[str, Any]", plain)
        cls = _TAGGED.get(entries.get("@", ""))
        if cls is None:
            raise _wrong(path, "a dict with '@': one of " + ", ".join(_TAGGED), plain)
        return _reader(cls)(entries, path)
    if isinstance(plain, list | tuple):
        items = typing.cast("list[Any]", plain)
        return tuple(_read_tagged(item, f"{path}[{i}]") for i, item in enumerate(items))
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    raise _wrong(path, "a value", plain)


def _read_dataclass(cls: type, plain: Any, path: str) -> Any:
    if not isinstance(plain, dict):
        raise _wrong(path, f"a dict that describes a {cls.__name__}", plain)
    entries = typing.cast("dict[str, Any]", plain)
    readers = _field_readers(cls)
    values: dict[str, Any] = {}
    for key, item in entries.items():
        if key == "@":
            continue
        known = readers.get(key)
        if known is None:
            raise ValueError(f"{path}: {cls.__name__} has no '{key}'; it has {', '.join(readers)}")
        as_it_is, read = known
        values[key] = item if type(item) in as_it_is else read(item, f"{path}.{key}")
    try:
        return cls(**values)
    except TypeError as error:
        missing = [n for n, default, _ in _fields(cls) if default is dataclasses.MISSING]
        lacking = ", ".join(n for n in missing if n not in values)
        raise ValueError(f"{path}: {cls.__name__} needs {lacking}") from error


@functools.cache
def _field_readers(cls: type) -> dict[str, tuple[frozenset[type], Reader]]:
    """By field: the scalars that stand for themselves there, and what reads all else."""
    hints = typing.get_type_hints(cls)
    found: dict[str, tuple[frozenset[type], Reader]] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        among = typing.get_args(hint) if _is_union(hint) else (hint,)
        found[field.name] = (_AS_IS.intersection(among), _reader(hint))
    return found


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)
