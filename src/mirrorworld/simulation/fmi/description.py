"""What a unit says of itself in `modelDescription.xml`, read without loading any of its code.

FMI 2.0.4 §2.2 and §4.3; FMI 3.0.2 §2.4 and §4.4. The file is a stranger's: a document type is
refused, and with it every entity; depth and numbers are bounded; a number that is none is named.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from mirrorworld.simulation.fmi.archive import (
    DESCRIPTION,
    FmiError,
    description_bytes,
    opened,
    platforms_in,
    sha256_of,
)

DEPTH_MAX: Final = 24
VARIABLES_MAX: Final = 200_000
ELEMENTS_MAX: Final = 4_000_000
ARRAY_SIZE_MAX: Final = 1_000_000


class Sort(enum.Enum):
    """How values of a variable travel."""

    FLOAT = "float"
    INT = "int"
    BOOL = "bool"
    TEXT = "text"
    OTHER = "other"
    """Binary and clocks: described, not exchanged."""

    @property
    def is_number(self) -> bool:
        """Whether its values travel as numbers, which is what can be coupled."""
        return self in (Sort.FLOAT, Sort.INT, Sort.BOOL)


_SORTS: Final = {
    "Real": Sort.FLOAT, "Float64": Sort.FLOAT, "Float32": Sort.FLOAT,
    "Integer": Sort.INT, "Enumeration": Sort.INT,
    "Int8": Sort.INT, "Int16": Sort.INT, "Int32": Sort.INT, "Int64": Sort.INT,
    "UInt8": Sort.INT, "UInt16": Sort.INT, "UInt32": Sort.INT, "UInt64": Sort.INT,
    "Boolean": Sort.BOOL, "String": Sort.TEXT, "Binary": Sort.OTHER, "Clock": Sort.OTHER,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BaseUnit:
    """A unit by SI: `value_in_base = value * factor + offset` (FMI 3.0.2 §2.4.3)."""

    exponents: tuple[tuple[str, int], ...] = ()
    """(kg, m, s, A, K, mol, cd or rad; exponent), without zeros."""
    factor: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Variable:
    """One scalar or array variable of a unit."""

    name: str
    reference: int
    type: str
    """As the standard writes it: `Real`, `Float64`, `Int32`, `Boolean`, `String`, …"""
    causality: str = "local"
    variability: str = ""
    initial: str = ""
    unit: str = ""
    """As the unit's maker writes it; `quantities.py` reads it."""
    start: tuple[float, ...] = ()
    start_text: str = ""
    low: float | None = None
    high: float | None = None
    size: int = 1
    """How many numbers it holds; arrays travel row by row."""
    about: str = ""

    @property
    def sort(self) -> Sort:
        """How its values travel."""
        return _SORTS[self.type]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the co-simulation side of a unit can do."""

    identifier: str
    can_save: bool = False
    """canGetAndSetFMUState"""
    can_serialise: bool = False
    """canSerializeFMUState"""
    can_vary_step: bool = False
    """canHandleVariableCommunicationStepSize"""
    can_interpolate: bool = False
    """FMI 2 canInterpolateInputs: it takes derivatives of inputs."""
    has_event_mode: bool = False
    """FMI 3 hasEventMode"""
    can_return_early: bool = False
    """FMI 3 mightReturnEarlyFromDoStep"""
    needs_tool: bool = False
    """needsExecutionTool"""
    fixed_step_s: float | None = None
    """FMI 3 fixedInternalStepSize"""


@dataclass(frozen=True, slots=True)
class UnitDescription:
    """A unit as its description tells of it."""

    version: str
    name: str
    token: str
    """guid of FMI 2, instantiationToken of FMI 3."""
    variables: tuple[Variable, ...]
    co_simulation: Capabilities | None
    feedthrough: Mapping[str, tuple[str, ...] | None]
    """Output -> inputs that it depends on without delay; None: nothing is said, so on all."""
    base_units: Mapping[str, BaseUnit | None] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    has_model_exchange: bool = False
    about: str = ""
    tool: str = ""
    start_s: float = 0.0
    stop_s: float | None = None
    step_s: float | None = None
    tolerance: float | None = None
    log_categories: tuple[str, ...] = ()
    sha256: str = ""

    def variable(self, name: str) -> Variable:
        """The variable of that name; KeyError."""
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise KeyError(name)

    def of(self, *causalities: str) -> tuple[Variable, ...]:
        """The variables of some causalities, in the description's order."""
        return tuple(v for v in self.variables if v.causality in causalities)


def describe(path: Path) -> UnitDescription:
    """What the unit in a file says of itself. Runs none of it.

    Raises:
        FmiError: the file is no FMU of version 2 or 3, or is not to be trusted even to be read.
    """
    with opened(path) as archive:
        data = description_bytes(path, archive)
        platforms = platforms_in(archive)
    reader = _Reader(f"{path}: {DESCRIPTION}")
    reader.read(data)
    return reader.described(platforms, sha256_of(path))


class _Reader:
    """Collects what counts while expat walks through the file."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.path: list[str] = []
        self.root: dict[str, str] = {}
        self.co_simulation: dict[str, str] | None = None
        self.has_model_exchange = False
        self.experiment: dict[str, str] = {}
        self.base_units: dict[str, BaseUnit | None] = {}
        self.types: dict[str, dict[str, str]] = {}
        self.rows: list[tuple[dict[str, str], str, dict[str, str], list[dict[str, str]], str]] = []
        """(attributes, type, attributes of the type, dimensions, start texts)"""
        self.outputs: list[dict[str, str]] = []
        self.log_categories: list[str] = []
        self._unit = ""
        self._type = ""
        self._elements = 0
        self._parser = expat.ParserCreate()

    def fail(self, why: str) -> FmiError:
        return FmiError(f"{self.place}, line {self._parser.CurrentLineNumber}: {why}")

    def read(self, data: bytes) -> None:
        parser = self._parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise FmiError(f"{self.place}: not well formed: {error}") from None
        finally:
            parser.StartElementHandler = None  # the handlers hold the parser
            parser.EndElementHandler = None
            parser.StartDoctypeDeclHandler = None
            parser.EntityDeclHandler = None
            parser.ExternalEntityRefHandler = None

    def _refuse(self, *_: object) -> int:
        raise self.fail("a document type or an entity, which no FMU needs; it is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if len(self.path) >= DEPTH_MAX or self._elements > ELEMENTS_MAX:
            raise self.fail("nested too deep, or too long")
        above = self.path[-1] if self.path else ""
        self.path.append(name)
        if not above:
            if name != "fmiModelDescription":
                raise self.fail(f"<{name[:40]}> is no fmiModelDescription")
            self.root = attributes
        elif len(self.path) == 2:
            match name:
                case "CoSimulation":
                    self.co_simulation = attributes
                case "ModelExchange":
                    self.has_model_exchange = True
                case "DefaultExperiment":
                    self.experiment = attributes
        elif name == "Category" and above == "LogCategories":
            self.log_categories.append(attributes.get("name", ""))
        elif self.path[1] == "UnitDefinitions":
            self._in_units(name, attributes)
        elif self.path[1] == "TypeDefinitions":
            self._in_types(name, attributes)
        elif self.path[1] == "ModelVariables":
            self._in_variables(name, above, attributes)
        elif self.path[1] == "ModelStructure":
            is_output = (name == "Unknown" and above == "Outputs") or (
                name == "Output" and above == "ModelStructure"
            )
            if is_output:
                self.outputs.append(attributes)

    def _end(self, _: str) -> None:
        self.path.pop()

    def _in_units(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Unit" and len(self.path) == 3:
            self._unit = attributes.get("name", "")
            self.base_units[self._unit] = None
        elif name == "BaseUnit":
            exponents = tuple(
                (si, self._integer(attributes[si], f"exponent of {si}"))
                for si in ("kg", "m", "s", "A", "K", "mol", "cd", "rad")
                if attributes.get(si, "0") != "0"
            )
            self.base_units[self._unit] = BaseUnit(
                exponents,
                self._number(attributes.get("factor", "1"), "factor"),
                self._number(attributes.get("offset", "0"), "offset"),
            )

    def _in_types(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.path) == 3:
            self._type = attributes.get("name", "")
            self.types[self._type] = dict(attributes)
        elif len(self.path) == 4 and name in _SORTS:  # FMI 2: SimpleType around the type
            self.types[self._type].update(attributes)

    def _in_variables(self, name: str, above: str, attributes: dict[str, str]) -> None:
        if len(self.path) == 3:
            if len(self.rows) >= VARIABLES_MAX:
                raise self.fail(f"more than {VARIABLES_MAX} variables")
            type_ = name if name in _SORTS else ""
            self.rows.append((attributes, type_, attributes if type_ else {}, [], ""))
        elif len(self.path) == 4:
            row, type_, inner, dimensions, texts = self.rows[-1]
            if above == "ScalarVariable" and name in _SORTS:
                self.rows[-1] = (row, name, attributes, dimensions, texts)
            elif name == "Dimension":
                dimensions.append(attributes)
            elif name == "Start" and above == "String" and not texts:
                self.rows[-1] = (row, type_, inner, dimensions, attributes.get("value", ""))

    def described(self, platforms: tuple[str, ...], sha256: str) -> UnitDescription:
        """The description; FmiError where it contradicts itself."""
        version = self.root.get("fmiVersion", "")
        if not version.startswith(("2.", "3.")):
            raise FmiError(f"{self.place}: FMI version '{version[:20]}'; versions 2 and 3 are read")
        is_three = version.startswith("3")
        token = self.root.get("instantiationToken" if is_three else "guid", "")
        variables = self._variables()
        co_simulation = self._capabilities(is_three) if self.co_simulation is not None else None
        tolerance = self._optional(self.experiment, "tolerance")
        return UnitDescription(
            version=version,
            name=self.root.get("modelName", ""),
            token=token,
            variables=variables,
            co_simulation=co_simulation,
            feedthrough=self._feedthrough(variables, is_three),
            base_units=self.base_units,
            platforms=platforms,
            has_model_exchange=self.has_model_exchange,
            about=self.root.get("description", ""),
            tool=self.root.get("generationTool", ""),
            start_s=self._optional(self.experiment, "startTime") or 0.0,
            stop_s=self._optional(self.experiment, "stopTime"),
            step_s=self._optional(self.experiment, "stepSize"),
            tolerance=tolerance,
            log_categories=tuple(self.log_categories),
            sha256=sha256,
        )

    def _capabilities(self, is_three: bool) -> Capabilities:
        said = self.co_simulation or {}

        def can(name: str) -> bool:
            return said.get(name, "false") in ("true", "1")

        identifier = said.get("modelIdentifier", "")
        if not re.fullmatch(r"[A-Za-z_]\w{0,127}", identifier, re.ASCII):
            raise FmiError(
                f"{self.place}: modelIdentifier '{identifier[:40]}' is no name of a C function,"
                " so it names no library"
            )
        state = "State" if is_three else "state"
        return Capabilities(
            identifier,
            can_save=can(f"canGetAndSetFMU{state}"),
            can_serialise=can(f"canSerializeFMU{state}"),
            can_vary_step=can("canHandleVariableCommunicationStepSize"),
            can_interpolate=not is_three and can("canInterpolateInputs"),
            has_event_mode=is_three and can("hasEventMode"),
            can_return_early=is_three and can("mightReturnEarlyFromDoStep"),
            needs_tool=can("needsExecutionTool"),
            fixed_step_s=self._optional(said, "fixedInternalStepSize"),
        )

    def _variables(self) -> tuple[Variable, ...]:
        sizes: dict[int, int] = {}
        found: list[Variable] = []
        names: set[str] = set()
        for row, type_, inner, _, _ in self.rows:
            if type_ and row.get("causality") == "structuralParameter" and "start" in inner:
                reference = self._integer(row.get("valueReference", ""), "valueReference")
                sizes[reference] = self._integer(inner["start"].split()[0], "a dimension")
        for row, type_, inner, dimensions, text in self.rows:
            name = row.get("name", "")
            if not type_:
                raise FmiError(f"{self.place}: variable '{name[:80]}' has no type that FMI knows")
            if not name or name in names:
                raise FmiError(f"{self.place}: variable '{name[:80]}' has no name of its own")
            names.add(name)
            found.append(self._variable(name, row, type_, inner, dimensions, text, sizes))
        return tuple(found)

    def _variable(
        self, name: str, row: dict[str, str], type_: str, inner: dict[str, str],
        dimensions: list[dict[str, str]], text: str, sizes: dict[int, int],
    ) -> Variable:  # fmt: skip
        declared = self.types.get(inner.get("declaredType", ""), {})
        place = f"variable '{name[:80]}'"
        size = 1
        for dimension in dimensions:
            if "start" in dimension:
                size *= self._integer(dimension["start"], f"a dimension of {place}")
            else:
                of = self._integer(dimension.get("valueReference", ""), f"a dimension of {place}")
                if of not in sizes:
                    raise FmiError(f"{self.place}: {place} has a dimension of unknown length")
                size *= sizes[of]
        if not 1 <= size <= ARRAY_SIZE_MAX:
            raise FmiError(f"{self.place}: {place} would hold {size} values")
        sort = _SORTS[type_]
        start: tuple[float, ...] = ()
        if sort.is_number and "start" in inner:
            words = inner["start"].split()[:ARRAY_SIZE_MAX]
            start = tuple(self._value(word, sort, place) for word in words)
            if len(start) == 1 and size > 1:
                start *= size
            if len(start) != size:
                raise FmiError(f"{self.place}: {place} holds {size}, but starts with {len(start)}")
        return Variable(
            name,
            self._integer(row.get("valueReference", ""), f"the valueReference of {place}"),
            type_,
            causality=row.get("causality", "local"),
            variability=row.get("variability", ""),
            initial=row.get("initial", ""),
            unit=inner.get("unit") or declared.get("unit", ""),
            start=start,
            start_text=text or inner.get("start", "") if sort is Sort.TEXT else "",
            low=self._bound(inner, declared, "min", sort, place),
            high=self._bound(inner, declared, "max", sort, place),
            size=size,
            about=row.get("description", ""),
        )

    def _feedthrough(
        self, variables: tuple[Variable, ...], is_three: bool
    ) -> dict[str, tuple[str, ...] | None]:
        by_reference: dict[int, Variable] = {}
        for variable in variables:
            by_reference.setdefault(variable.reference, variable)

        def at(text: str) -> Variable:
            number = self._integer(text, "an entry of ModelStructure")
            if is_three:
                found = by_reference.get(number)
            else:
                found = variables[number - 1] if 1 <= number <= len(variables) else None
            if found is None:
                raise FmiError(f"{self.place}: ModelStructure speaks of variable {number}: none")
            return found

        found: dict[str, tuple[str, ...] | None] = {
            v.name: None for v in variables if v.causality == "output" and v.sort.is_number
        }
        for row in self.outputs:
            output = at(row.get("valueReference" if is_three else "index", ""))
            said = row.get("dependencies")
            if said is not None:
                on = [at(word) for word in said.split()]
                found[output.name] = tuple(v.name for v in on if v.causality == "input")
        return found

    # --- numbers ---

    def _integer(self, text: str, what: str) -> int:
        try:
            return int(text) if len(text) <= 20 else int("")
        except ValueError:
            raise FmiError(f"{self.place}: {what} is '{text[:20]}', no whole number") from None

    def _number(self, text: str, what: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise FmiError(f"{self.place}: {what} is '{text[:40]}', no number")
        return number

    def _value(self, text: str, sort: Sort, place: str) -> float:
        if sort is Sort.BOOL:
            if text not in ("true", "false", "1", "0"):
                raise FmiError(f"{self.place}: {place} starts with '{text[:40]}', no truth value")
            return float(text in ("true", "1"))
        return self._number(text, f"the start of {place}")

    def _optional(self, attributes: Mapping[str, str], name: str) -> float | None:
        text = attributes.get(name)
        return None if text is None else self._number(text, name)

    def _bound(
        self, inner: Mapping[str, str], declared: Mapping[str, str], name: str, sort: Sort,
        place: str,
    ) -> float | None:  # fmt: skip
        text = inner.get(name, declared.get(name))
        if text is None or not sort.is_number:
            return None
        if text.lstrip("+-").upper() in ("INF", "INFINITY"):
            return None
        return self._number(text, f"{name} of {place}")
