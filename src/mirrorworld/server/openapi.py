"""The OpenAPI document: FastAPI's own, with the shapes of the model's plain forms put in.

Routes say `Twin` where FastAPI only knows "an object"; what a twin looks like is derived here
from the model's own classes, as the page's types are (`protocol/typescript.py`).
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from pydantic import TypeAdapter

from mirrorworld.protocol import rest
from mirrorworld.protocol.shape import Plain, class_doc, field_docs
from mirrorworld.server.problems import PROBLEM
from mirrorworld.world import model

_SCALARS: Final[dict[Any, dict[str, Any]]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}
_REF: Final = "#/components/schemas/"


@functools.lru_cache(maxsize=4)
def document(app: FastAPI) -> bytes:
    """The document as JSON."""
    document = app.openapi()
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = TypeAdapter(rest.Problem).json_schema(ref_template=_REF + "{model}")
    for cls in vars(rest).values():
        if dataclasses.is_dataclass(cls) and isinstance(cls, type) and cls.__name__ in schemas:
            _describe(cls, schemas[cls.__name__])
    components = document["components"]
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "The owner's token"}
    }
    document["security"] = [{"token": []}]
    _problems(document)
    plain = _Schemas(schemas)
    _replace(document, plain)
    schemas.update(plain.made)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return msgspec.json.encode(document)


def _describe(cls: type, schema: dict[str, Any]) -> None:
    docs = field_docs(cls)
    schema["description"] = class_doc(cls)
    for name, described in schema.get("properties", {}).items():
        if name in docs:
            described.setdefault("description", docs[name])


def _problems(document: dict[str, Any]) -> None:
    """Errors have a media type of their own (RFC 9457)."""
    for methods in document["paths"].values():
        for route in methods.values():
            for status, answer in route["responses"].items():
                content = answer.get("content", {})
                if int(status) >= 400 and "application/json" in content:
                    content[PROBLEM] = content.pop("application/json")


def _replace(node: Any, plain: _Schemas) -> None:
    """Puts a reference where a field said that it has a plain form."""
    if isinstance(node, list):
        for item in node:
            _replace(item, plain)
        return
    if not isinstance(node, dict):
        return
    for child in node.values():
        _replace(child, plain)
    name = node.pop("x-plain", None)
    if name is not None:
        described = node.get("description")
        kept = {"description": described} if described else {}
        node.clear()
        node.update(plain.of(Plain.named(name).of), **kept)


class _Schemas:
    """Collects the JSON Schemas of plain forms, each class once."""

    def __init__(self, taken: dict[str, Any]) -> None:
        self.made: dict[str, Any] = {}
        self._taken = taken

    def of(self, hint: Any, *, is_tagged: bool = False) -> dict[str, Any]:
        """The schema of a type of the model."""
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if hint is model.Text:
            return self._text()
        if model.Ref in args:
            return {"description": "A scalar, a list of such, or a dict that says its class: '@'"}
        if origin in (types.UnionType, typing.Union):
            many = sum(dataclasses.is_dataclass(a) for a in args) > 1
            return {"anyOf": [self.of(a, is_tagged=many) for a in args]}
        if origin is tuple and args[-1] is Ellipsis:
            return {"type": "array", "items": self.of(args[0])}
        if origin is tuple:
            items = [self.of(a) for a in args]
            return {
                "type": "array",
                "prefixItems": items,
                "minItems": len(items),
                "maxItems": len(items),
            }
        if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
            members = ", ".join(f"{m.value} {m.name.lower()}" for m in hint)
            return {"type": "integer", "enum": [m.value for m in hint], "description": members}
        if dataclasses.is_dataclass(hint):
            return self._object(typing.cast(type, hint), is_tagged=is_tagged)
        return dict(_SCALARS[hint])

    def _text(self) -> dict[str, Any]:
        self.made["Text"] = {
            "type": "object",
            "title": "Text",
            "description": "Language (BCP 47) -> text; '' is no language given",
            "additionalProperties": {"type": "string"},
        }
        return {"$ref": f"{_REF}Text"}

    def _object(self, cls: type, *, is_tagged: bool) -> dict[str, Any]:
        name = cls.__name__
        if name in self._taken and name not in self.made:
            name = f"World{name}"
        if is_tagged:
            name += "Tagged"
        if name in self.made:
            return {"$ref": _REF + name}
        schema: dict[str, Any] = {"type": "object", "title": name, "description": class_doc(cls)}
        self.made[name] = schema
        hints, docs = typing.get_type_hints(cls), field_docs(cls)
        properties: dict[str, Any] = {}
        required: list[str] = []
        if is_tagged:
            properties["@"] = {"const": cls.__name__}
            required.append("@")
        for field in dataclasses.fields(cls):
            described = self.of(hints[field.name])
            if doc := docs.get(field.name):
                described = {"description": doc, **described}
            properties[field.name] = described
            has_default = (
                field.default is not dataclasses.MISSING
                or field.default_factory is not dataclasses.MISSING
            )
            if not has_default:
                required.append(field.name)
        schema["properties"] = properties
        if required:
            schema["required"] = required
        return {"$ref": _REF + name}
