"""The works as it runs: `mirrorworld up` starts its plant, and what is measured falls onto what was
planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mirrorworld_worlds import factory
from mirrorworld_worlds.factory.authored import ORDERS, WORKS, machine_twin
from mirrorworld_worlds.factory.design import DRAWN
from tests.e2e.conftest import Up, run  # noqa: F401

WAIT_S = 120.0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_works_is_mirrored_onto_its_plan(run: Up, tmp_path: Path) -> None:  # noqa: F811
    place = ("--dir", str(tmp_path / "world"), "--port", "0", "--no-browser")
    options = ("--option", "speed=600", "--option", "report_s=300", "--discovery", "off")
    world: Any = run("up", "--world", "factory", *options, *place).until_up(WAIT_S)
    world.until_source("plant", "live", WAIT_S)
    line = machine_twin("smt", 1)
    world.until("a line has made lots", lambda: (world.value(f"{line}.Lots") or 0) > 10, WAIT_S)
    told = world.client.get(f"/api/twins/{line}").json()
    assert told["twin"]["type"] == "factory:smt-machine", "the plan's word holds"
    assert told["twin"]["name"] == {"en": "SMT lines 1", "de": "SMT-Linien 1"}
    # Each point has its own first report: none is there just since another is.
    in_works = f"{ORDERS}.InWorks"
    world.until("lots are in the works", lambda: (world.value(in_works) or 0) > 0, WAIT_S)
    assert world.value(in_works) <= DRAWN.limit
    done = world.value(f"{ORDERS}/sensor.Done") or 0
    world.until("lots leave", lambda: (world.value(f"{ORDERS}/sensor.Done") or 0) > done, WAIT_S)
    works = world.client.get(f"/api/twins/{WORKS}").json()["twin"]
    assert works["name"]["en"] == "Electronics works"
    metrics = world.client.get("/metrics").text
    for fate in ("unknown", "future", "not_a_number", "out_of_range"):
        for row in metrics.splitlines():
            if row.startswith(f'mirrorworld_rows_total{{fate="{fate}"'):
                assert float(row.rpartition(" ")[2]) == 0.0, row
    assert world.stop() == 0


def test_options_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for option, value in (("speed", 0.0), ("report_s", 0.1), ("design", str(tmp_path / "none"))):
        with pytest.raises(ValueError, match=option):
            factory.make(**{option: value})
