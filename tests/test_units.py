import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld import units

TEMPERATURES = ["Cel", "[degF]", "K", "[degR]"]


@pytest.mark.parametrize(
    ("value", "from_", "to", "expected"),
    [
        (20.0, "Cel", "[degF]", 68.0),
        (-40.0, "[degF]", "Cel", -40.0),
        (0.0, "K", "Cel", -273.15),
        (491.67, "[degR]", "Cel", 0.0),
        (1.0, "bar", "kPa", 100.0),
        (1.0, "kW.h", "MJ", 3.6),
        (60.0, "/min", "Hz", 1.0),
        (1.0, "W/(m2.Cel)", "W/m2/K", 1.0),
        (60.0, "Cel/min", "K/s", 1.0),
        (50.0, "%", "1", 0.5),
        (7.0, "{count}", "1", 7.0),
        (3.6, "m3{normal}/h", "L/s", 1.0),
        (1.0, "10*6/uL", "/mL", 1e9),
        (5.0, "", "1", 5.0),
    ],
)
def test_values_are_converted(value: float, from_: str, to: str, expected: float) -> None:
    assert units.convert(value, from_, to) == pytest.approx(expected, rel=1e-12, abs=1e-9)
    column = units.convert(np.array([value, value]), from_, to)
    assert column == pytest.approx(np.array([expected, expected]), rel=1e-12, abs=1e-9)


@given(
    st.floats(-1e6, 1e6),
    st.sampled_from(TEMPERATURES),
    st.sampled_from(TEMPERATURES),
    st.sampled_from(TEMPERATURES),
)
@settings(max_examples=50, deadline=None)
def test_a_detour_over_another_scale_changes_nothing(value: float, a: str, b: str, c: str) -> None:
    detour = units.convert(units.convert(value, a, b), b, c)
    assert detour == pytest.approx(units.convert(value, a, c), rel=1e-9, abs=1e-6)


def test_an_error_names_the_place_and_what_was_meant() -> None:
    with pytest.raises(units.UnitError) as error:
        units.check("mBar", "plant/line1/filler.level")
    assert str(error.value) == (
        "plant/line1/filler.level: unit 'mBar' is not UCUM; did you mean 'mbar'?"
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [("°C", "Cel"), ("psi", "[psi]"), ("Nm", "N.m"), ("m³/h", "m3/h"), ("KPA", "kPa")],
)
def test_suggestions(text: str, meant: str) -> None:
    with pytest.raises(units.UnitError, match="did you mean"):
        units.parse(text)
    try:
        units.parse(text)
    except units.UnitError as error:
        assert f"'{meant}'" in str(error)


def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(units.UnitError, match=r"a\.b: unit 'kPa' does not fit 'Cel'"):
        units.linear("kPa", "Cel", "a.b")
    assert not units.fits("kPa", "Cel")
    assert not units.fits("nonsense", "Cel")
    assert units.fits("kPa", "[psi]")


def test_levels_are_carried_but_not_converted() -> None:
    for level in ("dB", "[pH]"):
        assert units.fits(level, level)
        assert units.linear(level, level) == (1.0, 0.0)
        with pytest.raises(units.UnitError, match="logarithmic"):
            units.linear(level, "1")


@pytest.mark.parametrize("text", ["m" * 200, "10*99999999", "((((((((((((((", "m//s", "µ", "\0"])
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(units.UnitError):
        units.parse(text)


@pytest.mark.parametrize("product", ["N.m/s", "m/s.N", "V.A", "A.V", "Pa.m3/s", "m3/s.Pa", "J/s"])
def test_a_product_fits_in_whatever_order_it_is_written(product: str) -> None:
    assert units.linear(product, "W") == (1.0, 0.0)


def test_every_unit_of_every_table_is_ucum() -> None:
    for table in (units._UNECE.values(), units._SPELLINGS.values(), units._COMMON):
        for ucum in table:
            units.parse(ucum)
    assert len(units._UNECE) >= 150


@pytest.mark.parametrize(
    ("unit_id", "name", "ucum"),
    [
        # The integers that OPC 10000-8 Annex and servers use.
        (4408652, "°C", "Cel"),
        (20529, "%", "%"),
        (4342098, "", "bar"),
        (4937544, "kW·h", "kW.h"),
        (5066068, "", "mm"),
        (-1, "m³/h", "m3/h"),
        (-1, "C", ""),
        (0, "frobs", ""),
    ],
)
def test_units_of_opc_ua(unit_id: int, name: str, ucum: str) -> None:
    assert units.of_opcua(unit_id, display_name=name) == ucum


def test_another_namespace_of_units_falls_back_to_the_name() -> None:
    assert units.of_opcua(4408652, "http://plant.example/units", "bar") == "bar"


def test_importing_it_does_not_load_pint() -> None:
    code = "import sys, mirrorworld.units; sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
