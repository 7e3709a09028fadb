"""Units that the tests compile: small models in C behind FMI 2 and FMI 3, with known answers."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import quoteattr

import fmpy
import pytest

from mirrorworld.simulation.fmi.allowed import AllowList
from mirrorworld.simulation.fmi.archive import library_suffix, platform_folder

HERE = Path(__file__).parent / "c"
HEADERS = Path(fmpy.__file__).parent / "c-code"
TOKEN = "{8c4e810f-3df3-4a00-8276-176fa3c9f9e0}"

needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="no C compiler; install gcc to build the units"
)


@dataclass(frozen=True)
class Var:
    """One variable of a unit to build."""

    name: str
    reference: int
    causality: str = "local"
    type: str = "Real"
    unit: str = ""
    start: str = ""
    depends: tuple[str, ...] | None = ()
    size: int = 1
    extra: str = ""


SI = {
    "N": "kg='1' m='1' s='-2'", "m": "m='1'", "m/s": "m='1' s='-1'", "kg": "kg='1'",
    "kN": "kg='1' m='1' s='-2' factor='1000'", "N/m": "kg='1' s='-2'",
    "degC": "K='1' offset='273.15'", "m/s2": "m='1' s='-2'", "s": "s='1'", "1/s": "s='-1'",
    "Pa": "kg='1' m='-1' s='-2'", "rpm": "s='-1' rad='1' factor='0.10471975511965977'",
}  # fmt: skip

MODELS: dict[str, tuple[Var, ...]] = {
    "Dahlquist": (Var("x", 0, "output", start="1"), Var("k", 1, "parameter", start="1")),
    "Ball": (
        Var("h", 0, "output", unit="m"), Var("v", 1, "output", unit="m/s"),
        Var("g", 2, "parameter", unit="m/s2", start="9.81"), Var("e", 3, "parameter", start="0.7"),
        Var("bounces", 0, "output", "Integer"),
    ),
    "Mass": (
        Var("force", 0, "input", unit="N", start="0"), Var("x", 1, "output", unit="m"),
        Var("v", 2, "output", unit="m/s"), Var("m", 3, "parameter", unit="kg", start="1"),
    ),
    "Spring": (
        Var("speed", 0, "input", unit="m/s", start="0"), Var("force", 1, "output", unit="N"),
        Var("stretch", 2, "output", unit="m"), Var("v", 3, "output", unit="m/s"),
        Var("k", 4, "parameter", unit="N/m", start="1"),
        Var("m", 5, "parameter", unit="kg", start="1"),
    ),
    "Bad": (
        Var("y", 0, "output"), Var("at", 1, "parameter", start="1"),
        Var("how", 0, "parameter", "Integer", start="0"),
        Var("path", 0, "parameter", "String", start=""),
    ),
    "Gain": (
        Var("u", 0, "input", start="0"), Var("y", 1, "output", depends=("u",)),
        Var("g", 2, "parameter", start="1"), Var("c", 3, "parameter", start="0"),
    ),
    "Clockwork": (
        Var("period", 0, "parameter", start="0.25"), Var("count", 0, "output", "Integer"),
        Var("u", 1, "input", start="0"), Var("seen", 2, "output"),
    ),
}  # fmt: skip


@functools.cache
def _library(model: str, version: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "unit.so"
        sources = sorted(HERE.glob(f"fmi{version[0]}*.c"))
        command = ["cc", "-shared", "-fPIC", "-O1", "-w", f"-D{model.upper()}"]
        command += [f'-DTOKEN="{TOKEN}"', f"-I{HEADERS}", "-o", str(target)]
        subprocess.run([*command, *map(str, sources), "-lm"], check=True, timeout=60)
        return target.read_bytes()


def build(
    into: Path,
    model: str,
    version: str = "2.0",
    *,
    name: str = "",
    variables: tuple[Var, ...] | None = None,
    platform: str = "",
    **capabilities: bool,
) -> Path:
    """Builds a unit; capabilities are those of its CoSimulation element."""
    folder = platform or platform_folder(version)
    path = into / f"{name or model}{version[0]}.fmu"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        text = description(model, version, variables or MODELS[model], capabilities)
        archive.writestr("modelDescription.xml", text)
        archive.writestr(f"binaries/{folder}/{model}{library_suffix()}", _library(model, version))
    return path


def description(
    model: str, version: str, variables: tuple[Var, ...], capabilities: Mapping[str, bool]
) -> str:
    """The model description of a unit."""
    is_three = version.startswith("3")
    can = {
        f"canGetAndSetFMU{'State' if is_three else 'state'}": True,
        "canHandleVariableCommunicationStepSize": True,
        **capabilities,
    }
    said = " ".join(f"{key}='{str(value).lower()}'" for key, value in can.items())
    token = "instantiationToken" if is_three else "guid"
    used = sorted({v.unit for v in variables if v.unit})
    units = "".join(f"<Unit name={quoteattr(u)}><BaseUnit {SI[u]}/></Unit>" for u in used)
    rows = [("time", 99, "independent", "Float64", "", "")] if is_three else []
    xml = [
        f"<?xml version='1.0' encoding='UTF-8'?><fmiModelDescription fmiVersion='{version}'"
        f" modelName='{model}' {token}='{TOKEN}'>",
        f"<CoSimulation modelIdentifier='{model}' {said}/>",
        f"<UnitDefinitions>{units}</UnitDefinitions>" if units else "",
        "<ModelVariables>",
    ]
    for row in rows:
        xml.append(
            f"<Float64 name='{row[0]}' valueReference='{row[1]}' causality='independent'"
            " variability='continuous'/>"
        )
    for v in variables:
        xml.append(_three(v) if is_three else _two(v))
    xml.append("</ModelVariables><ModelStructure>")
    outputs = [v for v in variables if v.causality == "output"]
    if is_three:
        by_name = {v.name: _reference(v) for v in variables}
        for tag in ("Output", "InitialUnknown"):
            xml += [_unknown(tag, "valueReference", by_name[v.name], v, by_name) for v in outputs]
    else:
        by_name = {v.name: n + 1 for n, v in enumerate(variables)}
        for tag in ("Outputs", "InitialUnknowns"):
            inner = [_unknown("Unknown", "index", by_name[v.name], v, by_name) for v in outputs]
            xml.append(f"<{tag}>{''.join(inner)}</{tag}>")
    xml.append("</ModelStructure></fmiModelDescription>")
    return "".join(xml)


def _unknown(tag: str, key: str, at: int, v: Var, by_name: Mapping[str, int]) -> str:
    said = ""
    if v.depends is not None:
        said = f" dependencies='{' '.join(str(by_name[name]) for name in v.depends)}'"
    return f"<{tag} {key}='{at}'{said}/>"


def _reference(v: Var) -> int:
    """FMI 3 has one number for every variable; the C side takes it modulo its tables."""
    return v.reference + (16 if v.type == "Integer" else 0)


def _how(v: Var) -> str:
    variability = {"parameter": "fixed"}.get(
        v.causality, "continuous" if v.type == "Real" else "discrete"
    )
    initial = {"parameter": " initial='exact'", "output": " initial='calculated'"}
    return f"causality='{v.causality}' variability='{variability}'{initial.get(v.causality, '')}"


def _start(v: Var) -> str:
    is_said = v.causality != "output" and (v.start or v.type == "String")
    return f" start='{v.start}'" if is_said else ""


def _two(v: Var) -> str:
    unit = f" unit={quoteattr(v.unit)}" if v.unit else ""
    return (
        f"<ScalarVariable name='{v.name}' valueReference='{v.reference}' {_how(v)}>"
        f"<{v.type}{unit}{_start(v)}{v.extra}/></ScalarVariable>"
    )


def _three(v: Var) -> str:
    type_ = {"Real": "Float64", "Integer": "Int32"}[v.type]
    unit = f" unit={quoteattr(v.unit)}" if v.unit else ""
    dimension = f"<Dimension start='{v.size}'/>" if v.size > 1 else ""
    return (
        f"<{type_} name='{v.name}' valueReference='{_reference(v)}' {_how(v)}{unit}{_start(v)}"
        f"{v.extra}>{dimension}</{type_}>"
    )


def allowed(directory: Path, *paths: Path) -> AllowList:
    """A list in a directory on which these units are."""
    found = AllowList(directory)
    for path in paths:
        found.allow(path, by="owner", at="2026-01-01T00:00:00Z")
    return found
