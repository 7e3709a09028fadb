"""A Python model as an FMU (FMI 2.0 co-simulation), through pythonfmu.

The FMU holds the model's own file, what it is told to take along, pythonfmu, and `slave.py`; it
needs a Python with whatever else the model imports. It is built in a process of its own, since
building imports the model under another name and leaves the import path changed.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from mirrorworld import units
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.python_unit import checked
from mirrorworld.simulation.fmi.quantities import has_angle

TIMEOUT_S: Final = 120.0

_SI: Final = {
    "[mass]": "kg", "[length]": "m", "[time]": "s", "[current]": "A", "[temperature]": "K",
    "[substance]": "mol", "[luminosity]": "cd",
}  # fmt: skip


def export(made: Any, into: Path, *, takes_along: Iterable[Path] = ()) -> Path:
    """Writes a model as an FMU.

    Args:
        made: the class; see `python_unit.py` for its shape. It stands in a file of its own name.
        into: the FMU to write, or a folder for `CLASS.fmu`.
        takes_along: further files and folders that the model imports or reads.

    Returns:
        The FMU's path.

    Raises:
        FmiError: it is no model, cannot be imported on its own, or pythonfmu is not installed.
    """
    if importlib.util.find_spec("pythonfmu") is None:
        raise FmiError("FMUs are made through pythonfmu; pip install 'mirrorworld[fmi]' brings it")
    name = getattr(made, "__qualname__", "")
    checked(made, name or repr(made))
    source = inspect.getsourcefile(made)
    if source is None or not name.isidentifier():
        raise FmiError(f"{name}: only a class of a module that is a file can be exported")
    target = into if into.suffix == ".fmu" else into / f"{name}.fmu"
    with tempfile.TemporaryDirectory(prefix="mirrorworld-export-") as folder:
        built = Path(folder)
        said = {
            "module": Path(source).stem,
            "class": name,
            "about": " ".join((inspect.getdoc(made) or "").split()),
            "units": _base_units(made),
        }
        (built / "described.json").write_text(json.dumps(said), encoding="utf-8")
        shutil.copy(Path(__file__).with_name("slave.py"), built / "slave.py")
        along = [str(Path(source).resolve()), *(str(path.resolve()) for path in takes_along)]
        arguments = [str(built / "slave.py"), str(built / "out"), str(built / "described.json")]
        done = subprocess.run(
            [sys.executable, "-m", "mirrorworld.simulation.fmi.export", *arguments, *along],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise FmiError(f"{name}: pythonfmu could not build the FMU: {last}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(built / "out" / f"{name}.fmu", target)
    return target


def _base_units(made: Any) -> dict[str, dict[str, str]]:
    """UCUM unit -> attributes of FMI's BaseUnit, for all that can be said so."""
    used = {unit for _, unit in [*made.inputs.values(), *made.parameters.values()]}
    used |= set(made.outputs.values())
    found: dict[str, dict[str, str]] = {}
    for ucum in sorted(used - {""}):
        unit = units.parse(ucum)
        exponents = _exponents(unit.dimension)
        if exponents is None or unit.is_level:
            continue
        base = ".".join(f"{si}{n}" for si, n in exponents.items()) or "1"
        factor, offset = units.linear(ucum, base)
        attributes = {si: str(n) for si, n in exponents.items()}
        if has_angle(ucum):
            attributes["rad"] = "1"
        if factor != 1.0:
            attributes["factor"] = repr(factor)
        if offset != 0.0:
            attributes["offset"] = repr(offset)
        found[ucum] = attributes
    return found


def _exponents(dimension: str) -> dict[str, int] | None:
    """`[mass] * [length] ** 2 / [time] ** 3` -> {kg: 1, m: 2, s: -3}; None beyond SI."""
    found: dict[str, int] = {}
    for sign, name, power in re.findall(r"(^|\* |/ )?(\[\w+\])(?: \*\* (\d+))?", dimension):
        if name not in _SI:
            return None
        found[_SI[name]] = int(power or 1) * (-1 if sign.startswith("/") else 1)
    return found


def _build(script: str, into: str, *along: str) -> None:
    from pythonfmu.builder import FmuBuilder

    Path(into).mkdir()
    FmuBuilder.build_FMU(script, into, project_files=along, canGetAndSetFMUstate=True)


if __name__ == "__main__":
    _build(*sys.argv[1:])
