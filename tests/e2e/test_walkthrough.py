"""As a new user would: from an empty server to an alarm of one's own, acknowledged on a phone, a
stop that is explained there, and the shift's report as PDF.

The plant is a node-opcua server that announces itself and keeps an alarm on its filler's level.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdf
import pytest

from tests.connectors.opcua_peer import NodeOpcua
from tests.e2e.conftest import Up
from tests.e2e.test_page_to_plant import WAIT_MS, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(1200)]

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def plant(node: str, peers_dir: Path, tmp_path: Path) -> Iterator[NodeOpcua]:
    server = NodeOpcua(node, peers_dir, tmp_path / "plant", alarms=True).start()
    service = {"type": "_opcua-tcp._tcp", "name": "Bottling 1", "port": server.port}
    announcer = subprocess.Popen(
        [node, "mdns_announcer.js", json.dumps([service])],
        cwd=peers_dir,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert announcer.stdout is not None
    assert announcer.stdout.readline() == "ready\n"
    yield server
    announcer.kill()
    announcer.communicate()
    server.kill()


def test_an_hour_of_a_new_user(
    page_built: None, browser: Browser, plant: NodeOpcua, up: Up
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    world = up("--empty", "--world", "works", environment={"MIRRORWORLD_DISCOVERY": "here"})

    # --- at the desk: discovered, added, named, placed
    desk = Visitor(browser, world)
    page = desk.page
    desk.shot("walk-1-empty")
    page.locator(".beginning-row", has_text="Bottling 1").get_by_role("button", name="Add").click()
    row = page.locator(".around-row.open")
    row.get_by_role("textbox", name="What you call it").fill("Line of Hall A")
    row.get_by_role("spinbutton", name="East, m").fill("6")
    desk.shot("walk-2-discovered")
    row.get_by_role("button", name="Add it").click()
    expect(page.locator("#left [role=treeitem]", has_text="Line of Hall A")).to_be_visible()
    world.until_source("bottling-1", "live")
    assert world.get("twins/bottling-1")["twin"]["pose"] == {"x_m": 6.0}
    desk.shot("walk-3-named-and-placed")

    # --- an alarm of one's own on a point; and what makes the filler a work unit, as the guide says
    filler = world.until("the filler", lambda: twin_with(world, "Level"))
    plant.ask("set", name="Filler.Level", value=50)
    plant.ask("set", name="Filler.Running", value=True)
    world.until("it runs", lambda: world.value(f"{filler}.Running") is True)
    desk.until("id => window.__mirrorworld.mirror.twins.has(id)", filler)
    page.evaluate("id => window.__mirrorworld.mirror.select(id)", filler)
    point = page.locator(f'[data-point="{filler}.Level"]')
    point.locator(".point-row").click()
    point.get_by_role("button", name="Alarm when…").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_role("spinbutton", name="Limit").fill("60")
    expect(dialog.locator(".rule-told")).to_contain_text("1 twins")
    desk.shot("walk-3b-alarm-set")
    dialog.get_by_role("button", name="Set alarm").click()
    world.until("the rule", lambda: world.get("rules")["rules"])
    unit = {"twin": filler, "state": "Running", "running": [1]}
    sheets = {"oee": unit, "downtime_reasons": {"ask_from_s": 0}}
    edits = [
        {"@": "PutSheet", "sheet": {"kind": kind, "name": "filler", "body": json.dumps(body)}}
        for kind, body in sheets.items()
    ]
    assert world.post("edits", {"edits": edits}).status_code == 200
    desk.context.close()
    assert not desk.complaints

    # --- in the hall: the level rises, the phone shows it, a person has seen it
    phone = Visitor(browser, world, viewport=PHONE, has_touch=True)
    page = phone.page
    plant.ask("set", name="Filler.Level", value=70)
    world.until("the alarm that was set", lambda: active(world))
    page.locator(".phone-tabs button", has_text="Alarms").click()
    alarm = page.locator("#panel-alarms .alarm-row.active", has_text="Level: 70")
    expect(alarm).to_be_visible()
    phone.shot("walk-4-alarm")
    with page.expect_response(lambda r: r.url.endswith("/acknowledge")) as answered:
        alarm.get_by_role("button", name="Acknowledge").click()
    assert answered.value.ok, answered.value.text()
    world.until("it was seen", lambda: all(e["is_acknowledged"] for e in active(world)))

    # --- the plant's own alarm too: there the plant itself is told
    plant.ask("set", name="Filler.Level", value=97)
    own = page.locator("#panel-alarms .alarm-row.active").first
    with page.expect_response(lambda r: r.url.endswith("/acknowledge")) as answered:
        own.get_by_role("button", name="Acknowledge").click()
    assert answered.value.ok, answered.value.text()
    world.until("the plant knows", lambda: plant.ask("alarm", name="Level")["acked"] is True)
    world.until("and so does the mirror", lambda: all(e["is_acknowledged"] for e in active(world)))
    phone.shot("walk-5-acknowledged")

    # --- the machine stops, and why is said with the thumb
    plant.ask("set", name="Filler.Running", value=False)
    # It stood before too, until it was first set to run.
    world.until(
        "it stands",
        lambda: any(stop["is_open"] for stop in world.get("stops", twin=filler)["stops"]),
    )
    page.locator(".phone-tabs button", has_text="Shift").click()
    shift = page.locator("dialog.shift")
    stop = shift.locator(".stop.asked").first
    expect(stop).to_contain_text("Why?")
    phone.shot("walk-6-stop")
    stop.click()
    for code in ("breakdown", "breakdown/mechanical"):
        button = shift.locator(f'[data-reason="{code}"]')
        box = button.bounding_box()
        assert box is not None and box["height"] >= 48 and box["width"] >= 120
        button.click()
    shift.get_by_role("textbox", name="Comment").fill("gearbox of the carousel")
    phone.shot("walk-7-reason")
    shift.get_by_role("button", name="Save").click()
    expect(shift.locator(".stop").first).to_contain_text("Breakdown › Mechanical")
    phone.shot("walk-8-said")
    (said,) = [s for s in world.get("stops", twin=filler)["stops"] if s["reason"]]
    assert (said["reason"], said["by"]) == ("breakdown/mechanical", "owner")
    shift.get_by_role("button", name="Units").click()
    expect(shift.locator(f'[data-unit="{filler}"]')).to_contain_text("OEE")
    phone.shot("walk-9-units")

    # --- the shift's report, as PDF
    shift.get_by_role("button", name="Reports").click()
    link = shift.locator('a[data-form="pdf"]').first
    phone.shot("walk-10-reports")
    answer = phone.context.request.get(link.evaluate("a => a.href"))
    assert answer.ok and answer.headers["content-type"] == "application/pdf"
    document = pypdf.PdfReader(io.BytesIO(answer.body()))
    told = " ".join(" ".join(p.extract_text() for p in document.pages).split())
    for words in ("Shift report works", "Breakdown › Mechanical: gearbox of the carousel (owner)",
                  "Level: 70", "Filler"):  # fmt: skip
        assert words in told, (words, told)
    picture_of(answer.body())
    phone.context.close()
    assert not phone.complaints


def twin_with(world: Any, point: str) -> str:
    """The twin that has a point of that name."""
    found = [p["twin"] for p in world.get("points", limit=1000)["points"] if p["name"] == point]
    return found[0] if found else ""


def picture_of(pdf: bytes) -> None:
    """The report's pages as pictures, where pictures are asked for and something can draw them."""
    folder = os.environ.get("MIRRORWORLD_SHOTS", "")
    program = shutil.which("pdftoppm")
    if folder:
        (Path(folder) / "walk-11-report.pdf").write_bytes(pdf)
    if folder and program:
        target = str(Path(folder) / "walk-11-report")
        subprocess.run([program, "-r", "80", "-png", f"{target}.pdf", target], check=True)


def active(world: Any) -> list[dict[str, Any]]:
    """Alarms of the plant that hold now."""
    events = world.get("events")["events"]
    return [
        {"is_acknowledged": False, **event}
        for event in events
        if event.get("is_active") and event.get("twin", "").startswith("bottling-1/")
    ]
