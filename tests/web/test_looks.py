"""Visual rules: worked out on columns in Node, and edited in a page while the scene follows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.world.changes import PutSheet
from mirrorworld.world.model import Sheet
from tests.web.in_node import Run, in_node
from tests.web.panel_world import PanelWorld

if TYPE_CHECKING:
    from tests.web.conftest import OpenPage

LOOKS = Path(__file__).resolve().parents[2] / "web" / "src" / "looks"
WAIT_MS = 120_000
MIRROR = "window.__mirrorworld.mirror"
SCENE = "window.__mirrorworld.scene"


@pytest.fixture
def run(node: str) -> Run:
    return in_node(node, LOOKS)


def test_an_expression_is_worked_out_on_columns_or_refused_with_its_place(run: Run) -> None:
    found = run(
        """
        import { compile } from "./expression.ts";
        const columns = {
          A: [1, 2, NaN], B: [10, 20, 30], "Bowl level": [5, 6, 7], "x.y-z": [1, 1, 1],
        };
        const value = (text) => {
          const made = compile(text);
          const out = new Float64Array(3);
          made.run(made.points.map((name) => Float64Array.from(columns[name])), out);
          return [...out].map((v) => (Number.isNaN(v) ? null : v));
        };
        const why = (text) => {
          try {
            compile(text);
            return "";
          } catch (error) {
            return error.message;
          }
        };
        const wrong = [
          "", "A +", "(A", "A B", "1 + 2", "A; B", "min(A)", "=A", "A".repeat(301),
          "(".repeat(60) + "A", "-".repeat(60) + "A",
        ];
        const more = ["B - A * 2", "(B - A) * 2", "-A + B / 10", "B - A - 1"];
        const calls = ["max(A, 2) + min(B, 15)", "abs(A - B)", "sqrt(B * B)", "x.y-z"];
        console.log(JSON.stringify({
          plain: [
            value("A"), compile("A").isPlain, compile("-A").isPlain, value('"Bowl level"'),
          ],
          sums: more.map(value), calls: calls.map(value), wrong: wrong.map(why),
        }));
        """
    )  # fmt: skip
    assert found["plain"] == [[1, 2, None], True, False, [5, 6, 7]]
    assert found["sums"] == [[8, 16, None], [18, 36, None], [0, 0, None], [8, 17, None]]
    assert found["calls"][:3] == [[12, 17, None], [9, 18, None], [10, 20, 30]]
    assert all(found["wrong"]), found["wrong"]
    assert "at the end" in found["wrong"][2] and "'B' was not expected" in found["wrong"][3]
    assert "names no point" in found["wrong"][4] and "nested" in found["wrong"][9]


PLANT = """
import { COLOURS, Paint } from "./paint.ts";
import { RGB } from "./model.ts";
// 0 is the hall without a body, 1 to 3 pumps, 4 a seal on pump 3 without a body, 5 a tank.
const types = ["Hall", "Pump", "BigPump", "Pump", "Pump", "Tank"];
const ids = ["hall", "hall/p1", "hall/p2", "yard/p3", "yard/p3/seal", "hall/t"];
const units = ["mm/s", "m/s", "mm/s", "mm/s"];
const isOf = (own, type) => type === "" || own === type || (type === "Pump" && own === "BigPump");
const fits = (i, type, pattern) => isOf(types[i], type) && ids[i].startsWith(pattern);
const plant = {
  nOrdinals: 6,
  hasBody: Uint8Array.from([0, 1, 1, 1, 0, 1]),
  parent: (at) => (at === 4 ? 3 : at === 0 ? -1 : 0),
  children: (at) => (at === 0 ? [1, 2, 3, 5] : at === 3 ? [4] : []),
  twinsOf: (...asked) => Int32Array.from([...types.keys()].filter((i) => fits(i, ...asked))),
  hasType: (type) => types.includes(type),
  handle: (at, point) => {
    if (point === "V" && at >= 1 && at <= 4) return at - 1;
    return point === "L" && at === 5 ? 4 : -1;
  },
  unit: (h) => units[h] ?? "%",
  conversion: (from, to) => {
    const is = from === "m/s" && to === "mm/s";
    return is ? { scale: 1000, offset: 0 } : `'${from}' does not fit '${to}'`;
  },
};
const band = (above, colour) => ({ above, colour, mark: "", word: "" });
const bands = [band(0, "green"), band(5, "vermilion")];
const rule = (more) => ({
  id: "a", title: "", type: "Pump", pattern: "", value: "V", unit: "mm/s", low: 0, high: 0, bands,
  shows: ["colour"], ...more,
});
const said = ({ what, name }) => `${what}:${name}`;
const colourOf = (level) => {
  const is = (name) => RGB[name].every((c, i) => c === COLOURS[level * 4 + i]);
  return level === 0 ? "" : Object.keys(RGB).find(is) ?? "ramp";
};
// p2 says 0.002 m/s, which are 2 mm/s; the seal's 9 shows on the body of p3.
const paint = (rules, quality = [0, 0, 0, 0, 0]) => {
  const made = new Paint({ rules }, plant);
  made.take(Float32Array.from([3, 0.002, 4, 9, 50]), Uint8Array.from(quality));
  return {
    levels: [...made.level], colours: [...made.level].map(colourOf), rules: [...made.ruleOf],
    counts: made.counts.map((each) => [...each]), css: made.cssAt(1),
    complaints: made.complaints.map((own) => own.map(said)),
  };
};
"""


def test_the_first_rule_that_fits_counts_in_the_unit_of_its_limits(run: Run) -> None:
    asked = """
        const blue = rule({ pattern: "hall", bands: [band(0, "blue")] });
        const ramp = rule({ type: "", value: "L", unit: "", bands: [], low: 0, high: 100 });
        const wrong = [
          { type: "Motor" }, { value: "Heat" }, { unit: "Cel" }, { value: "V +" },
          { bands: [bands[1], bands[0]] },
        ];
        console.log(JSON.stringify({
          one: paint([rule({})]),
          bad: paint([rule({})], [2, 0, 0, 2, 0]),
          order: paint([blue, rule({}), ramp]),
          wrong: paint(wrong.map(rule)),
        }));
        """
    found = run(PLANT + asked)
    assert found["one"]["colours"] == ["", "green", "green", "vermilion", "", ""]
    assert found["one"]["counts"] == [[3, 1]]
    assert found["one"]["css"] == "rgb(0 158 115)"
    assert found["bad"]["colours"] == ["", "", "green", "green", "", ""], "bad is not known"
    assert found["order"]["colours"] == ["", "blue", "blue", "vermilion", "", "ramp"]
    assert found["order"]["rules"] == [255, 0, 0, 1, 1, 2]
    assert found["wrong"]["complaints"] == [
        ["type:Motor"], ["point:Heat"], ["unit:Cel", "unit:Cel"], ["value:V +"], ["rule:order"],
    ]  # fmt: skip
    assert not any(found["wrong"]["levels"])


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_rules_are_edited_in_the_page_while_the_scene_follows(
    line: PanelWorld, open_page: OpenPage
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    bad = {"version": 1, "rules": [
        {"id": "a", "type": "Motor", "value": "Heat", "low": 0, "high": 1},
        {"id": "b", "type": "Machine", "value": "Heat", "low": 0, "high": 1}]}  # fmt: skip
    line.edit(PutSheet(Sheet("look", "Stale", json.dumps(bad))))
    page = open_page(line, width=1440, height=900, with_scene=False)
    page.set_default_timeout(WAIT_MS)
    line.tick(Speed=12_345.0)
    page.get_by_role("button", name="Visual rules").click()
    panel = page.get_by_role("region", name="Visual rules")
    # What is not there is said by name, and nothing is coloured by it.
    expect(panel).to_contain_text("There is no type “Motor” in this world.")
    expect(panel).to_contain_text("Type “Machine” has no point “Heat”.")
    page.get_by_role("button", name="New look").click()
    page.get_by_role("textbox", name="Name").fill("Pace")
    page.get_by_role("button", name="Make it").click()
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Of which type").select_option("Machine")
    page.get_by_label("By which value").fill("Speed")
    page.get_by_label("By which value").press("Tab")
    heat = f"{SCENE}.heatOf('line1/filler')"
    # Shown while it is typed: above 1000 everything is in the second band, before it is saved.
    page.get_by_label("Limit of band 2").fill("1000")
    page.wait_for_function(f"{heat} === 225 + 1 + 3 * 3", timeout=WAIT_MS)
    page.get_by_label("Limit of band 2").press("Tab")
    page.get_by_label("a word on its name").check()
    # A unit that does not fit is refused by name, and is not kept.
    page.get_by_label("In which unit").fill("Cel")
    page.get_by_label("In which unit").press("Tab")
    expect(panel.get_by_role("alert").first).to_contain_text("Cel")

    def kept() -> dict:
        sheet = line.do(lambda mirror: mirror.world.structure.sheets.get(("look", "Pace")))
        return json.loads(sheet.body)["rules"][0] if sheet else {}

    # One after the other, each when the one before is kept: the form is made anew with it.
    for label, text, is_kept in (
        ("In which unit", "/min", lambda rule: rule["unit"] == "/min"),
        ("Limit of band 2", "50", lambda rule: rule["bands"][1]["above"] == 50),
        ("Limit of band 3", "100", lambda rule: rule["bands"][2]["above"] == 100),
    ):
        page.get_by_label(label).fill(text)
        page.get_by_label(label).press("Tab")
        deadline = time.monotonic() + WAIT_MS / 1000
        while not is_kept(kept()):
            assert time.monotonic() < deadline, f"{label}: {kept()}"
            page.wait_for_timeout(100)
        page.wait_for_timeout(300)
    page.get_by_role("button", name="Done").click()
    # 12 345 an hour are 205.75 a minute: in the third band.
    page.wait_for_function(f"{heat} === 225 + 1 + 3 * 5", timeout=WAIT_MS)
    expect(panel).to_contain_text("high")
    rule = kept()
    assert (rule["unit"], rule["type"], rule["shows"]) == ("/min", "Machine", ["colour", "badge"])
    assert [band["above"] for band in rule["bands"]][1:] == [50, 100]
    assert "look=Pace" in page.url
    # Who loads the page again sees the same; the heat layer takes its place, and gives it back.
    page.reload()
    page.wait_for_function(f"window.__mirrorworld && {heat} === 225 + 1 + 3 * 5", timeout=WAIT_MS)
    page.get_by_role("toolbar").get_by_role("button", name="Heat layer").click()
    expect(page.get_by_role("region", name="Visual rules")).to_be_hidden()
    assert "look=" not in page.url
