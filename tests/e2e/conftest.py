"""The whole product as processes: started by its command, reached through its sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.running import PROGRAM, Running

Up = Callable[..., Running]


@pytest.fixture
def run() -> Iterator[Up]:
    """A function that runs `mirrorworld` with arguments; what still runs at the end is ended."""
    assert PROGRAM.exists(), "the package is not installed in the environment of the tests"
    runs: list[Running] = []

    def start(*arguments: str, **more) -> Running:
        runs.append(Running(*arguments, **more))
        return runs[-1]

    yield start
    for each in runs:
        if each.process.poll() is None:
            each.stop()


@pytest.fixture
def up(run: Up, tmp_path: Path) -> Up:
    """A function that runs `mirrorworld up` on a directory of the test's own, until its page is
    there. `directory` names another; `environment` adds variables."""

    def start(*arguments: str, directory: Path | None = None, **more) -> Running:
        place = directory or tmp_path / "world"
        return run(
            "up", *arguments, "--port", "0", "--no-browser", "--dir", str(place), **more
        ).until_up()

    return start


@pytest.fixture(scope="session")
def page_built() -> None:
    """The page in the package is the one of the sources here."""
    import hatch_build

    hatch_build.build_page()
