"""What boards know as numbers and values alone, run in Node without a browser."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.web.in_node import Run, in_node

BOARDS = Path(__file__).resolve().parents[2] / "web" / "src" / "boards"


@pytest.fixture
def run(node: str) -> Run:
    """Runs a module's text in Node, in the folder of boards; what it prints last is JSON."""

    return in_node(node, BOARDS)


def cell(id_: str, x: int, y: int, w: int, h: int) -> dict:
    return {"id": id_, "x": x, "y": y, "w": w, "h": h}


def settled(run: Run, cells: list[dict], moved: dict | None = None) -> dict[str, tuple[int, ...]]:
    found = run(
        f"""
        import {{ settled }} from "./grid.ts";
        console.log(JSON.stringify(settled({json.dumps(cells)}, {json.dumps(moved)})));
        """
    )
    return {c["id"]: (c["x"], c["y"], c["w"], c["h"]) for c in found}


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def test_no_tile_ever_stands_on_another_or_beyond_the_edge(run: Run) -> None:
    chance = random.Random(7)
    worlds = []
    for _ in range(60):
        cells = [
            cell(f"t{i}", chance.randrange(-3, 14), chance.randrange(0, 20),
                 chance.randrange(0, 15), chance.randrange(0, 9))
            for i in range(chance.randrange(1, 25))
        ]  # fmt: skip
        moved = {"id": "t0", "fromY": chance.randrange(0, 20)} if chance.random() < 0.7 else None
        worlds.append([cells, moved])
    answers = run(
        f"""
        import {{ settled }} from "./grid.ts";
        const worlds = {json.dumps(worlds)};
        const once = worlds.map(([cells, moved]) => settled(cells, moved));
        const twice = once.map((cells) => settled(cells));
        console.log(JSON.stringify({{ once, twice }}));
        """
    )
    for (cells, _), once, twice in zip(worlds, answers["once"], answers["twice"], strict=True):
        assert {c["id"] for c in once} == {c["id"] for c in cells}
        places = [(c["x"], c["y"], c["w"], c["h"]) for c in once]
        assert all(x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= 12 for x, y, w, h in places)
        assert not any(overlap(a, b) for i, a in enumerate(places) for b in places[i + 1 :])
        assert once == twice, "what has settled must stay as it is"


def test_a_tile_changes_places_with_another_once_it_is_over_its_middle(run: Run) -> None:
    a, b = cell("a", 0, 0, 6, 4), cell("b", 0, 4, 6, 4)
    stays = settled(run, [{**a, "y": 1}, b], {"id": "a", "fromY": 0})
    assert (stays["a"][1], stays["b"][1]) == (0, 4)
    passes = settled(run, [{**a, "y": 3}, b], {"id": "a", "fromY": 0})
    assert (passes["b"][1], passes["a"][1]) == (0, 4)
    back = settled(run, [a, {**b, "y": 1}], {"id": "b", "fromY": 4})
    assert (back["b"][1], back["a"][1]) == (0, 4)


def test_tiles_make_way_downwards_for_what_is_put_over_them(run: Run) -> None:
    cells = [cell("a", 0, 0, 4, 3), cell("b", 4, 0, 4, 3), cell("c", 8, 0, 4, 3)]
    found = settled(run, [{**cells[0], "x": 4}, *cells[1:]], {"id": "a", "fromY": 0})
    assert found == {"a": (4, 0, 4, 3), "b": (4, 3, 4, 3), "c": (8, 0, 4, 3)}


ACTS = """
    import { adding, changing, placing, removing, read, written } from "./model.ts";
    import { ActRefused } from "../acts.ts";
    const tile = (id, x, extra = {}) => ({ "@": "TextTile", id, x, y: 0, w: 3, h: 3, text: id, ...extra });
    const board = (...tiles) => ({ tiles });
    const refused = (act, on) => {
        try { act(on); return false; } catch (error) { return error instanceof ActRefused; }
    };
"""  # noqa: E501


def test_acts_done_again_on_a_newer_board_keep_what_the_other_did(run: Run) -> None:
    found = run(
        ACTS
        + """
        const a = tile("a", 0), b = tile("b", 3);
        // The other has moved b, changed its text and added c, while I move a and rename it.
        const theirs = board(a, { ...b, x: 6, text: "new" }, tile("c", 9));
        const moved = placing("a", { x: 3, y: 0, w: 3, h: 3 }, 0)(theirs);
        const changed = changing(a, { ...a, title: "mine" })(theirs);
        const { id, x, y, w, h, ...plain } = tile("d", 0);
        const add = adding([plain]);
        const once = add(board(a)), again = add(theirs);
        console.log(JSON.stringify({
            moved: moved.tiles, changed: changed.tiles,
            refused: [
                refused(changing(b, { ...b, title: "mine" }), theirs),
                refused(removing(b), theirs),
                refused(removing(tile("gone", 0)), theirs),
                refused(placing("gone", { x: 0, y: 0, w: 1, h: 1 }, 0), theirs),
            ],
            same: once.tiles.at(-1).id === again.tiles.find((t) => t.text === "d").id,
            n: again.tiles.length,
            full: refused(add, board(...Array.from({ length: 200 }, (_, i) => tile(`t${i}`, 0)))),
        }));
        """
    )
    by_id = {tile["id"]: tile for tile in found["moved"]}
    assert (by_id["a"]["x"], by_id["b"]["x"], by_id["b"]["text"]) == (3, 6, "new")
    assert "c" in by_id
    assert {t["id"]: t.get("title") for t in found["changed"]} == {
        "a": "mine",
        "b": None,
        "c": None,
    }
    assert found["refused"] == [True] * 4
    assert found["same"] and found["n"] == 4 and found["full"]


def test_a_body_that_the_page_cannot_show_says_why(run: Run) -> None:
    found = run(
        ACTS
        + """
        const why = (body) => { try { read(body); return ""; } catch (error) { return error.message; } };
        console.log(JSON.stringify([
            why('{"version":2}'), why('{"version":1,"tiles":[{"@":"IframeTile"}]}'), why("{"),
            why(written(board(tile("a", 0)))),
        ]));
        """  # noqa: E501
    )
    assert "this page reads version 1" in found[0]
    assert "IframeTile is not known" in found[1]
    assert found[2]
    assert found[3] == ""


def test_alarm_limits_are_read_from_rules_for_the_twins_that_they_are_for(run: Run) -> None:
    found = run(
        """
        import { Limits } from "./limits.ts";
        const rule = (name, applies, when, more = {}) =>
            ({ kind: "rule", name, body: JSON.stringify({ applies, alarm: { when, severity: 3 }, ...more }) });
        const sheets = [
            rule("a", { type: "Pump" }, "level > 80 %"),
            rule("b", { subtree: "hall" }, "'Flow rate' <= -1.5e1 'm3/h'"),
            rule("c", { twins: ["other"] }, "level > 1 %"),
            rule("d", { type: "Pump" }, "level > 80 bar"),
            rule("e", { type: "Pump" }, "level > 70 % and running"),
            rule("f", { type: "Pump" }, "level > 60 %", { is_enabled: false }),
            { kind: "rule", name: "g", body: "no json" },
        ];
        const types = { level: { name: "level", unit: "%" }, "Flow rate": { name: "Flow rate", unit: "m3/h" } };
        const names = Object.keys(types);
        const mirror = {
            on: () => () => undefined, sheets: () => sheets, twins: new Map([["pump", { id: "pump", type: "P2" }]]),
            pointRef: (h) => ({ twin: "pump", name: names[h], type: types[names[h]] }),
            typeChain: () => [{ id: "P2" }, { id: "Pump" }],
            parent: (id) => ({ pump: "line", line: "hall" })[id],
        };
        const limits = new Limits(mirror);
        const level = limits.of(0);
        console.log(JSON.stringify({
            level, flow: limits.of(1),
            at: [limits.severityAt(level, 80), limits.severityAt(level, 80.1)],
        }));
        """  # noqa: E501
    )
    assert found["level"] == [{"side": "above", "at": 80, "isInclusive": False, "severity": 3}]
    assert found["flow"] == [{"side": "below", "at": -15, "isInclusive": True, "severity": 3}]
    assert found["at"] == [0, 3]
