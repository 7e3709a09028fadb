"""The plant on its own engine, and the twin that foretells it, mirrors it and is compared."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from mirrorworld.record import open_record, restore
from mirrorworld_worlds.factory import allowances, hidden, instruments, measured
from mirrorworld_worlds.factory.areas import OPEN_S, WEEK_S
from mirrorworld_worlds.factory.authored import NAME
from mirrorworld_worlds.factory.design import PILOT
from mirrorworld_worlds.factory.loop import Loop, Signal
from mirrorworld_worlds.factory.shopfloor import Shopfloor
from mirrorworld_worlds.factory.validate import SHEET, validate
from mirrorworld_worlds.factory.world import _first_ns

DAY_S = 86_400.0
FACTORY = "mirrorworld_worlds.factory"


def modules_after(*imported: str) -> set[str]:
    """The modules of a fresh process that has imported some."""
    code = f"import sys, {', '.join(imported)}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


# --- who knows whom --------------------------------------------------------------------------


def test_the_plant_knows_nothing_of_the_mirror_and_the_twin_nothing_of_the_plant() -> None:
    plant = modules_after(f"{FACTORY}.plant")
    assert f"{FACTORY}.shopfloor" in plant
    assert not {m for m in plant if m == "mirrorworld" or m.startswith("mirrorworld.")}
    assert not {m for m in plant if m.split(".")[0] in ("simpy", "salabim")}
    told = (
        "model", "walking", "forecast", "authored", "world", "validate", "measured", "allowances",
    )  # fmt: skip
    twin = modules_after(*(f"{FACTORY}.{name}" for name in told))
    inner = ("shopfloor", "hidden", "loop", "people", "vehicles", "instruments", "plant")
    assert not twin & {f"{FACTORY}.{name}" for name in inner}


def test_hidden_parameters_are_shown_by_no_instrument() -> None:
    floor = Shopfloor(PILOT, 5)
    floor.advance(DAY_S)
    shown = set(instruments.totals(floor).values())
    drawn = hidden.draw(5)
    secret = {round(v, 6) for v in (drawn.walk_m_s, drawn.fatigue, drawn.night, drawn.missing_kit)}
    for area in drawn.areas.values():
        secret |= {round(getattr(area, name), 6) for name in area.__slots__ if getattr(area, name)}
    assert len(secret) > 50 and not shown & secret


# --- the plant -------------------------------------------------------------------------------


def test_a_loop_runs_in_the_order_of_time_and_ties_as_they_were_asked_for() -> None:
    loop, told, bell = Loop(), [], Signal()

    def story(name: str, *waits: float):
        for wait in waits:
            yield wait
            told.append((loop.now, name))

    def waits_for_bell(name: str):
        what = yield bell
        told.append((loop.now, name + what))

    loop.start(story("a", 1.0, 2.0))
    loop.start(story("b", 3.0))
    loop.start(waits_for_bell("c"))
    loop.run(3.0)
    assert told == [(1.0, "a"), (3.0, "b"), (3.0, "a")]
    assert loop.wake_first(bell, "!") and not loop.wake_first(bell)
    loop.run(4.0)
    assert told[-1] == (3.0, "c!") and loop.now == 4.0


def test_the_same_seed_is_the_same_plant() -> None:
    def run(seed: int) -> dict[str, float]:
        floor = Shopfloor(PILOT, seed)
        floor.advance(2 * DAY_S)
        return instruments.totals(floor)

    random.seed(1)
    first = run(3)
    random.seed(2)
    assert run(3) == first, "chance comes from nowhere else"
    assert run(4) != first
    steps = Shopfloor(PILOT, 3)
    for hour in range(1, 49):
        steps.advance(hour * 3600.0)
    assert instruments.totals(steps) == first, "how often it is looked at changes nothing"


def test_lots_and_hours_add_up() -> None:
    floor = Shopfloor(PILOT, 11)
    floor.advance(1.5 * WEEK_S)
    told = instruments.totals(floor)
    released, done, scrapped = (
        sum(v for k, v in told.items() if k.startswith("orders/") and k.endswith(f"/{name}"))
        for name in ("Released", "Done", "Scrapped")
    )
    assert done > 300
    assert released == done + scrapped + told["orders/InWorks"]
    assert told["orders/InWorks"] <= PILOT.limit
    for area, n in PILOT.machines:
        for i in range(1, n + 1):
            name = f"{area}/{area}-{i:02d}"
            hours = sum(told[f"{name}/{state}"] for state in measured.STATE_TIMES)
            assert hours == pytest.approx(1.5 * WEEK_S / 3600.0, abs=1e-4), name
            if area != "burn_in":
                closed_h = (WEEK_S - OPEN_S) / 3600.0
                assert told[f"{name}/OffTime"] >= closed_h - 1e-6, "nothing runs on the weekend"
    assert told["agvs/Energy"] > 0.0


def test_allowances_of_a_plant_say_how_it_departs_from_its_data_sheets() -> None:
    floor = Shopfloor(PILOT, 21)
    floor.advance(WEEK_S)
    first = instruments.totals(floor)
    floor.advance(3 * WEEK_S)
    found = allowances.learnt(first, instruments.totals(floor), PILOT)
    drawn = hidden.draw(21)
    for area in ("smt", "ict", "fct"):
        secret = drawn.areas[area]
        stops = secret.microstops_per_h * secret.microstop_s / 3600.0
        assert found[area].pace == pytest.approx(secret.pace * (1.0 + stops), rel=0.03)
        assert found[area].power == pytest.approx(secret.power, rel=1e-6)
    assert found["assembly"].setup == pytest.approx(drawn.areas["assembly"].setup, rel=0.1)
    kept = allowances.read()
    assert len(kept) >= 10 and all(one["smt"].pace > 1.0 for one in kept)


def test_a_plant_that_is_started_again_goes_on_after_what_it_has_stamped(tmp_path: Path) -> None:
    day_ns = 86_400_000_000_000
    file, now_ns = tmp_path / "clock.json", 1_790_000_000 * 1_000_000_000
    first = _first_ns(file, 60.0, now_ns)
    assert first == now_ns - 14 * day_ns
    hour_ns = day_ns // 24
    again = _first_ns(file, 60.0, now_ns + hour_ns)
    assert again == first + 60 * hour_ns
    late = _first_ns(file, 60.0, now_ns + 10 * day_ns)
    assert late == now_ns + 10 * day_ns, "never beyond the wall's clock"


# --- the road --------------------------------------------------------------------------------


async def test_a_forecast_is_hashed_before_the_plant_starts_and_compared_with_the_record(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    done = await validate(
        "pilot", tmp_path, weeks=0.5, warm_up_weeks=0.25, seed=77, runs=2, time_scale=200_000.0,
        say=said.append,
    )  # fmt: skip
    text = (tmp_path / "forecast.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == done.sha256
    assert done.sha256 in said[0]
    assert 0 < done.forecast_sequence < done.first_sample_sequence

    # What was compared is what the record says, and the record says what the plant did.
    with open_record(tmp_path / "record", NAME, read_only=True) as record:
        world = restore(record)
        sheet = world.structure.sheets[SHEET, "validation"]
        assert json.loads(sheet.body)["sha256"] == done.sha256
    truth = Shopfloor(PILOT, 77)
    truth.advance(0.25 * WEEK_S)
    first = instruments.totals(truth)
    truth.advance(0.75 * WEEK_S)
    true = measured.figures(first, instruments.totals(truth), 0.5)
    compared = {one.name: one for one in done.compared}
    for name, value in true.items():
        assert compared[name].measured == pytest.approx(value, rel=1e-5, abs=1e-6), name
    assert compared["in works"].measured <= PILOT.limit
    assert {"waiting/smt", "utilisation/assembly", "output/drive", "energy"} <= set(compared)
    for one in done.compared:
        assert one.foretold.low <= one.foretold.mean <= one.foretold.high
