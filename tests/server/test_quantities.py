"""Totals by relation and correlations, asked over a real socket of a small site with a past."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from mirrorworld.server import correlation
from mirrorworld.server.quantities import adds_up
from mirrorworld.world.changes import Edits, PutRelation, PutTwin
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import Kind, PointType, Relation, Twin
from tests.server.stand_in import SECOND_NS, START_NS, Served, StandIn, served

ROOMS = 6
SAMPLES = 40


def site() -> StandIn:
    """Two houses of rooms on a site; a station powers the first. Rooms say W, houses kW."""
    mirror = StandIn()
    room = (PointType("Power", unit="W"), PointType("Temperature", unit="Cel"))
    house = (PointType("Power", unit="kW"), PointType("Demand", unit="kW"))
    edits: list = [PutTwin(Twin("site")), PutTwin(Twin("station"))]
    for h in range(2):
        edits.append(PutTwin(Twin(f"h{h}", points=house)))
        edits.append(PutRelation(Relation("part_of", f"h{h}", "site")))
        for r in range(ROOMS):
            edits.append(PutTwin(Twin(f"h{h}/r{r}", points=room)))
            edits.append(PutRelation(Relation("part_of", f"h{h}/r{r}", f"h{h}")))
    edits.append(
        PutTwin(
            Twin(
                "mast",
                points=(PointType("Temperature", unit="[degF]"), PointType("pH", unit="[pH]")),
            )
        )
    )
    edits.append(PutRelation(Relation("part_of", "mast", "site")))
    edits.append(PutRelation(Relation("powers", "station", "h0")))
    mirror.apply(Edits(tuple(edits)))
    for i in range(SAMPLES):
        builder = FrameBuilder()
        now_ns = START_NS + i * SECOND_NS

        def say(
            twin: str, point: str, value: float, when: int = now_ns, to: FrameBuilder = builder
        ):
            to.add(mirror.world.structure.handle(twin, point), Kind.FLOAT, value, when)

        wave = np.sin(i * 0.9)
        for h in range(2):
            for r in range(ROOMS):
                say(f"h{h}/r{r}", "Power", 100.0 * (r + 1) + 500.0 * h + wave)
                say(f"h{h}/r{r}", "Temperature", 20.0 + r + 5 * h + wave)
            say(f"h{h}", "Power", 2.5 + h)
            # Demand follows what the first room's temperature was three seconds ago.
            say(f"h{h}", "Demand", 7.0 - 2.0 * np.sin((i - 3) * 0.9) + 10 * h)
        if i == 0:
            say("mast", "Temperature", 68.0)
        mirror.clock_ns = now_ns
        mirror.apply(builder.build())
    return mirror


@pytest.fixture
async def here():
    async with served(site()) as running:
        yield running


async def ask(here: Served, path: str, status: int = 200, **parameters):
    async with here.client() as client:
        response: httpx.Response = await client.get(path, params=parameters)
    assert response.status_code == status, response.text
    return response.json()


async def test_a_house_is_the_sum_of_its_rooms(here: Served):
    found = await ask(here, "/api/totals", twin="h0", point="Power")
    (total,) = found["totals"]
    wave = np.sin((SAMPLES - 1) * 0.9)
    assert found["twins"] == ROOMS
    assert (total["unit"], total["n"], total["n_without"]) == ("W", ROOMS, 0)
    assert total["sum"] == pytest.approx(100 * 21 + 6 * wave)
    assert total["mean"] == pytest.approx(350 + wave)
    assert (total["min_point"], total["max_point"]) == ("h0/r0.Power", "h0/r5.Power")


async def test_what_a_house_says_is_not_added_to_what_its_rooms_say(here: Served):
    (total,) = (await ask(here, "/api/totals", twin="site", point="Power", unit="kW"))["totals"]
    assert (total["n"], total["n_summed"], total["n_converted"]) == (14, 2, 12)
    assert total["sum"] == pytest.approx(2.5 + 3.5)
    assert total["min"] == pytest.approx(0.1, abs=0.002)


async def test_units_that_fit_are_converted_and_temperatures_are_not_added(here: Served):
    found = (await ask(here, "/api/totals", twin="site"))["totals"]
    named = {row["name"]: row for row in found}
    temperature = named["Temperature"]
    assert (temperature["unit"], temperature["n"], temperature["n_converted"]) == ("Cel", 13, 1)
    assert temperature["sum"] is None and temperature["max"] < 32
    assert named["pH"]["n"] == 0 and named["pH"]["n_without"] == 1 and named["pH"]["mean"] is None
    assert named["Demand"]["sum"] is not None


async def test_a_station_totals_what_it_powers_with_its_parts(here: Served):
    found = await ask(here, "/api/totals", twin="station", relation="powers", point="Power")
    assert found["twins"] == ROOMS + 1
    (total,) = found["totals"]
    assert (total["n"], total["n_summed"]) == (7, 1)


async def test_nobody_learns_of_what_is_hidden(here: Served):
    here.mirror.guard.is_by_twin = True
    here.mirror.guard.hidden = {"h0/r5", "h1"}
    async with here.client() as client:
        response = await client.get("/api/totals", params={"twin": "h0", "point": "Power"})
        (total,) = response.json()["totals"]
        assert (total["n"], total["max_point"]) == (5, "h0/r4.Power")
        assert (await client.get("/api/totals", params={"twin": "h1"})).status_code == 404
        dots = await client.get("/api/correlation", params={"x": "Power", "y": "Temperature"})
        assert "h0/r5" not in dots.json()["twins"]
        one = {"by": "time", "x": "h1.Power", "y": "h0.Demand"}
        assert (await client.get("/api/correlation", params=one)).status_code == 404


async def test_what_makes_no_sense_is_said(here: Served):
    problem = await ask(here, "/api/totals", 422, twin="h0", point="Power", unit="Cel")
    assert "fits none" in problem["detail"] and problem["place"] == "unit"
    problem = await ask(here, "/api/totals", 404, twin="h0", point="Pwer")
    assert "Power" in problem["mend"]
    problem = await ask(
        here, "/api/correlation", 422, by="time", x="h0.Power", y="h0.Power", lag_s=9e6
    )
    assert problem["place"] == "lag_s"
    await ask(
        here, "/api/correlation", 413, x="Power", y="Power", start="2020-01-01", end="2021-01-01"
    )


async def test_two_quantities_of_the_same_twins(here: Served):
    span = {"start": str(START_NS), "end": str(START_NS + SAMPLES * SECOND_NS)}
    found = await ask(here, "/api/correlation", x="Power", y="Temperature", within="site", **span)
    assert found["x"] == {"name": "Power", "unit": "W"}
    assert found["n"] == 2 * ROOMS == len(found["twins"])
    assert found["pearson"] > 0.99 and found["spearman"] == pytest.approx(1.0)
    assert found["slope"] == pytest.approx(0.01, rel=0.05)


async def test_rooms_are_averaged_where_only_the_house_says_the_other(here: Served):
    found = await ask(
        here, "/api/correlation", x="Temperature", y="Demand", instants=10,
        start=str(START_NS), end=str(START_NS + SAMPLES * SECOND_NS),
    )  # fmt: skip
    assert sorted(found["twins"]) == ["h0", "h1"]
    dots = dict(zip(found["twins"], found["xs"], strict=True))
    assert dots["h1"] - dots["h0"] == pytest.approx(5.0)
    assert found["pearson"] is None  # two dots are no relation


async def test_the_lag_between_two_points_is_found(here: Served):
    span = {"start": str(START_NS), "end": str(START_NS + SAMPLES * SECOND_NS), "steps": SAMPLES}
    ask_for = {"by": "time", "x": "h0/r0.Temperature", "y": "h0.Demand", **span}
    now = await ask(here, "/api/correlation", **ask_for)
    assert now["best_lag_s"] == pytest.approx(3.0) and abs(now["pearson"]) < 0.95
    later = await ask(here, "/api/correlation", lag_s=3, **ask_for)
    assert later["pearson"] == pytest.approx(-1.0, abs=1e-9)
    assert later["slope"] == pytest.approx(-2.0) and later["n"] == now["n"] - 3


def test_ranks_share_their_mean_and_what_stands_still_has_no_coefficient():
    assert correlation.ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]
    assert correlation.pearson(np.full(9, 0.1), np.arange(9.0)) is None


@pytest.mark.parametrize(
    ("unit", "does"),
    [("kW", True), ("kW.h", True), ("m3/h", True), ("{person}", True), ("L/s", True),
     ("Cel", False), ("%", False), ("dB", False), ("Pa", False), ("", False), ("nonsense", False)],
)  # fmt: skip
def test_what_adds_up(unit: str, does: bool):
    assert adds_up(unit) is does
