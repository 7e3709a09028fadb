"""Units at the door: UCUM codes are checked, compared and converted here, and nowhere else.

Inside a world a unit is a UCUM string (ucum.org, case sensitive) beside a column of numbers.
This file knows the grammar (through ucumvert), the factors (through pint) and what other
vocabularies call a unit (UNECE codes of OPC UA, names that people write). It refuses to know
points and samples. pint takes most of a second to load, so it is loaded at the first parse.

    >>> convert(20.0, "Cel", "[degF]")
    68.0
    >>> linear("kPa", "mbar")
    (10.0, 0.0)
    >>> check("mBar", "line1/filler.level")
    Traceback (most recent call last):
    ...
    mirrorworld.units.UnitError: line1/filler.level: unit 'mBar' is not UCUM; did you mean 'mbar'?
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

LENGTH_LIMIT: Final = 64
"""Longest unit that is parsed; the grammar is ambiguous enough to make long ones costly."""

EXPONENT_LIMIT: Final = 30
"""Largest power that is parsed, so that no text can ask for an astronomically large number."""

UNECE_NAMESPACE: Final = "http://www.opcfoundation.org/UA/units/un/cefact"
"""Namespace of the unit codes in OPC UA's EUInformation (OPC 10000-8 §5.6.3)."""


class UnitError(ValueError):
    """A unit that is not UCUM, or that does not fit. The message names the place and the mend."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A parsed unit: `base = value * scale + offset` in the base units of its dimension."""

    ucum: str
    scale: float
    offset: float
    dimension: str
    """What is measured, as pint writes it: `[length] ** 3 / [time]`; "" for pure numbers."""
    is_level: bool = False
    """Logarithmic (dB, pH): it has no linear form and fits only itself."""


def parse(ucum: str) -> Unit:
    """The unit of a UCUM code. The empty code is the pure number, as is `1`.

    Raises:
        UnitError: it is not UCUM; the message suggests what may have been meant.
    """
    unit = _parse(ucum)
    if unit is None:
        shown = ucum if len(ucum) <= LENGTH_LIMIT else ucum[:20] + "…"
        raise UnitError(f"unit '{shown}' is not UCUM{_suggestion(ucum)}")
    return unit


def is_ucum(text: str) -> bool:
    """Whether `text` parses."""
    return _parse(text) is not None


def check(ucum: str, place: str) -> Unit:
    """As `parse`, with the place (`twin.point`) named in the error."""
    try:
        return parse(ucum)
    except UnitError as error:
        raise UnitError(f"{place}: {error}") from error


def fits(a: str, b: str) -> bool:
    """Whether values in unit `a` can be converted to unit `b`. Codes that are not UCUM fit none."""
    if a == b:
        return True
    one, other = _parse(a), _parse(b)
    if one is None or other is None:
        return False
    return one.dimension == other.dimension and not (one.is_level or other.is_level)


def linear(from_: str, to: str, place: str = "") -> tuple[float, float]:
    """(scale, offset) such that `value_in_to = value_in_from * scale + offset`.

    A column is converted by one multiplication and one addition, and not at all for (1, 0).

    Raises:
        UnitError: one of them is not UCUM, or they do not fit.
    """
    if from_ == to:
        return 1.0, 0.0
    try:
        source, target = parse(from_), parse(to)
    except UnitError as error:
        raise UnitError(f"{place}: {error}" if place else str(error)) from error
    if not fits(from_, to):
        where = f"{place}: " if place else ""
        why = (
            "logarithmic units are carried, not converted"
            if source.is_level or target.is_level
            else f"{source.dimension or 'a pure number'} against"
            f" {target.dimension or 'a pure number'}"
        )
        raise UnitError(f"{where}unit '{from_}' does not fit '{to}' ({why})")
    offset = 0.0
    if source.offset or target.offset:
        # Temperature scales are defined by short fractions (°F: 5/9 and 45967/180): exact there.
        start, zero, step = (
            Fraction(x).limit_denominator(100_000)
            for x in (source.offset, target.offset, target.scale)
        )
        offset = float((start - zero) / step)
    return _tidy(source.scale / target.scale), offset


@overload
def convert(value: float, from_: str, to: str) -> float: ...
@overload
def convert(value: NDArray[Any], from_: str, to: str) -> NDArray[np.float64]: ...
def convert(value: Any, from_: str, to: str) -> Any:
    """`value` (a number or an array of them) from one unit in another.

    Raises:
        UnitError: one of them is not UCUM, or they do not fit.
    """
    scale, offset = linear(from_, to)
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if (scale, offset) == (1.0, 0.0) else value * scale + offset
    return _tidy(float(value) * scale + offset) if (scale, offset) != (1.0, 0.0) else float(value)


def guess(text: str) -> str:
    """The UCUM code of what people write (`°C`, `m³/h`, `rpm`), or "" where that is not sure.

    A single letter that is UCUM but usually meant otherwise (`C` is coulomb, `F` farad) is
    no sure guess either.
    """
    text = text.strip()
    if not text or text in _AMBIGUOUS or len(text) > LENGTH_LIMIT:
        return ""
    known = _SPELLINGS.get(text) or _SPELLINGS.get(text.lower())
    if known:
        return known
    plain = text.translate(_SIGNS).replace("^", "").replace(" ", "").replace("·", ".")
    for candidate in (text, plain):
        if is_ucum(candidate):
            return candidate
    return ""


def of_opcua(unit_id: int, namespace: str = UNECE_NAMESPACE, display_name: str = "") -> str:
    """The UCUM code of an OPC UA EUInformation, or "" where neither its code nor name is known.

    The id holds the UNECE Recommendation 20 code, one byte a character (OPC 10000-8 §5.6.3.3).
    """
    if unit_id > 0 and namespace in ("", UNECE_NAMESPACE):
        code = unit_id.to_bytes(4, "big").lstrip(b"\0").decode("ascii", "replace")
        known = _UNECE.get(code)
        if known is not None:
            return known
    return guess(display_name)


# --- below: how a code is parsed ------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def _parse(ucum: str) -> Unit | None:
    if not ucum or ucum == "1":
        return Unit(ucum, 1.0, 0.0, "")
    if len(ucum) > LENGTH_LIMIT or not ucum.isascii():
        return None
    if ucum == "[pH]":
        return Unit(ucum, 1.0, 0.0, "level pH", is_level=True)
    try:
        return _engine()(ucum)
    except Exception:  # the grammar's and pint's errors share no class, and lark wraps them
        return None


@functools.cache
def _engine() -> Callable[[str], Unit]:
    """Loads pint and ucumvert once; returns what turns a code into a Unit."""
    import logging
    from pathlib import Path

    import pint
    import ucumvert
    from ucumvert.ucum_pint import UcumToPintTransformer

    logging.getLogger("pint").setLevel(logging.ERROR)  # it warns of UCUM's redefinitions
    registry: Any = pint.UnitRegistry(cache_folder=None)
    registry.load_definitions(Path(ucumvert.__file__).parent / "pint_ucum_defs.txt")
    grammar = ucumvert.get_ucum_parser()

    def difference(quantity: Any) -> Any:
        """A temperature inside a product is a difference of temperatures: W/(m2.Cel)."""
        for name in getattr(quantity, "_get_non_multiplicative_units", list)():
            if f"delta_{name}" not in registry:
                raise ValueError(f"a logarithmic unit ({name}) cannot be part of a product")
            power = quantity.units._units[name]
            quantity = registry.Quantity(
                quantity.magnitude,
                registry.Unit(
                    pint.util.UnitsContainer(
                        {
                            (f"delta_{n}" if n == name else n): (power if n == name else p)
                            for n, p in quantity.units._units.items()
                        }
                    )
                ),
            )
        return quantity

    class Transformer(UcumToPintTransformer):
        """ucumvert's, with temperatures in products and with bounded powers."""

        def main_term(self, args: Any) -> Any:
            return super().main_term([difference(a) for a in args] if len(args) == 2 else args)

        def term(self, args: Any) -> Any:
            return super().term([difference(a) for a in args] if len(args) == 3 else args)

        def annotatable(self, args: Any) -> Any:
            if len(args) == 2:
                if abs(int(args[1])) > EXPONENT_LIMIT:
                    raise ValueError(f"a power beyond {EXPONENT_LIMIT} is not parsed")
                args = [difference(args[0]), args[1]]
            return super().annotatable(args)

    transformer = Transformer(ureg=registry)

    def engine(ucum: str) -> Unit:
        quantity = transformer.transform(ucumvert.parse_ucum(ucum, grammar))
        if not hasattr(quantity, "dimensionality"):  # an annotation alone: {count}
            quantity = registry.Quantity(1)
        special = quantity._get_non_multiplicative_units()
        # pint writes the parts in the order in which they came: N.m/s would not be a W.
        parts = sorted(quantity.dimensionality.items())
        dimension = str(type(quantity.dimensionality)(dict(parts)))
        if special and f"delta_{special[0]}" not in registry:
            return Unit(ucum, 1.0, 0.0, f"level {special[0]}", is_level=True)
        if special and registry._units[special[0]].converter.is_logarithmic:
            return Unit(ucum, 1.0, 0.0, f"level {special[0]}", is_level=True)
        if special:
            offset = registry.Quantity(0.0, special[0]).to_base_units().magnitude
            scale = registry.Quantity(1.0, f"delta_{special[0]}").to_base_units().magnitude
            return Unit(ucum, float(scale) * float(quantity.magnitude), float(offset), dimension)
        base = quantity.to_base_units()
        name = "" if dimension == "dimensionless" else dimension
        return Unit(ucum, float(base.magnitude), 0.0, name)

    return engine


def _tidy(number: float) -> float:
    """The nearest number of 15 digits: 0.30000000000000004 is an artefact of the factors."""
    return float(f"{number:.15g}")


def _suggestion(text: str) -> str:
    """`; did you mean '…'?` if something close is known, else where to look."""
    guessed = guess(text) if text not in _AMBIGUOUS else ""
    if guessed and guessed != text:
        return f"; did you mean '{guessed}'?"
    by_lower = {unit.lower(): unit for unit in reversed(_COMMON)}
    near = by_lower.get(text.lower()) or next(
        iter(difflib.get_close_matches(text, _COMMON, n=1, cutoff=0.6)), None
    )
    return f"; did you mean '{near}'?" if near else "; ucum.org lists the codes"


# --- what other vocabularies say ------------------------------------------------------------

_SIGNS: Final = str.maketrans(
    {
        "²": "2",
        "³": "3",
        "⁻": "-",
        "¹": "1",
        "µ": "u",
        "μ": "u",
        "Ω": "Ohm",
        "\N{OHM SIGN}": "Ohm",
        "℃": "Cel",
        "°": "deg",
        "*": ".",
        "⋅": ".",
    }
)

_AMBIGUOUS: Final = frozenset({"C", "F", "H", "G", "R", "a", "b"})

_SPELLINGS: Final = {
    "°c": "Cel", "degc": "Cel", "deg c": "Cel", "celsius": "Cel", "℃": "Cel", "grad c": "Cel",
    "°f": "[degF]", "degf": "[degF]", "deg f": "[degF]", "fahrenheit": "[degF]",
    "kelvin": "K", "°k": "K", "°": "deg", "degree": "deg", "degrees": "deg",
    "percent": "%", "pct": "%", "%rh": "%{RH}", "% rh": "%{RH}", "‰": "[ppth]",
    "ppm": "[ppm]", "ppb": "[ppb]", "ph": "[pH]",
    "rpm": "/min", "r/min": "/min", "rev/min": "/min", "1/min": "/min", "min-1": "/min",
    "u/min": "/min", "rps": "/s", "1/s": "/s", "1/h": "/h", "bpm": "/min",
    "sec": "s", "seconds": "s", "second": "s", "msec": "ms", "minutes": "min", "minute": "min",
    "hr": "h", "hrs": "h", "hour": "h", "hours": "h", "day": "d", "days": "d", "years": "a",
    "bars": "bar", "barg": "bar{gauge}", "bara": "bar{absolute}", "psi": "[psi]",
    "psig": "[psi]{gauge}", "inhg": "[in_i'Hg]", "mmhg": "mm[Hg]", "inh2o": "[in_i'H2O]",
    "Nm": "N.m", "N·m": "N.m", "kNm": "kN.m", "mpas": "mPa.s", "cp": "cP",
    "in": "[in_i]", "inch": "[in_i]", "ft": "[ft_i]", "feet": "[ft_i]", "mile": "[mi_i]",
    "mph": "[mi_i]/h", "km/h": "km/h", "kmh": "km/h", "kph": "km/h", "knots": "[kn_i]",
    "meter": "m", "metre": "m", "meters": "m", "micron": "um",
    "lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]", "ton": "t", "tonne": "t", "tonnes": "t",
    "liter": "L", "litre": "L", "liters": "L", "lpm": "L/min", "l/m": "L/min", "lph": "L/h",
    "gal": "[gal_us]", "gpm": "[gal_us]/min", "cfm": "[ft_i]3/min", "scfm": "[ft_i]3/min",
    "cbm": "m3", "m3/hr": "m3/h", "nm3/h": "m3{normal}/h", "nm³/h": "m3{normal}/h",
    "wh": "W.h", "kwh": "kW.h",
    "MWh": "MW.h", "MWH": "MW.h", "mWh": "mW.h", "gwh": "GW.h", "ah": "A.h", "mah": "mA.h",
    "va": "V.A", "kva": "kV.A", "MVA": "MV.A", "var": "V.A{reactive}", "kvar": "kV.A{reactive}",
    "kvarh": "kV.A.h{reactive}", "hp": "[HP]", "btu": "[Btu]", "volt": "V", "volts": "V",
    "amp": "A", "amps": "A", "ampere": "A", "watt": "W", "watts": "W", "hertz": "Hz",
    "pascal": "Pa", "newton": "N", "joule": "J", "ohm": "Ohm", "ohms": "Ohm", "kohm": "kOhm",
    "lux": "lx", "lumen": "lm", "baud": "Bd", "byte": "By", "bytes": "By", "kb": "kBy",
    "MB": "MBy", "gb": "GBy", "bits": "bit", "kbps": "kbit/s", "Mbps": "Mbit/s",
    "count": "{count}", "counts": "{count}", "pcs": "{piece}", "pieces": "{piece}",
    "units": "{unit}", "items": "{item}", "bottles": "{bottle}", "none": "1", "-": "1",
    "m/s²": "m/s2", "g/cm³": "g/cm3", "kg/m³": "kg/m3", "w/m²": "W/m2", "µm": "um",
}  # fmt: skip

_COMMON: Final = (
    "%", "1", "A", "A.h", "Bq", "By", "C", "Cel", "F", "GHz", "GJ", "GPa", "GW", "Gy", "H",
    "Hz", "J", "K", "L", "L/h", "L/min", "L/s", "MHz", "MJ", "MPa", "MV.A", "MW", "MW.h", "Mbit/s",
    "N", "N.m", "Ohm", "Pa", "Pa.s", "S", "T", "V", "V.A", "W", "W.h", "W/m2", "Wb", "[Btu]",
    "[HP]", "[degF]", "[ft_i]", "[gal_us]", "[in_i]", "[kn_i]", "[lb_av]", "[lbf_av]", "[mi_i]",
    "[pH]", "[ppb]", "[ppm]", "[psi]", "atm", "bar", "bit", "cP", "cSt", "cm", "cm2", "cm3", "d",
    "dB", "daN", "deg", "g", "g/L", "g/cm3", "h", "hPa", "kA", "kHz", "kJ", "kN", "kN.m", "kOhm",
    "kPa", "kV", "kV.A", "kW", "kW.h", "kg", "kg/h", "kg/m3", "kg/s", "km", "km/h", "lm", "lx",
    "m", "m/min", "m/s", "m/s2", "m2", "m3", "m3/h", "m3/s", "mA", "mL", "mPa.s", "mS/cm", "mV",
    "mbar", "mg", "mg/L", "min", "mm", "mm/s", "mm2", "mm[Hg]", "mol", "mol/L", "ms", "nm", "ns",
    "rad", "rad/s", "s", "t", "t/h", "uA", "uS/cm", "uV", "ug/m3", "um", "us", "{count}", "/min",
)  # fmt: skip

# UNECE Recommendation 20 code -> UCUM. Reactive power and normal volumes have no unit of their
# own in UCUM; the annotation keeps what would be lost.
_UNECE: Final[dict[str, str]] = dict(
    re.findall(
        r"(\S+)=(\S+)",
        """
    C62=1 P1=% NX=[ppth] 59=[ppm] 61=[ppb] H87={piece} EA={each} NAR={article} PR={pair} SET={set}
    MTR=m DMT=dm CMT=cm MMT=mm KMT=km 4H=um C45=nm C52=pm INH=[in_i] FOT=[ft_i] YRD=[yd_i]
    SMI=[mi_i] NMI=[nmi_i] MTK=m2 DMK=dm2 CMK=cm2 MMK=mm2 KMK=km2 HAR=har ACR=[acr_us]
    INK=[in_i]2 FTK=[ft_i]2 YDK=[yd_i]2 MTQ=m3 DMQ=dm3 CMQ=cm3 MMQ=mm3 LTR=L DLT=dL CLT=cL
    MLT=mL HLT=hL 4G=uL INQ=[in_i]3 FTQ=[ft_i]3 YDQ=[yd_i]3 GLL=[gal_us] GLI=[gal_br]
    BLL=[bbl_us] NM3=m3{normal} SM3=m3{standard}
    SEC=s MIN=min HUR=h DAY=d WEE=wk MON=mo ANN=a C26=ms B98=us C47=ns
    MTS=m/s 2X=m/min M60=m/h C16=mm/s 2M=cm/s KMH=km/h HM=[mi_i]/h FS=[ft_i]/s FR=[ft_i]/min
    IU=[in_i]/s KNT=[kn_i] MSK=m/s2 HTZ=Hz KHZ=kHz MHZ=MHz A86=GHz RPM=/min RPS=/s C94=/min
    C97=/s BPM=/min
    KGM=kg GRM=g MGM=mg MC=ug TNE=t DTN=dt KTN=kt LBR=[lb_av] ONZ=[oz_av] STN=[ston_av]
    LTN=[lton_av] KMQ=kg/m3 23=g/cm3 GL=g/L M1=mg/L GP=mg/m3 GQ=ug/m3 GM=g/m2 28=kg/m2 B35=kg/L
    NEW=N B47=kN B73=MN C20=mN B37=kgf C78=[lbf_av] NU=N.m B48=kN.m B74=MN.m D83=mN.m F88=N.cm
    C56=N/mm2 4P=N/m
    PAL=Pa KPA=kPa MPA=MPa A97=hPa 74=mPa A89=GPa BAR=bar MBR=mbar ATM=atm ATT=att PS=[psi]
    HN=mm[Hg] HP=mm[H2O] F79=[in_i'Hg] F78=[in_i'H2O]
    MQS=m3/s MQH=m3/h G52=m3/d G51=L/s L2=L/min E32=L/h LD=L/d 2K=[ft_i]3/h 2L=[ft_i]3/min
    G2=[gal_us]/min KGS=kg/s F31=kg/min E93=kg/h E18=t/h
    JOU=J KJO=kJ 3B=MJ GV=GJ C15=mJ WHR=W.h KWH=kW.h MWH=MW.h GWH=GW.h BTU=[Btu_IT] D70=cal_IT
    E14=kcal_IT A53=eV WTT=W KWT=kW MAW=MW A90=GW C31=mW D80=uW BHP=[HP] D46=V.A KVA=kV.A
    MVA=MV.A D44=V.A{reactive} KVR=kV.A{reactive} K5=kV.A{reactive} MAR=MV.A{reactive}
    K3=kV.A.h{reactive} C79=kV.A.h
    AMP=A 4K=mA B84=uA B22=kA C39=nA VLT=V 2Z=mV D82=uV KVT=kV B78=MV OHM=Ohm E45=mOhm B49=kOhm
    B75=MOhm SIE=S C27=mS B99=uS FAR=F 4O=uF 4T=pF C41=nF 81=H C14=mH B90=uH COU=C D86=uC
    AMH=A.h E09=mA.h WEB=Wb D33=T C29=mT D50=V/m D10=S/m H61=mS/cm G42=uS/cm C61=Ohm.m
    CEL=Cel KEL=K FAH=[degF] A48=[degR] C81=rad C25=mrad B97=urad DD=deg D61=' D62='' 2A=rad/s
    2B=rad/s2 LUX=lx LUM=lm CDL=cd A24=cd/m2 BQL=Bq A95=Gy D13=Sv C28=mSv
    C34=mol B45=kmol C18=mmol C36=mol/m3 C38=mol/L Q30=[pH] C24=mPa.s C65=Pa.s 4C=cSt S4=m2/s
    D53=W/m/K D54=W/m2 D55=W/m2/K B32=kg.m2 2N=dB
    AD=By 2P=kBy 4L=MBy E34=GBy A99=bit C37=kbit D36=Mbit B10=bit/s C74=kbit/s E20=Mbit/s
    """,
    )
)
