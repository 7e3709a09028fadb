"""The package as people install it: page inside, no machine's traces, doors registered."""

from __future__ import annotations

import email
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distributions, entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built with what is installed; the page is up to date already."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_carries_page_worlds_and_typing_marker(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert "mirrorworld/server/static/index.html" in names
    assert any(re.fullmatch(r"mirrorworld/server/static/assets/.*\.js", name) for name in names)
    assert "mirrorworld/py.typed" in names
    assert "mirrorworld_worlds/__init__.py" in names
    assert not [name for name in names if "node_modules" in name or name.endswith(".pyc")]


def test_page_in_the_wheel_fetches_nothing_from_elsewhere(wheel: zipfile.ZipFile) -> None:
    """Law 8: the page's own document names no other host."""
    page = wheel.read("mirrorworld/server/static/index.html").decode()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_sdist_needs_no_node_to_become_a_wheel(tmp_path: Path) -> None:
    """It carries the built page, and the stamp that says so."""
    hatchling = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    subprocess.run([*hatchling, "-t", "sdist"], cwd=ROOT, capture_output=True, check=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path)
    (unpacked,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    subprocess.run([*hatchling, "-t", "wheel"], cwd=unpacked, capture_output=True, check=True)
    (path,) = tmp_path.glob("*.whl")
    assert "mirrorworld/server/static/index.html" in zipfile.ZipFile(path).namelist()
    assert not (unpacked / "web" / "node_modules").exists()


def test_page_that_does_not_build_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hatch_build

    web, static = tmp_path / "web", tmp_path / "static"
    for folder, name in ((web, "main.ts"), (static, "index.html")):
        folder.mkdir()
        (folder / name).write_text("old")

    def fail(*arguments: str, cwd: Path) -> None:
        raise SystemExit("tsc: not today")

    monkeypatch.setattr(hatch_build, "WEB", web)
    monkeypatch.setattr(hatch_build, "STATIC", static)
    monkeypatch.setattr(hatch_build, "install_modules", lambda folder: False)
    monkeypatch.setattr(hatch_build, "npm", fail)
    with pytest.raises(SystemExit, match="not today"):
        hatch_build.build_page()
    assert (static / "index.html").read_text() == "old"


def test_worlds_are_read_from_the_checkout_in_an_editable_install() -> None:
    import mirrorworld_worlds

    assert [Path(path) for path in mirrorworld_worlds.__path__] == [ROOT / "worlds"]


def test_wheel_asks_for_few_things(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    required = email.message_from_bytes(wheel.read(metadata)).get_all("Requires-Dist") or []
    core = [line for line in required if "extra ==" not in line]
    assert len(core) == len(PROJECT["dependencies"])
    assert not any("numba" in line or "asyncua" in line for line in core)


def test_doors_are_registered_as_the_project_says() -> None:
    for group, members in PROJECT["entry-points"].items():
        installed = {entry.name: entry.value for entry in entry_points(group=group)}
        assert members.items() <= installed.items(), f"{group}: `make setup` installs it anew"


@pytest.mark.parametrize("group", PROJECT["entry-points"])
def test_what_a_door_names_can_be_loaded(group: str) -> None:
    for entry in entry_points(group=group):
        entry.load()


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing says which files are tracked")
    listed = subprocess.run(
        [git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_lock_file_names_a_registry() -> None:
    """A lock that names the host it was made with works nowhere else."""
    locks = [path for path in tracked_files() if path.name == "package-lock.json"]
    assert locks
    for path in locks:
        packages = json.loads(path.read_text())["packages"]
        assert not [name for name, entry in packages.items() if "resolved" in entry], path
        assert all("integrity" in entry for name, entry in packages.items() if name), path


def test_locks_keep_the_native_parts_of_every_platform() -> None:
    """npm drops the bindings of other platforms when it locks beside a node_modules."""
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    for platform in ("linux-x64-gnu", "linux-arm64-gnu", "darwin-arm64", "win32-x64-msvc"):
        assert any(name.endswith(f"binding-{platform}") for name in packages), platform


def test_page_build_is_skipped_when_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    import hatch_build

    def refuse(*arguments: str, cwd: Path) -> None:
        raise AssertionError(f"npm {arguments} ran although nothing changed")

    hatch_build.build_page()
    monkeypatch.setattr(hatch_build, "npm", refuse)
    assert hatch_build.build_page() is False


def test_fingerprint_follows_names_and_contents(tmp_path: Path) -> None:
    import hatch_build

    (tmp_path / "a.ts").write_text("one")
    first = hatch_build.fingerprint(tmp_path)
    assert len(first) == hashlib.sha256().digest_size * 2
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "x").write_text("not a source")
    assert hatch_build.fingerprint(tmp_path) == first
    (tmp_path / "a.ts").write_text("two")
    second = hatch_build.fingerprint(tmp_path)
    (tmp_path / "a.ts").rename(tmp_path / "b.ts")
    assert len({first, second, hatch_build.fingerprint(tmp_path)}) == 3


def test_constraints_pin_every_dependency() -> None:
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    named = {re.split(r"[\[><=]", line)[0].lower() for group in groups for line in group}
    assert named - {"mirrorworld"} <= pinned


def test_pins_suit_the_oldest_python_that_is_promised() -> None:
    """A pin made on a newer patch release may refuse the Python that Debian ships."""
    from packaging.specifiers import SpecifierSet

    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    pinned = set((ROOT / "constraints.txt").read_text().splitlines())
    refused = [
        f"{dist.name} {dist.version} wants Python {dist.metadata['Requires-Python']}"
        for dist in distributions()
        if f"{dist.name}=={dist.version}" in pinned
        and oldest not in SpecifierSet(dist.metadata["Requires-Python"] or "")
    ]
    assert refused == []
