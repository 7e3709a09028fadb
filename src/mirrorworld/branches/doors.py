"""The two doors for what a branch is run with: `mirrorworld.models` and `mirrorworld.evaluators`.

What an entry point names gives a model or an evaluator when it is called. Its parameters that
have defaults are the options that people may set; its docstring's first line is what they read.
A parameter's unit stands in the annotation: `Annotated[float, "s"]`.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import logging
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from mirrorworld.protocol.answers import near
from mirrorworld.protocol.branches import ModelRow, OptionRow
from mirrorworld.world.model import Scalar

log = logging.getLogger(__name__)

MODELS: Final = "mirrorworld.models"
EVALUATORS: Final = "mirrorworld.evaluators"
OPTIONS_MAX: Final = 100


def installed(group: str) -> dict[str, ModelRow]:
    """What is behind a door, by name; what cannot be loaded is left out, and the log says so."""
    found: dict[str, ModelRow] = {}
    for entry in importlib.metadata.entry_points(group=group):
        try:
            found[entry.name] = about(entry.name, entry.load())
        except Exception as error:  # a third party's code: whatever it raises, the others stay
            log.warning("%s %s is left out: %s: %s", group, entry.name, type(error).__name__, error)
    return found


def about(name: str, make: Callable[..., Any]) -> ModelRow:
    """What people are told of a model or an evaluator."""
    doc = (inspect.getdoc(make) or "").partition("\n\n")[0].replace("\n", " ")
    hints = typing.get_type_hints(
        make.__init__ if isinstance(make, type) else make, include_extras=True
    )
    options: list[OptionRow] = []
    for parameter in inspect.signature(make).parameters.values():
        if isinstance(parameter.default, Scalar):
            said = [m for m in getattr(hints.get(parameter.name), "__metadata__", ()) if m]
            unit = next((str(m) for m in said if isinstance(m, str)), "")
            words = parameter.name.replace("_", " ")
            options.append(OptionRow(parameter.name, words, parameter.default, unit))
    return ModelRow(name, doc, options)


def check(row: ModelRow, options: Mapping[str, Any]) -> None:
    """Lets options pass that a model knows, of the kind of their defaults.

    Raises:
        ValueError: one is unknown or of another kind; the message names it and what there is.
    """
    if len(options) > OPTIONS_MAX:
        raise ValueError(f"{row.name}: {len(options)} options; at most {OPTIONS_MAX} are read")
    known = {option.name: option for option in row.options}
    for name, value in options.items():
        if name not in known:
            mend = near(name, known) or f"it has {', '.join(known) or 'none'}"
            raise ValueError(f"{row.name}: there is no option '{name[:100]}'; {mend}")
        default = known[name].default
        if not isinstance(value, Scalar) or (
            default is not None and value is not None and not _fits(value, default)
        ):
            raise ValueError(
                f"{row.name}: option {name} is {value!r:.60}; give one like {default!r}"
            )


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def make(group: str, name: str, options: Mapping[str, Any]) -> Any:
    """The model or evaluator of a name, made with options.

    Raises:
        KeyError: nothing of that name is installed; the message says what is.
        ValueError: it does not take these options.
    """
    entries = {entry.name: entry for entry in importlib.metadata.entry_points(group=group)}
    if name not in entries:
        raise KeyError(f"no '{name}' behind {group}; there are {', '.join(sorted(entries))}")
    made = entries[name].load()
    check(about(name, made), options)
    return made(**options)
