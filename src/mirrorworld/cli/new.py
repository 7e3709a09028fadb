"""Commands that write something to begin with: `mirrorworld new connector`, `new world`."""

from __future__ import annotations

import datetime
import keyword
import re
import shlex
import zoneinfo
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Final

import typer

from mirrorworld.cli.commands import app, fail
from mirrorworld.installed import connectors
from mirrorworld.kept import directory_of

new = typer.Typer(
    help="Write something to begin with, that works as it stands.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(new, name="new")

ENTRY_POINTS: Final = '[project.entry-points."mirrorworld.connectors"]\n'


@new.command()
def connector(
    name: Annotated[str, typer.Argument(help="As a module's: small letters, digits and '_'.")],
    directory: Annotated[
        Path,
        typer.Option(
            "--dir", help="A checkout of Mirrorworld, or the folder for a package of its own."
        ),
    ] = Path("."),
) -> None:
    """Write a connector and its contract test, which pass at once."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        fail(f"'{name}' cannot name a connector: small letters, digits and '_', a letter first")
    if _scheme(name) in connectors():
        fail(f"there is a connector for {_scheme(name)}:// already; choose another name")
    in_tree = (directory / "src" / "mirrorworld" / "connectors").is_dir()
    if in_tree:
        written = _in_tree(name, directory)
    else:
        written = _as_package(name, directory / f"mirrorworld-{_scheme(name)}")
    for path in written:
        print(path)
    test = next(path for path in written if path.name.startswith("test_"))
    if in_tree:
        print(f"next: make setup, then .venv/bin/python -m pytest {test.relative_to(directory)}")
    else:
        root = test.parent.parent
        print(f"next: pip install -e '{root}[test]', then python -m pytest {root}")


@new.command()
def world(
    name: Annotated[str, typer.Argument(help="What the world and its folder are called.")],
    directory: Annotated[Path, typer.Option("--dir", help="Where the folder is made.")] = Path("."),
    time_zone: Annotated[
        str, typer.Option("--zone", help="Time zone of its shifts, as Europe/Berlin.")
    ] = "UTC",
) -> None:
    """Write a world as a folder that lives in git and starts as it stands."""
    from mirrorworld.cli.pump_room import recordings

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        fail(f"'{name[:80]}' cannot name a world: letters, digits, '-', '_', '.' can")
    if time_zone not in zoneinfo.available_timezones():
        fail(f"'{time_zone[:80]}' is no time zone; one reads like Europe/Berlin")
    if directory_of(name).exists():
        fail(f"a world '{name}' is kept here already ({directory_of(name)}); choose another name")
    root = directory / name
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    filled = {
        root / target: _from("world", source, name=name, title=_title(name), zone=time_zone)
        for target, source in (
            ("world.yaml", "world.yaml"),
            ("README.md", "README.md"),
            (".gitignore", "gitignore"),
            ("test_world.py", "test_world.py"),
        )
    }
    data = root / "data"
    filled |= {data / f"{machine}.csv": text for machine, text in recordings(now).items()}
    _write(filled)
    for path in filled:
        print(path)
    print(f"next: mirrorworld up {shlex.quote(str(root))}")


def _in_tree(name: str, root: Path) -> list[Path]:
    module = f"mirrorworld.connectors.{name}"
    source = root / "src" / "mirrorworld" / "connectors" / f"{name}.py"
    test = root / "tests" / "connectors" / f"test_{name}.py"
    project = root / "pyproject.toml"
    try:
        text = project.read_text(encoding="utf-8")
    except OSError as error:
        fail(f"{project}: {error.strerror}; --dir names a checkout, or another folder")
        raise
    if text.count(ENTRY_POINTS) != 1:
        fail(f"{project}: there is no table {ENTRY_POINTS.strip()} to add the connector to")
    _write({source: _filled("connector.py", name, module), test: _test(name, module)})
    entry = f'{ENTRY_POINTS}{name} = "{module}:{_cls(name)}"\n'
    project.write_text(text.replace(ENTRY_POINTS, entry), encoding="utf-8")
    return [source, test, project]


def _as_package(name: str, root: Path) -> list[Path]:
    package = f"mirrorworld_{name}"
    module = f"{package}.connector"
    texts = {
        root / "pyproject.toml": _filled("pyproject.toml", name, module),
        root / "README.md": _filled("README.md", name, module),
        root / "src" / package / "__init__.py": f'"""Mirrorworld connector: {_title(name)}."""\n',
        root / "src" / package / "connector.py": _filled("connector.py", name, module),
        root / "tests" / f"test_{name}.py": _test(name, module),
    }
    _write(texts)
    return list(texts)


def _write(texts: dict[Path, str]) -> None:
    """Writes all of them, or none where one is there already."""
    for path in texts:
        if path.exists():
            fail(f"{path} is there already; nothing was written")
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")


def _test(name: str, module: str) -> str:
    return _filled("test_connector.py", name, module)


def _filled(template: str, name: str, module: str) -> str:
    """A template of cli/templates/connector with the names filled in."""
    return _from(
        "connector",
        template,
        name=name,
        cls=_cls(name),
        title=_title(name),
        module=module,
        dashed=_scheme(name),
        scheme=_scheme(name),
    )


def _from(folder: str, template: str, **names: str) -> str:
    """A template of cli/templates with the names filled in."""
    path = files("mirrorworld.cli") / "templates" / folder / f"{template}.txt"
    return Template(path.read_text(encoding="utf-8")).substitute(names)


def _scheme(name: str) -> str:
    """`heat_pump` → `heat-pump`: the scheme of a URL has no '_' (RFC 3986 §3.1)."""
    return name.replace("_", "-")


def _cls(name: str) -> str:
    """`heat_pump` → `HeatPump`."""
    return "".join(part.capitalize() for part in name.split("_"))


def _title(name: str) -> str:
    """`heat_pump` → `Heat pump`."""
    return name.replace("_", " ").strip().capitalize()
