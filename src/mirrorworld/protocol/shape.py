"""How a definition says what stands in a field that carries a value of the model.

The model's own classes travel in their plain form (`world/plain.py`): defaults left out, a
text as a dict from language to text. Such a field is `Any` to Python's type checkers and
carries the class beside it, for the writers of TypeScript and of JSON Schema.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
from dataclasses import dataclass
from typing import Any, get_args


@dataclass(frozen=True, slots=True)
class Plain:
    """Marks a field whose value is the plain form of `of` (a class or a union of classes)."""

    of: Any

    @property
    def name(self) -> str:
        """The class's name, or those of the union."""
        return " | ".join(one.__name__ for one in get_args(self.of) or (self.of,))

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Leaves the name in a schema, for `server/openapi.py` to put the shape in its place."""
        _by_name[self.name] = self
        return {**handler(core_schema), "x-plain": self.name}

    @staticmethod
    def named(name: str) -> Plain:
        """The mark that left its name in a schema."""
        return _by_name[name]


_by_name: dict[str, Plain] = {}


@functools.cache
def field_docs(cls: type) -> dict[str, str]:
    """The strings that stand under a class's fields, by field name."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):  # a frozen application has no sources
        return {}
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    docs: dict[str, str] = {}
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            docs[field.target.id] = " ".join(below.value.value.split())
    return docs


def class_doc(cls: type) -> str:
    """The docstring a class was given (not the signature that `dataclass` writes)."""
    doc = inspect.getdoc(cls) or ""
    return "" if doc.startswith(f"{cls.__name__}(") else " ".join(doc.split())
