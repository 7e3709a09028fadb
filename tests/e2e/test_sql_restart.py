"""A table of a real PostgreSQL, followed through its crash and ours: every row exactly once."""

from __future__ import annotations

import subprocess
import threading

import pytest

from tests.conftest import Postgres
from tests.e2e.conftest import Up
from tests.e2e.running import Running

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240)]

POINT = "mes/oven.temperature"


class Shift:
    """Writes rows with rising numbers into the table, as a machine would, until it is told to
    stop. A row that the database did not confirm is looked up before it is written again."""

    def __init__(self, peer: Postgres) -> None:
        self.peer = peer
        self.n = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """How many rows there are."""
        self._ends.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        return int(self.peer.psql("SELECT count(*) FROM oven;"))

    def _work(self) -> None:
        while not self._ends.is_set():
            first = self.n + 1
            statement = (
                "INSERT INTO oven (ts, temperature) SELECT clock_timestamp(), i FROM"
                f" generate_series({first}, {first + 9}) i"
                f" WHERE NOT EXISTS (SELECT FROM oven WHERE temperature = {first});"
            )
            try:
                self.peer.psql(statement)
            except (AssertionError, subprocess.TimeoutExpired):
                self._ends.wait(0.1)  # it is down; these rows again once it is back
            else:
                self.n += 10


def rows_on_record(world: Running) -> list[float]:
    return world.history(POINT)[POINT]["value"].to_pylist()


def test_every_row_exactly_once(postgres: Postgres, up: Up) -> None:
    postgres.psql(
        "CREATE TABLE oven (id bigserial PRIMARY KEY, ts timestamptz, temperature float8);"
        "INSERT INTO oven (ts, temperature)"
        " SELECT to_timestamp(1700000000 + i * 0.001), -i FROM generate_series(1, 20000) i;"
    )
    source = (
        postgres.url.replace("@", f":{postgres.password.replace(' ', '%20')}@"),
        "--name", "mes", "-o", "table=oven", "-o", "poll_s=0.1",
    )  # fmt: skip
    world = up(*source)
    world.until_source("mes", "live")
    world.until("what was there is here", lambda: world.value(POINT) == -20_000)
    shift = Shift(postgres)

    world.until("it is followed live", lambda: (world.value(POINT) or 0) > 50)
    postgres.crash()
    lost = world.until_source("mes", "lost")
    assert lost["detail"] and postgres.password not in str(lost)
    postgres.start()
    world.until_source("mes", "live")
    more = shift.n + 50
    world.until("it is followed again", lambda: (world.value(POINT) or 0) > more)

    # Our own end by a power cut, in the middle of it, and the return over the same directory.
    world.kill()
    assert postgres.password not in world.said
    world = up(*source)
    world.until_source("mes", "live")
    written = shift.stop()
    world.until("all of it is here", lambda: world.value(POINT) == shift.n)
    found = world.until(
        "all of it is on record",
        lambda: (rows := rows_on_record(world)) and len(rows) >= written and rows,
    )
    wanted = [float(-i) for i in range(1, 20_001)] + [float(i) for i in range(1, shift.n + 1)]
    assert written == len(wanted)
    assert found == wanted, "every row of the table, in its order, once"
