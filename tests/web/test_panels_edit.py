"""Editing in the inspector: said, shown as text, taken back."""

from __future__ import annotations

import os

import pytest

from tests.web.conftest import OpenPage
from tests.web.panel_world import FILLER, PanelWorld
from tests.web.test_panels import open_wide, select

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

IS_TITLE = "t => document.querySelector('.insp-title').textContent === t"
HOSTILE = "<img src=x onerror=document.title='owned'>"


def test_a_twin_is_renamed_and_that_is_taken_back(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    select(page, FILLER)
    title = page.locator(".insp-title")
    title.wait_for()
    before = title.inner_text()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Name", exact=True).fill(HOSTILE)
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/edit.png")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_function(IS_TITLE, arg=HOSTILE)
    assert page.title() != "owned"
    page.get_by_role("button", name="Undo", exact=True).click()
    page.wait_for_function(IS_TITLE, arg=before)
