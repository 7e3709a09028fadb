"""The owner's page, the way for another device, notices in the background, and hostile names."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.model import Text
from tests.web.conftest import OpenPage
from tests.web.panel_world import FILLER, PanelWorld
from tests.web.test_panels import open_wide

WEB = Path(__file__).resolve().parents[2] / "web" / "src"
HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


@pytest.mark.parametrize(
    ("given", "minute", "severity", "twin", "is_wanted"),
    [
        ({}, 720, 2, "line1/filler", True),
        ({"isOn": False}, 720, 3, "line1/filler", False),
        ({}, 720, 1, "line1/filler", False),
        ({"subtree": "line1"}, 720, 2, "line1/filler", True),
        ({"subtree": "line1"}, 720, 2, "line10/filler", False),
        ({"quietFrom": "22:00", "quietTo": "06:00"}, 1_320, 2, "a", False),
        ({"quietFrom": "22:00", "quietTo": "06:00"}, 359, 2, "a", False),
        ({"quietFrom": "22:00", "quietTo": "06:00"}, 360, 2, "a", True),
        ({"quietFrom": "22:00", "quietTo": "06:00"}, 0, 3, "a", True),
        ({"quietFrom": "12:00", "quietTo": "13:00", "quietBut": 4}, 725, 3, "a", False),
        ({"quietFrom": "", "quietTo": "06:00"}, 0, 2, "a", True),
    ],
)
def test_what_is_told_in_the_background(
    node: str, given: dict, minute: int, severity: int, twin: str, is_wanted: bool
):
    text = f"""
        import {{ isWanted, NOTICES_AT_FIRST }} from "./notices.ts";
        const settings = {{ ...NOTICES_AT_FIRST, isOn: true, ...{json.dumps(given)} }};
        const event = {{ id: "x", twin: {json.dumps(twin)}, severity: {severity} }};
        console.log(JSON.stringify(isWanted(settings, event, {minute})));
    """
    done = subprocess.run(
        [node, "--no-warnings", "--input-type=module", "--eval", text],
        cwd=WEB, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) is is_wanted


def event(name: str, *, message: str = "Too hot", is_active: bool = True) -> Event:
    said = Text((("en", message),))
    return Event(name, FILLER, "hot", said, Severity.HIGH, is_active, source_ns=time.time_ns())


def emit(line: PanelWorld, what: Event) -> None:
    line.do(lambda mirror: mirror.apply(what))


def notices(page: Page) -> list[str]:
    return page.evaluate(
        """async () => {
          const worker = await navigator.serviceWorker.getRegistration();
          return worker ? (await worker.getNotifications()).map((each) => each.title) : [];
        }"""
    )


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_the_browser_tells_of_alarms_while_one_looks_elsewhere(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    page.context.grant_permissions(["notifications"])
    page.locator("#tab-alarms").click()
    page.get_by_role("button", name="Notifications…").click()
    dialog = page.get_by_role("dialog", name="Notifications")
    dialog.get_by_role("checkbox").check()
    expect(dialog.get_by_role("status")).to_contain_text("while this page is open")
    dialog.get_by_role("button", name="Try it").click()
    dialog.get_by_role("button", name="Done").click()
    page.wait_for_function(
        "async () => (await (await navigator.serviceWorker.ready).getNotifications()).length === 1"
    )
    emit(line, event("seen"))
    page.wait_for_selector(".toast")
    assert notices(page) == ["This is how you are told"]  # one is looking: the page itself says it
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => true })")
    emit(line, event("hot"))
    page.wait_for_function(
        "async () => (await (await navigator.serviceWorker.ready).getNotifications())"
        ".some((each) => each.title === 'High: Too hot')"
    )
    emit(line, event("hot", is_active=False))
    page.wait_for_function(
        "async () => (await (await navigator.serviceWorker.ready).getNotifications())"
        ".some((each) => each.title === 'Over: Too hot')"
    )
    assert "High: Too hot" not in notices(page)


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_an_owner_grants_withdraws_invites_and_reads_what_was_done(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    made = page.evaluate(
        """async () => (await fetch("/api/people", { method: "POST",
          headers: { "X-Mirrorworld": "1", "Content-Type": "application/json" },
          body: JSON.stringify({ name: "kim", password: "zebra kettle moss",
            grants: [{ role: "viewer" }] }) })).status"""
    )
    assert made == 201
    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="People and access…").click()
    dialog = page.get_by_role("dialog", name="People and access")
    kim = dialog.locator('[data-person="kim"]')
    kim.locator("summary").click()
    kim.get_by_label("Role").select_option("operator")
    kim.get_by_label("Part").fill(FILLER)
    kim.get_by_role("button", name="Grant").click()
    expect(kim.locator(".grants .chip")).to_have_count(2)
    kim.get_by_role("button", name="Withdraw viewer of kim").click()
    expect(kim.locator(".grants .chip")).to_have_count(1)
    expect(kim.locator(".grants .chip")).to_contain_text(f"operator · {FILLER}")
    dialog.locator("section").get_by_role("button", name="Invite").click()
    expect(dialog.locator(".account-link")).to_contain_text("/welcome?invitation=")
    dialog.get_by_role("button", name="Invitations").click()
    dialog.get_by_role("button", name="Take back").click()
    expect(dialog.get_by_text("No invitation is open.")).to_be_visible()
    dialog.get_by_role("button", name="Audit trail").click()
    lines = dialog.locator(".audit tbody tr")
    expect(lines.first).to_contain_text("invitation withdrawn")
    dialog.get_by_role("searchbox").fill("KIM: OPER")
    expect(lines).to_have_count(1)
    expect(dialog.get_by_role("status")).to_contain_text("The chain is whole")
    with page.expect_download() as saved:
        dialog.get_by_role("link", name="Save as CSV").click()
    assert saved.value.suggested_filename == "audit.csv"
    assert "kim" in Path(saved.value.path()).read_text()


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_hostile_names_are_text_on_the_page(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    made = page.evaluate(
        """async (name) => {
          const ask = (path, body) => fetch(`/api/${path}`, { method: "POST",
            headers: { "X-Mirrorworld": "1", "Content-Type": "application/json" },
            body: JSON.stringify(body) });
          const twin = { id: "hostile", name: { en: name } };
          const edits = [{ "@": "PutTwin", twin },
            { "@": "PutProperty", twin: "hostile", property: { name: "note", value: name } }];
          return (await ask("edits", { edits, reason: name })).status;
        }""",
        HOSTILE,
    )
    assert made == 200
    emit(line, event("bad", message=HOSTILE))
    page.wait_for_selector(".toast")
    page.locator("#tab-alarms").click()
    expect(page.locator("#panel-alarms")).to_contain_text(HOSTILE)
    page.get_by_role("treeitem").filter(has_text="<img").first.click()
    expect(page.locator("#right")).to_contain_text(HOSTILE)
    assert page.evaluate("window.hit") is None
    assert page.locator("#left img, #right img, #toasts img, #panel-alarms img").count() == 0


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_who_is_told_by_mail_is_set_on_the_page(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    page.locator("#tab-alarms").click()
    page.get_by_role("button", name="Notifications…").click()
    dialog = page.get_by_role("dialog", name="Notifications")
    dialog.get_by_label("To whom").fill("shift@works.example, chief@works.example")
    dialog.get_by_role("button", name="Add").click()
    listed = dialog.get_by_role("list", name="By e-mail or webhook").get_by_role("listitem")
    expect(listed).to_have_count(1)
    expect(listed).to_contain_text("shift@works.example, chief@works.example")
    ((key, sheet),) = [
        (key, sheet)
        for key, sheet in line.mirror.world.structure.sheets.items()
        if key[0] == "notify"
    ]
    assert json.loads(sheet.body)["to"] == ["shift@works.example", "chief@works.example"]
    listed.get_by_role("button", name="Remove").click()
    expect(listed).to_have_count(0)
    assert key not in line.mirror.world.structure.sheets
