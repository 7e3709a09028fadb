"""Every sentence of the page is there in every language that it speaks, and none is left over."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[2] / "web" / "src"
LANGUAGES = sorted(path.name for path in (SOURCES / "words").iterdir())
LITERAL = r'"((?:[^"\\\n]|\\.)*)"'
CALL = re.compile(rf"\bt\(\s*{LITERAL}")
CHOICE = re.compile(rf"\bt\(\s*[^()\"]*(?:\([^()]*\))?[^()\"]*\?\s*{LITERAL}\s*:\s*{LITERAL}")
ANY = re.compile(LITERAL)
PLACE = re.compile(r"\{(\w+)\}")


def read(text: str) -> str:
    return json.loads(f'"{text}"')


@pytest.fixture(scope="module")
def spoken() -> dict[str, str]:
    """Sentences in calls of `t`, and where the first of each stands."""
    found: dict[str, str] = {}
    for path in sorted(SOURCES.rglob("*.ts")):
        text = path.read_text(encoding="utf-8")
        for match in (*CALL.finditer(text), *CHOICE.finditer(text)):
            for sentence in match.groups():
                found.setdefault(read(sentence), path.relative_to(SOURCES).as_posix())
    assert len(found) > 100
    return found


@pytest.fixture(scope="module", params=LANGUAGES)
def words(request: pytest.FixtureRequest) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted((SOURCES / "words" / request.param).glob("*.json")):
        for english, other in json.loads(path.read_text(encoding="utf-8")).items():
            assert found.setdefault(english, other) == other, f"{path.name}: '{english}' differs"
    return found


def test_nothing_is_unsaid(spoken: dict[str, str], words: dict[str, str]) -> None:
    missing = [f"{where}: {s}" for s, where in spoken.items() if s not in words]
    assert not missing, "\n".join(missing)


def test_nothing_is_said_that_nobody_asks_for(words: dict[str, str]) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.ts"))
    text += (SOURCES.parent / "index.html").read_text(encoding="utf-8")
    literals = set(ANY.findall(text))
    for match in sorted(literals):
        with suppress(json.JSONDecodeError):  # between two quotes of a pattern lies no sentence
            literals.add(read(match))
    assert sorted(set(words) - literals) == []


def test_what_is_filled_in_is_the_same(words: dict[str, str]) -> None:
    for english, other in words.items():
        assert other.strip(), english
        assert sorted(set(PLACE.findall(english))) == sorted(set(PLACE.findall(other))), english


@pytest.mark.browser
def test_the_page_speaks_the_language_of_its_reader(line, open_page) -> None:
    """No sentence that has a German form is left in English anywhere on the page."""
    german: dict[str, str] = {}
    for path in (SOURCES / "words" / "de").glob("*.json"):
        german.update(json.loads(path.read_text(encoding="utf-8")))
    page = open_page(line, with_scene=False, locale="de-DE", width=1280, height=800)
    assert page.evaluate("document.documentElement.lang") == "de"
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    said = page.evaluate(
        """() => {
          const said = new Set();
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) said.add(walk.currentNode.data.trim());
          for (const each of document.querySelectorAll("[title], [aria-label], [placeholder]"))
            for (const name of ["title", "aria-label", "placeholder"])
              said.add((each.getAttribute(name) ?? "").trim());
          return [...said];
        }"""
    )
    english = {s for s in german if german[s] != s}
    # What twins, types and points of the plant are called may be anything, and so are keys.
    names = {"Line", "Time", "End"}
    assert {s for s in said if s in english} <= names
    assert {"Tasten", "Zwillinge"} <= set(said)
