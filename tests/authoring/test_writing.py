"""Two who write in the same document over a real line, and what the server lets them say."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mirrorworld.protocol import authoring as shapes
from tests.authoring.writer import note, writer
from tests.server.stand_in import Served, line, served

FILLER = "line1/filler"


@pytest.fixture
async def here() -> AsyncIterator[Served]:
    async with served(line()) as running:
        yield running


async def test_two_write_in_one_note_and_both_have_all(here: Served) -> None:
    async with writer(here.host) as one, writer(here.host) as two:
        took = await one.change(
            FILLER, lambda: one.notes(FILLER).__setitem__("n1", note(one.me, "leaks"))
        )
        assert isinstance(took, shapes.Took), took
        await two.until(lambda: "n1" in two.notes(FILLER))
        text = two.notes(FILLER)["n1"]["text"]
        await two.change(FILLER, lambda: text.insert(5, " here"))
        await one.change(FILLER, lambda: one.notes(FILLER)["n1"]["text"].insert(0, "It "))
        for each in (one, two):
            await each.until(lambda e=each: str(e.notes(FILLER)["n1"]["text"]) == "It leaks here")
    async with writer(here.host) as late:
        assert str(late.notes(FILLER)["n1"]["text"]) == "It leaks here"
    document = here.mirror.world.writings[FILLER]
    assert len(document) == 3, "each is a change of its own"
