"""Values of the model as lists: a compact form for keyframes, much faster to read than the
plain form, and self-describing through a schema that lists the fields of each class.

A dataclass becomes the list of its fields, without the trailing ones that have their default.
Where a field may hold one of several classes it becomes `{class name: list}`. Fields that are
added to the model later are filled with their defaults when an older keyframe is read.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import operator
import types
import typing
from collections.abc import Callable
from typing import Any

from mirrorworld.world import changes, model

Schema = dict[str, list[str]]

_CLASSES: dict[str, type] = {
    name: cls
    for module in (model, changes)
    for name, cls in vars(module).items()
    if isinstance(cls, type) and dataclasses.is_dataclass(cls) and cls is not changes.Change
}


def pack(value: Any, hint: Any) -> Any:
    """The compact form of a value that a field of type `hint` holds."""
    return _packer(hint)(value)


def schema() -> Schema:
    """Fields of every class, in the order in which `pack` writes them."""
    return {name: [f.name for f in dataclasses.fields(cls)] for name, cls in _CLASSES.items()}


class Unpacker:
    """Reads what was packed under a schema."""

    def __init__(self, written: Schema) -> None:
        """A reader for values written under `written`.

        Raises:
            ValueError: the schema has classes or fields that this version does not know.
        """
        for name, fields in written.items():
            cls = _CLASSES.get(name)
            known = {f.name for f in dataclasses.fields(cls)} if cls else set[str]()
            unknown = [field for field in fields if field not in known]
            if unknown:
                raise ValueError(
                    f"{name}.{unknown[0]} is not known to this version, which is older than the"
                    f" one that wrote it; upgrade mirrorworld"
                )
        self._written = written
        self._readers: dict[Any, Callable[[Any], Any]] = {}

    def reader(self, hint: Any) -> Callable[[Any], Any]:
        """A function from the compact form to a value of type `hint`."""
        found = self._readers.get(hint)
        if found is None:
            found = self._readers[hint] = self._make(hint)
        return found

    def _make(self, hint: Any) -> Callable[[Any], Any]:
        if hint is model.Text:
            return _text
        if dataclasses.is_dataclass(hint):
            return self._make_class(typing.cast(type, hint))
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is tuple and args[-1] is Ellipsis:
            if _is_direct(args[0]):
                return tuple
            item = self._lazily(args[0])
            return lambda packed: tuple([item(x) for x in packed]) if packed else ()
        if origin is tuple:
            if all(_is_direct(a) for a in args):
                return tuple
            items = [self._lazily(a) for a in args]
            return lambda packed: tuple([r(x) for r, x in zip(items, packed, strict=True)])
        if origin in (types.UnionType, typing.Union):
            classes = [a for a in args if dataclasses.is_dataclass(a)]
            if len(classes) > 1:
                return self._open
            if classes:
                only = self._lazily(classes[0])
                return lambda packed: None if packed is None else only(packed)
            tuples = [a for a in args if typing.get_origin(a) is tuple]
            if tuples:
                rows = self._lazily(tuples[0])
                return lambda packed: None if packed is None else rows(packed)
            return _same
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return hint
        return _same

    def _lazily(self, hint: Any) -> Callable[[Any], Any]:
        """A reader that may refer to itself (properties hold properties)."""
        if not dataclasses.is_dataclass(hint):
            return self.reader(hint)
        made: list[Callable[[Any], Any]] = []

        def read(packed: Any) -> Any:
            if not made:
                made.append(self.reader(hint))
            return made[0](packed)

        return read

    def _make_class(self, cls: type) -> Callable[[Any], Any]:
        hints = typing.get_type_hints(cls)
        fields = dataclasses.fields(cls)
        names = self._written.get(cls.__name__, [f.name for f in fields])
        readers = [(i, self._lazily(hints[n])) for i, n in enumerate(names)]
        readers = [(i, read) for i, read in readers if read is not _same]
        in_order = names == [f.name for f in fields][: len(names)]

        def read_class(packed: list[Any]) -> Any:
            n = len(packed)
            for i, read in readers:
                if i >= n:
                    break
                packed[i] = read(packed[i])
            if in_order:
                return cls(*packed)
            return cls(**dict(zip(names, packed, strict=False)))

        return read_class

    def _open(self, packed: Any) -> Any:
        if isinstance(packed, dict):
            ((name, fields),) = packed.items()
            return self.reader(_CLASSES[name])(fields)
        if isinstance(packed, list):
            return tuple([self._open(item) for item in packed])
        return packed


def _same(packed: Any) -> Any:
    return packed


def _text(packed: list[str]) -> model.Text:
    return model.Text(tuple(zip(packed[::2], packed[1::2], strict=True)))


@functools.cache
def _is_direct(hint: Any) -> bool:
    """Whether values are their own compact form and hold no list inside."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return all(_is_direct(a) for a in typing.get_args(hint))
    return hint in (bool, int, float, str, bytes, type(None))


@functools.cache
def _packer(hint: Any) -> Callable[[Any], Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _class_packer(typing.cast(type, hint))
    if origin is tuple:
        if all(_is_direct(a) for a in args if a is not Ellipsis):
            return _same
        if args[-1] is Ellipsis:
            hint = args[0]
            return lambda value: [pack(item, hint) for item in value] if value else ()
        return lambda value: [_packer(h)(item) for h, item in zip(args, value, strict=True)]
    if origin in (types.UnionType, typing.Union):
        classes = [a for a in args if dataclasses.is_dataclass(a)]
        if len(classes) > 1:
            return _pack_open
        if classes:
            only = classes[0]
            return lambda value: None if value is None else _packer(only)(value)
        return _same
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return lambda value: value.value
    return _same


def _pack_open(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_pack_open(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {type(value).__name__: _packer(type(value))(value)}
    return value


def _is_default(value: Any, default: Any) -> bool:
    # Comparing dataclasses is slow, and keeping a default costs only a few bytes.
    return value is default or (type(value) is type(default) is str and not value and not default)


@functools.cache
def _class_packer(cls: type) -> Callable[[Any], Any]:
    if cls is model.Text:
        return lambda value: [part for pair in value.by_language for part in pair]
    hints = typing.get_type_hints(cls)
    fields: list[tuple[str, Callable[[Any], Any], Any]] = []
    for field in dataclasses.fields(cls):
        default: Any = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        fields.append((field.name, _packer(hints[field.name]), default))
    get = operator.attrgetter(*(name for name, _, _ in fields))
    is_single = len(fields) == 1
    defaults = [default for _, _, default in fields]
    packers = [(i, packer) for i, (_, packer, _) in enumerate(fields) if packer is not _same]

    def pack_class(value: Any) -> list[Any]:
        values = [get(value)] if is_single else list(get(value))
        end = len(values)
        while end and _is_default(values[end - 1], defaults[end - 1]):
            end -= 1
        del values[end:]
        for i, packer in packers:
            if i >= end:
                break
            values[i] = packer(values[i])
        return values

    return pack_class
