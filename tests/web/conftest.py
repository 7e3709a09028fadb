"""The page, built once for the tests of this folder, and a browser to look at it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.world.changes import Edits
from tests.web.living_world import LivingWorld
from tests.web.panel_world import PanelWorld

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent.parent
READY_MS = 120_000

OpenPage = Callable[..., "Page"]

# For tests of the panels alone: the scene runs, but software GL is spared the pixels.
NO_DRAWING = """
for (const name of ["drawElements", "drawArrays", "drawElementsInstanced", "drawArraysInstanced",
    "blitFramebuffer", "clear"])
  WebGL2RenderingContext.prototype[name] = () => undefined;
"""


@pytest.fixture(scope="session")
def static_dir() -> Path:
    """The built page that is in the package; brought up to date first if its sources changed."""
    import hatch_build

    hatch_build.build_page()
    return hatch_build.STATIC


@pytest.fixture
def living(static_dir: Path) -> Iterator[Callable[[Edits], LivingWorld]]:
    """A function that serves a world until the test ends."""
    worlds: list[LivingWorld] = []

    def start(edits: Edits) -> LivingWorld:
        worlds.append(LivingWorld(static_dir, edits))
        return worlds[-1]

    yield start
    for world in worlds:
        world.close()


@pytest.fixture
def line(static_dir: Path) -> Iterator[PanelWorld]:
    """The bottling line with its past."""
    world = PanelWorld(static_dir)
    yield world
    world.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """A function that opens a world's page and waits until its first picture.

    Scripts of the tests are let past the page's Content-Security-Policy; the page itself is not
    changed by that, and `test_page_keeps_to_its_policy` looks at it without.
    """
    with _opening(browser) as open_:
        yield open_


@pytest.fixture(scope="module")
def open_shared_page(browser: Browser) -> Iterator[OpenPage]:
    """The same for a page that several tests look at: opening one costs seconds."""
    with _opening(browser) as open_:
        yield open_


@contextlib.contextmanager
def _opening(browser: Browser) -> Iterator[OpenPage]:
    contexts = []
    errors: list[str] = []

    def open_(
        world: LivingWorld,
        *,
        quality: str = "low",
        width: int = 900,
        with_scene: bool = True,
        **options,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": options.pop("height", 600)},
            bypass_csp=True,
            # The scene then rests between changes, which software GL is thankful for.
            reduced_motion=options.pop("reduced_motion", "reduce"),
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        if not with_scene:
            page.add_init_script(NO_DRAWING)
        page.on("pageerror", lambda error: errors.append(str(error)))
        address, _, token = world.url.partition("/?token=")
        context.request.post(f"{address}/api/session", data={"token": token})
        page.goto(f"{address}/?quality={quality}", timeout=READY_MS)
        page.wait_for_function(
            "document.documentElement.dataset.ready === 'true'", timeout=READY_MS
        )
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not errors, "the page threw:\n" + "\n".join(errors)
