"""Patterns: what they match and capture, and that no pattern can make anybody wait."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorworld.mapping.globs import CAPTURES_MAX, LENGTH_MAX, Glob, Template


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("plant/*/Pump{n}", "plant/hall/Pump7", {"n": "7"}),
        ("plant/*/Pump{n}", "plant/hall/east/Pump7", None),
        ("plant/*/Pump{n}", "plant/hall/Pump", None),
        ("plant/**/Pump{n:int}", "plant/hall/east/Pump07", {"n": "07"}),
        ("plant/**/Pump{n:int}", "plant/Pump1", {"n": "1"}),
        ("plant/**/Pump{n:int}", "plant/Pump1a", None),
        ("plant/**", "plant", None),
        ("plant/**", "plant/a/b", {}),
        ("**/b/**/c", "a/b/x/b/c", {}),
        ("{hall}-{n}", "a-b-3", {"hall": "a", "n": "b-3"}),
        ("*{n:int}x", "a12b34x", {"n": "34"}),
        ("*{n:int}*", "a12b34", {"n": "12"}),
        ("P?", "P1", {}),
        ("P?", "P/", None),
        (r"a\*b\{c\}", "a*b{c}", {}),
        (".+", "aa", None),
        ("urn:plant:{n}", "urn:plant:tank/2", None),
        ("urn:plant:{n}", "urn:plant:tank", {"n": "tank"}),
    ],
)
def test_what_matches(pattern: str, text: str, found: dict[str, str] | None) -> None:
    assert Glob(pattern).match(text) == found


def test_names_have_no_steps() -> None:
    assert Glob("Pump {n}", is_path=False).match("Pump 3/4") == {"n": "3/4"}
    assert Glob("**", is_path=False).match("a/b\nc") == {}


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "empty"),
        ("Pump{n", "not closed"),
        ("Pump{n}}", "closes nothing"),
        ("Pump{1n}", "names no capture"),
        ("Pump{n:float}", "'float' is not known"),
        ("{n}{m}", "side by side"),
        ("*{n}", "side by side"),
        ("{n}/{n}", "stands twice"),
        ("P1{n:int}", "a digit right before"),
        ("a**", "stands alone between slashes"),
        ("a\\", "backslash at the end"),
        ("a" * (LENGTH_MAX + 1), "characters"),
        ("/".join(f"{{c{i}}}" for i in range(CAPTURES_MAX + 1)), "captures"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Glob(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * 200 + "*b", "a" * 100_000),
        ("**/" + "*a*/**/" * 60 + "b", "a/" * 50_000),
        ("{a}x{b}x{c}x{d}y", "x" * 100_000),
        ("*{n:int}x", "1" * 100_000),
        ("*?{n:int}x*", "12" * 50_000),
        ("*{a:int}*{b:int}*{c:int}y", "1-" * 50_000),
    ],
)
@pytest.mark.timeout(30)
def test_no_pattern_backtracks_without_end(pattern: str, text: str) -> None:
    """An engine that tried each way to part these texts would not come back within a lifetime."""
    assert Glob(pattern).match(text) is None
    assert Glob(pattern, is_path=False).match(text) is None if "**" not in pattern else True


def plainly(pattern: str, text: str) -> bool:
    """Whether a pattern of `*`, `?`, `/`, `**` steps and letters matches: each way is tried."""
    if pattern == "**":
        return text != ""
    if pattern.startswith("**/"):
        rest = pattern[3:]
        starts = [0] + [i + 1 for i, c in enumerate(text) if c == "/"]
        return any(plainly(rest, text[i:]) for i in starts)
    if not pattern:
        return not text
    head = pattern[0]
    if head == "*":
        ends = [i for i in range(len(text) + 1) if "/" not in text[:i]]
        return any(plainly(pattern[1:], text[i:]) for i in ends)
    if not text:
        return False
    return (head == text[0] or (head == "?" and text[0] != "/")) and plainly(pattern[1:], text[1:])


STEP = st.text("ab*?", max_size=4).filter(lambda s: "**" not in s) | st.just("**")


@given(st.lists(STEP, min_size=1, max_size=4).map("/".join), st.text("ab/", max_size=9))
def test_it_matches_what_the_plain_reading_matches(pattern: str, text: str) -> None:
    if pattern:
        assert (Glob(pattern).match(text) is not None) == plainly(pattern, text)


@given(st.text(string.printable, min_size=1, max_size=30), st.text(max_size=30))
def test_any_text_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    try:
        glob = Glob(pattern)
    except ValueError:
        return
    glob.match(text)


@given(st.text(min_size=1, max_size=30))
def test_an_escaped_text_matches_itself(text: str) -> None:
    assert Glob("".join(f"\\{c}" for c in text), is_path=False).match(text) == {}


def test_texts_are_filled_in() -> None:
    template = Template("{{Pump}} {n:03} of {hall}")
    assert template.holes == {"n", "hall"}
    assert template.fill({"n": "07", "hall": "x"}) == "{Pump} 007 of x"
    assert Template("{n:02}").fill({"n": "123"}) == "123"
    with pytest.raises(ValueError, match=r"\{n\} is 'x', which is no number"):
        template.fill({"n": "x", "hall": ""})
    with pytest.raises(ValueError, match=r"\{m\} is captured by no pattern"):
        Template("{m}").check(["n"])
    with pytest.raises(ValueError, match="becomes"):
        Template("{n}{n}{n}").fill({"n": "x" * 1_000})


@pytest.mark.parametrize("text", ["{", "{n", "{n:3}", "{n:099}", "}", "{n!r}", "{n.x}", "{0}"])
def test_what_is_no_text_to_fill_in_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="character"):
        Template(text)
