"""The language: what it takes, what it refuses and where, and that it always ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld.rules.compile import NUMBER, TRUTH, Expression, Input, Now, compile_
from mirrorworld.rules.language import Ref, RuleError, parse, refs
from mirrorworld.world.model import Kind

INPUTS = {
    "level": Input(Kind.FLOAT, "%"),
    "p": Input(Kind.FLOAT, "bar"),
    "q": Input(Kind.FLOAT, "m3/h"),
    "t": Input(Kind.FLOAT, "Cel"),
    "back": Input(Kind.FLOAT, "Cel"),
    "a": Input(Kind.FLOAT),
    "b": Input(Kind.FLOAT),
    "n": Input(Kind.INT),
    "on": Input(Kind.BOOL),
    "state": Input(Kind.ENUM, "", ((0, "Stopped"), (1, "Running"))),
    "text": Input(Kind.TEXT),
    "drive/speed": Input(Kind.FLOAT, "1/min"),
}


def ready(text: str, n: int = 1) -> tuple[Expression, list[Ref]]:
    node = parse(text)
    order = list(dict.fromkeys(refs(node)))
    return compile_(node, order, [INPUTS[ref.point] for ref in order], n), order


def now(order: list[Ref], values: dict[str, float | None], now_s: float = 0.0, age_s: float = 0.0):
    given = np.array([[values[ref.point] or 0.0] for ref in order], float).reshape(len(order), 1)
    known = np.array([[values[ref.point] is not None] for ref in order]).reshape(len(order), 1)
    ns = np.full(given.shape, int((now_s - age_s) * 1e9), np.int64)
    return Now(given, known, ns, np.zeros(given.shape, np.int64), int(now_s * 1e9))


def value_of(text: str, **values: float | None):
    """(value, whether it is known)."""
    expression, order = ready(text)
    value, known = expression(now(order, values))
    return value[0].item(), bool(known[0])


@pytest.mark.parametrize(
    ("text", "values", "value"),
    [
        ("level > 80 %", {"level": 81}, True),
        ("level > 0.8", {"level": 81}, True),
        ("p > 300 kPa", {"p": 2.9}, False),
        ("p + 50 kPa > 3.4 bar", {"p": 3}, True),
        ("t > 350 K", {"t": 80}, True),
        ("t - back > 10 K", {"t": 80, "back": 65}, True),
        ("t + 5 K == 85 Cel", {"t": 80}, True),
        ("t * 2 > 700 K", {"t": 80}, True),
        ("q * 2 h > 9 m3", {"q": 5}, True),
        ("p / 2 == 1.5 bar", {"p": 3}, True),
        ('state == "Running"', {"state": 1}, True),
        ('state != "Running" or on', {"state": 1, "on": 0}, False),
        ("not on and a < b", {"on": 0, "a": 1, "b": 2}, True),
        ("2 + 3 * 4 ^ 2 == 50", {}, True),
        ("-2 ^ 2 == -4", {}, True),
        ("8 / 2 / 2 == 2", {}, True),
        ("if(on, a, b) == 2", {"on": 0, "a": 1, "b": 2}, True),
        ("clamp(a, 0, 10) == 10", {"a": 11}, True),
        ("min(p, 2 bar) == 200 kPa", {"p": 3}, True),
        ("'drive/speed' > 10 Hz", {"drive/speed": 700}, True),
        ("sqrt(a) == 3", {"a": 9}, True),
        ("'drive/speed' > 600 '/h'", {"drive/speed": 11}, True),
    ],
)
def test_what_it_says(text: str, values: dict[str, float], value: bool):
    assert value_of(text, **values) == (value, True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("level > 3 bar", "column 7: unit 'bar' does not fit"),
        ("p > 3 mBar", "did you mean 'mbar'"),
        ("p + q", "does not fit"),
        ("t + back", "two temperatures"),
        ("p and on", "yes or no was expected"),
        ("on > 1", "cannot be compared"),
        ('state == "Runing"', 'there are "Stopped", "Running"'),
        ('state > "Running"', "no order"),
        ("text == 1", "'text' is text"),
        ("p", ""),
        ("1 < 2 < 3", "not chained"),
        ("rate(p)", "takes 2 arguments"),
        ("rate(p, 3 bar)", "does not fit 's'"),
        ("held(on, 30 d)", "too long"),
        ("sine(a)", "there is no function"),
        ("a +", "ends too early"),
        ("(a", "')' was expected"),
        ("a b", "'b' was not expected"),
        ("a ? b", "'?' is not understood"),
        ("import('os')", "no function"),
        ("__class__.x", "was not expected"),
        ('"Running"', "says nothing"),
        ("1e999", "too large"),
        ("sqrt(p)", "pure number"),
        ("p ^ 2", "pure number"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(text: str, why: str):
    if not why:
        ready(text)
        return
    with pytest.raises(RuleError, match=r"column \d+: ") as error:
        ready(text)
    assert why in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5_000,
        "(" * 900 + "1" + ")" * 900,
        "-" * 1_900 + "1",
        "not " * 450 + "on",
        "+".join(["a"] * 999),
        "a^" * 900 + "2",
        "min(" * 400,
        "1" * 1_999,
        "9" * 1_000 + "e9",
        "a" * 50_000,
        "((((((((((" * 100 + "a",
        "'" + "x" * 1_990,
    ],
)
def test_nothing_that_is_written_never_ends(text: str):
    with pytest.raises(RuleError):
        ready(text)


def test_what_is_unknown_stays_so_but_where_the_rest_decides():
    assert value_of("a > 1", a=None)[1] is False
    assert value_of("a > 1 and on", a=None, on=0) == (False, True)
    assert value_of("a > 1 or on", a=None, on=1) == (True, True)
    assert value_of("a > 1 or on", a=None, on=0)[1] is False
    assert value_of("missing(a)", a=None) == (True, True)
    assert value_of("a / b > 1", a=1, b=0) == (True, True)
    assert value_of("a / b", a=0, b=0)[1] is False


def test_time():
    held, order = ready("held(on, 5 s)")
    seen = [held(now(order, {"on": on}, t))[0][0] for t, on in
            [(0, 1), (3, 1), (5, 1), (6, 0), (7, 1), (11, 1), (12, 1)]]  # fmt: skip
    assert seen == [False, False, True, False, False, False, True]
    stale, order = ready("stale(a, 30 s)")
    assert not stale(now(order, {"a": 1}, 100, age_s=29))[0][0]
    assert stale(now(order, {"a": 1}, 100, age_s=31))[0][0]
    rate, order = ready("rate(p, 10 s)")
    assert (rate.kind, rate.unit) == (NUMBER, "(bar)/(s)")
    for t in range(30):
        value, known = rate(now(order, {"p": 2.0 * t}, t))
    assert known[0]
    assert value[0] == pytest.approx(2.0)
    mean, order = ready("mean(a, 16 s)")
    for t in range(100):
        value, _ = mean(now(order, {"a": 1.0 if t % 2 else 3.0}, t))
    assert value[0] == pytest.approx(2.0, abs=0.2)
    assert ready("level > 3 %")[0].kind == TRUTH


NUMBERS = st.recursive(
    st.one_of(
        st.integers(0, 50).map(str),
        st.floats(0, 100, allow_nan=False).map(lambda x: f"{x:.3f}"),
        st.sampled_from(["a", "b", "n"]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda x: f"({' '.join(x)})"),
        st.tuples(st.sampled_from(["abs", "-"]), inner).map(lambda x: f"{x[0]}({x[1]})"),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(
            lambda x: f"{x[0]}({x[1]}, {x[2]})"
        ),
    ),
    max_leaves=12,
)
TRUTHS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(["<", "<=", ">", ">="]), NUMBERS).map(" ".join),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda x: f"({' '.join(x)})"),
        inner.map(lambda x: f"not ({x})"),
    ),
    max_leaves=5,
)
FLOATS = st.floats(-100, 100, allow_nan=False)


@given(text=TRUTHS, a=FLOATS, b=FLOATS, n=st.integers(-9, 9))
@settings(max_examples=150, deadline=None)
def test_python_says_the_same(text: str, a: float, b: float, n: int):
    """Without units the language is a part of Python's own; Python is the oracle."""
    value, known = value_of(text, a=a, b=b, n=n)
    expected = eval(
        text, {"__builtins__": {}, "abs": abs, "min": min, "max": max}, {"a": a, "b": b, "n": n}
    )
    assert known
    assert value == expected


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str):
    try:
        parse(text)
    except RuleError as error:
        assert 0 <= error.column <= max(len(text), 1)
        assert math.isfinite(error.column)
