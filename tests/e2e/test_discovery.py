"""An empty server and what is around it: seen, looked at, added under a name and at a place.

The plant is a node-opcua server and the one who announces it is Node's multicast-dns, both on the
loopback interface.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.connectors.opcua_peer import NodeOpcua
from tests.e2e.conftest import Up
from tests.e2e.running import Running
from tests.e2e.test_page_to_plant import WAIT_MS, Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(300)]

HERE = {"MIRRORWORLD_DISCOVERY": "here"}
FILLER = "Filler 2 (Hall A)"
MARKUP = '<img src="x" onerror="document.title=1">'


@pytest.fixture
def plant(node: str, peers_dir: Path, tmp_path: Path) -> Iterator[NodeOpcua]:
    """A plant's server that announces itself, and a lure beside it."""
    server = NodeOpcua(node, peers_dir, tmp_path / "plant").start()
    services = [
        {"type": "_opcua-tcp._tcp", "name": FILLER, "port": server.port, "txt": {"note": MARKUP}},
        {"type": "_http._tcp", "name": f"Meter {MARKUP}", "port": 9, "host": "meter.local"},
        {
            "type": "_mqtt._tcp",
            "name": "Lure",
            "port": 80,
            "host": "lure.local",
            "addresses": ["169.254.169.254"],
        },
    ]
    announcer = subprocess.Popen(
        [node, "mdns_announcer.js", json.dumps(services)],
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


def thing(world: Running, name: str) -> dict[str, Any]:
    """What was discovered under a name; {} if nothing was."""
    things = world.get("discovered", ignored=True)["things"]
    return next((each for each in things if each["name"] == name), {})


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Any]:
    opened: list[Visitor] = []

    def visit(world: Running, **options: Any) -> Visitor:
        opened.append(Visitor(browser, world, **options))
        return opened[-1]

    yield visit
    for each in opened:
        each.context.close()
    assert not (said := [c for each in opened for c in each.complaints]), "\n".join(said)


@pytest.mark.browser
def test_from_nothing_to_a_named_and_placed_twin(
    page_built: None, plant: NodeOpcua, up: Up, visitors: Any
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    world = up("--empty", "--world", "works", environment=HERE)
    assert world.get("world")["twins"] == 0
    visitor = visitors(world)
    page = visitor.page
    # The page leads with what was seen; a stranger's markup is text.
    seen = page.locator(".beginning-row", has_text=FILLER)
    expect(seen).to_be_visible()
    expect(page.locator(".beginning-row", has_text="Meter <img")).to_be_visible()
    expect(page.get_by_text("Lure")).to_have_count(0)
    expect(page.locator(".top-pill .badge.found")).to_have_text(re.compile(r"[1-9]"))
    visitor.shot("20-empty")
    seen.get_by_role("button", name="Add").click()
    dialog = page.get_by_role("dialog", name="Add a source")
    row = dialog.locator(".around-row.open")
    expect(row).to_contain_text("announces _opcua-tcp._tcp by mDNS")
    expect(row).to_contain_text(f"note={MARKUP}")
    row.get_by_role("button", name="Preview").click()
    expect(row.locator(".discovery-sum")).to_contain_text("twins")
    visitor.shot("21-preview")
    assert world.get("world")["twins"] == 0  # looking declares nothing
    # By keyboard from here: the name has a field, Enter adds.
    row.get_by_role("spinbutton", name="East, m").fill("4")
    row.get_by_role("spinbutton", name="South, m").fill("-2.5")
    row.get_by_role("textbox", name="What you call it").fill("Filler of Hall A")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.locator("#left [role=treeitem]", has_text="Filler of Hall A")).to_be_visible()
    visitor.shot("22-added")
    (source,) = world.get("sources")
    assert source["name"] == "filler-2-hall-a"
    found = world.get(f"twins/{source['name']}")["twin"]
    assert found["pose"] == {"x_m": 4.0, "z_m": -2.5}
    assert "Filler of Hall A" in found["name"].values()
    assert thing(world, FILLER)["state"] == "added"
    # Who did it stands in the log.
    edits = [c for c in world.get("changes", after="1:0")["changes"] if c["origin"] == "authored"]
    assert any("discovered" in (c["body"] or {}).get("reason", "") for c in edits)


@pytest.mark.browser
def test_ignoring_on_a_phone_is_remembered(
    page_built: None, plant: NodeOpcua, up: Up, visitors: Any, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    world = up("--empty", "--world", "works", environment=HERE)
    world.until("it is seen", lambda: thing(world, FILLER))
    visitor = visitors(world, viewport={"width": 390, "height": 844}, has_touch=True)
    page = visitor.page
    page.locator(".phone-tabs button").first.click()
    page.get_by_role("button", name="Add by address or recording").click()
    dialog = page.get_by_role("dialog", name="Add a source")
    dialog.get_by_role("button", name=f"Ignore {FILLER}").click()
    expect(dialog.locator(".around-row", has_text=FILLER)).to_have_count(0)
    assert thing(world, FILLER)["state"] == "ignored"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    visitor.shot("23-phone")
    page.close()
    world.stop()
    again = up("--world", "works", environment=HERE)
    again.until("it is seen again", lambda: thing(again, FILLER))
    assert thing(again, FILLER)["state"] == "ignored"
    assert all(t["name"] != FILLER for t in again.get("discovered")["things"])


@pytest.mark.browser
def test_a_dropped_recording_is_looked_at_and_mirrored(
    page_built: None, up: Up, visitors: Any, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    file = tmp_path / "oven 3.csv"
    file.write_text("time,temperature [°C]\n2026-01-01T00:00:00Z,21.5\n2026-01-01T00:00:01Z,22\n")
    world = up("--empty", "--world", "works", environment=HERE)
    page = visitors(world).page
    page.get_by_role("button", name="Add by address or recording").click()
    dialog = page.get_by_role("dialog", name="Add a source")
    dialog.locator("input[type=file]").set_input_files(str(file))
    expect(dialog.locator(".discovery-sum")).to_contain_text("1")
    dialog.get_by_role("button", name="Mirror it").click()
    expect(dialog).to_have_count(0)
    world.until("it is played", lambda: world.get("world")["points"] > 0)
    (source,) = world.get("sources")
    world.until("its end", lambda: world.value(f"{source['name']}.temperature") == 22)


def test_names_that_lead_out_of_the_inbox_do_not(up: Up, tmp_path: Path) -> None:
    world = up("--empty", "--world", "works")
    rows = b"time,level\n2026-01-01T00:00:00Z,1\n"
    for name in ("..%2F..%2Ftoken.csv", "%2Fetc%2Fpasswd.csv", "..%5Ctoken.csv", "a%00b.csv"):
        assert 400 <= world.client.put(f"/api/inbox/{name}", content=rows).status_code < 500
    for name in ("token", ".csv", "..csv", "sources.json", "a.csv.exe"):
        assert world.client.put(f"/api/inbox/{name}", content=rows).status_code == 422
    for name in ("a.csv", "a.csv", "<b>$(x).csv", "...hidden.csv"):
        answer = world.client.put(f"/api/inbox/{name}", content=rows)
        assert answer.status_code == 201, answer.text
    inbox = tmp_path / "world" / "inbox"
    kept = {path.name for path in inbox.iterdir()}
    assert kept == {"a.csv", "a-2.csv", "b---x-.csv", "hidden.csv"}
    assert not (tmp_path / "world" / "token.csv").exists()


def test_the_command_line_tells_what_is_around(plant: NodeOpcua, run: Any) -> None:
    done = run("discover", "--wait", "6", "--json", environment=HERE)
    assert done.until_ended() == 0, done.said
    rows = {row["name"]: row for row in json.loads("".join(done.out))}
    assert rows[FILLER]["command"] == f"mirrorworld up opc.tcp://127.0.0.1:{plant.port}"
    assert "Lure" not in rows
    table = run("discover", "--wait", "6", environment=HERE)
    assert table.until_ended() == 0, table.said
    assert f"mirrorworld up opc.tcp://127.0.0.1:{plant.port}" in table.said
    nowhere = run("discover", "--wait", "1", "--discovery", "everywhere")
    assert nowhere.until_ended() == 1
    assert "off, here, network" in nowhere.said
