"""What the documentation shows is run.

Every ```python block of a page runs, in order, in one namespace per page and in
an empty folder. A block that cannot run says why in a comment just above it:
`<!-- not run: needs a plant -->`. Examples in docstrings run as doctests.
"""

from __future__ import annotations

import doctest
import importlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "src"
PAGES = [
    path
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    if path.is_file()
]
BLOCK = re.compile(
    r"^(?:<!--[ ]not[ ]run:[ ]?(?P<reason>[^>]*?)[ ]*-->\n+)?"
    r"^(?P<fence>`{3,})python[^\n]*\n(?P<code>.*?)^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Snippet:
    """One block of Python on a page. `reason` is None where it runs."""

    line: int
    code: str
    reason: str | None


def snippets(text: str) -> list[Snippet]:
    """The blocks of a page, in order."""
    return [
        Snippet(text.count("\n", 0, found.start("code")), found["code"], found["reason"])
        for found in BLOCK.finditer(text)
    ]


def run_page(name: str, text: str) -> int:
    """Run the blocks of a page; return how many ran."""
    namespace: dict[str, object] = {"__name__": f"docs:{name}"}
    ran = 0
    for snippet in snippets(text):
        if snippet.reason is not None:
            assert snippet.reason, f"{name}:{snippet.line}: a block that is not run says why"
            continue
        # Blank lines in front make the line numbers of a traceback those of the page.
        code = compile("\n" * snippet.line + snippet.code, name, "exec")
        exec(code, namespace)
        ran += 1
    return ran


WITH_CODE = [page for page in PAGES if snippets(page.read_text())]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_page(page.relative_to(ROOT).as_posix(), page.read_text())


def with_doctests() -> list[str]:
    return [
        ".".join(path.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(SOURCES.rglob("*.py"))
        if re.search(r"^\s*>>> ", path.read_text(), re.MULTILINE)
    ]


@pytest.mark.parametrize("module", with_doctests())
def test_docstring_examples_run(module: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(importlib.import_module(module), optionflags=flags)
    assert tried > 0
    assert failed == 0


def test_a_wrong_snippet_fails_at_its_own_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_page("page.md", "one\n\n```python\nx = 1\nx / 0\n```\n")
    assert caught.traceback[-1].lineno + 1 == 5  # pytest counts lines from 0


def test_a_block_is_left_out_only_with_a_reason() -> None:
    page = "<!-- not run:{} -->\n```python\n1 / 0\n```\n"
    assert run_page("page.md", page.format(" needs a plant")) == 0
    with pytest.raises(AssertionError, match="says why"):
        run_page("page.md", page.format(""))


def test_blocks_of_a_page_share_their_names() -> None:
    assert run_page("page.md", "```python\nx = 1\n```\ntext\n```python\nassert x == 1\n```\n") == 2


def test_every_door_and_its_members_are_documented() -> None:
    """The extension surface is small; all of it is on one page."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "extending.md").read_text()
    for group, members in project["entry-points"].items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{group}`")]
        assert [name for name in members if f"`{name}`" not in row] == []
