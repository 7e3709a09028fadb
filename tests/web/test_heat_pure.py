"""Heat layers and totals as columns, run in Node without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.in_node import Run, in_node

HEAT = Path(__file__).resolve().parents[2] / "web" / "src" / "heat"


@pytest.fixture
def run(node: str) -> Run:
    """Runs a module's text in Node, in the folder of heat layers; what it prints last is JSON."""

    return in_node(node, HEAT)


def test_colours_grow_lighter_evenly_and_reach_every_screen(run: Run) -> None:
    found = run(
        """
        import { heatColours, N_COLOURS } from "./colours.ts";
        const bytes = heatColours();
        const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        const light = [];
        for (let i = 0; i < N_COLOURS; i++) {
            const [r, g, b] = [0, 1, 2].map((k) => linear(bytes[i * 4 + k] / 255));
            light.push(116 * Math.cbrt(0.2126 * r + 0.7152 * g + 0.0722 * b) - 16);
        }
        const steps = light.slice(1).map((l, i) => l - light[i]);
        console.log(JSON.stringify({
            n: bytes.length, first: light[0], last: light.at(-1),
            // Over eight colours, so that the rounding to bytes plays no part.
            least: Math.min(...light.slice(8).map((l, i) => l - light[i])),
            most: Math.max(...light.slice(8).map((l, i) => l - light[i])),
        }));
        """
    )
    assert found["n"] == 256 * 4
    assert found["first"] < 25 and found["last"] > 85
    assert found["least"] > 0.8 and found["most"] < 4 * found["least"]


FIELD = """
import { Field } from "./field.ts";
// 0 site (ground) > 1 quarter (things stand on it) > 2 house with a body > 3 floor > 4, 5 rooms;
// 6 a zone without a body whose parts are 7 and 8.
const parents = [-1, 0, 1, 2, 3, 3, 0, 6, 6];
const hasBody = Uint8Array.from([0, 2, 1, 0, 0, 0, 0, 1, 1]);
const ground = {
    nOrdinals: 9, hasBody, parent: (o) => parents[o],
    children: (o) => parents.flatMap((p, i) => (p === o ? [i] : [])),
};
const quantity = (twins) => ({
    key: "", name: "T", unit: "Cel",
    handles: Uint32Array.from(twins.map((_, i) => i)), twins: Int32Array.from(twins),
});
const text = (field) => [...field.value].map((v) => (Number.isNaN(v) ? null : v));
"""


def test_a_value_is_shown_by_the_nearest_body(run: Run) -> None:
    found = run(
        FIELD
        + """
        const rooms = new Field(quantity([4, 5, 6]), ground);
        const good = new Uint8Array(3);
        rooms.take(Float32Array.from([20, 24, 7]), good, "mean");
        const mean = text(rooms);
        rooms.take(Float32Array.from([20, 24, 7]), good, "max");
        const max = text(rooms);
        rooms.take(Float32Array.from([20, 24, NaN]), Uint8Array.from([0, 2, 0]), "mean");
        const without = text(rooms);
        console.log(JSON.stringify({ mean, max, without, levels: [...rooms.levels(10, 20)] }));
        """
    )
    none = None
    assert found["mean"] == [none, none, 22, none, none, none, none, 7, 7]
    assert found["max"][2] == 24
    assert found["without"] == [none, none, 20, none, none, none, none, none, none]
    assert found["levels"] == [0, 0, 255, 0, 0, 0, 0, 0, 0]


def test_a_body_shows_its_own_value_before_that_of_its_parts(run: Run) -> None:
    found = run(
        FIELD
        + """
        hasBody[4] = 1; // one room is near, and has a body now
        const field = new Field(quantity([2, 4, 1]), ground);
        field.take(Float32Array.from([30, 20, 5]), new Uint8Array(3), "mean");
        const own = text(field);
        field.take(Float32Array.from([NaN, 20, 5]), new Uint8Array(3), "mean");
        console.log(JSON.stringify({ own, parts: text(field), range: field.range() }));
        """
    )
    assert (found["own"][2], found["own"][4], found["own"][1]) == (30, 20, 5)
    assert (found["parts"][2], found["parts"][1]) == (20, 5)


def test_the_range_leaves_out_what_lies_far_away(run: Run) -> None:
    found = run(
        FIELD
        + """
        const n = 200;
        const hasAll = new Uint8Array(n).fill(1);
        const many = { nOrdinals: n, hasBody: hasAll, parent: () => -1, children: () => [] };
        const field = new Field(quantity(Array.from({ length: n }, (_, i) => i)), many);
        const value = (_, i) => (i < 190 ? 20 + (i % 10) * 0.5 : 90);
        const values = Float32Array.from({ length: n }, value);
        field.take(values, new Uint8Array(n), "mean");
        const range = field.range();
        field.take(new Float32Array(n).fill(3), new Uint8Array(n), "mean");
        console.log(JSON.stringify({ range, flat: field.range() }));
        """
    )
    low, high = found["range"]
    assert 19 <= low <= 20 and 24.5 <= high < 40
    assert found["flat"][0] < 3 < found["flat"][1]


def test_totals_follow_relations_and_count_nothing_twice(run: Run) -> None:
    found = run(
        """
        import { addsUp, TotalsIndex } from "./totals.ts";
        // site 0 > houses 1, 2 > rooms 3 and 4 of house 1; station 5 powers house 1; a circle.
        const ids = ["site", "h1", "h2", "r1", "r2", "station", "a", "b"];
        const part = (source, target, kind = "part_of") => ({ kind, source, target, name: "" });
        const relations = [
            part("h1", "site"), part("h2", "site"), part("r1", "h1"), part("r2", "h1"),
            part("station", "h1", "powers"), part("a", "b"), part("b", "a")];
        const structure = {
            nOrdinals: 8, ordinal: (id) => ids.indexOf(id),
            relations: new Map(relations.map((r, i) => [i, r])),
        };
        const quantity = (name, unit, twins, first) => ({
            key: name + unit, name, unit, twins: Int32Array.from(twins),
            handles: Uint32Array.from(twins.map((_, i) => first + i)) });
        const all = [
            quantity("Power", "kW", [1, 2, 3, 4], 0), quantity("Temperature", "Cel", [3, 4], 4),
        ];
        const index = new TotalsIndex(structure, { all });
        const values = Float32Array.from([5, 7, 2, 3, 20, NaN]);
        const quality = new Uint8Array(6);
        const of = (id, kind) => index.totals(index.members(ids.indexOf(id), kind), values, quality)
            .map((t) => [t.quantity.name, t.n, t.nWithout,
                Number.isNaN(t.sum) ? null : t.sum, t.nSummed, t.min, t.max]);
        console.log(JSON.stringify({
            site: of("site", "part_of"), house: of("h1", "part_of"),
            station: of("station", "powers"),
            circle: index.members(6, "part_of").length,
            units: ["kW", "W", "kW.h", "m3/h", "L/s", "{person}",
                "Cel", "%", "Pa", "[ppm]", "lx", "m3"].map(addsUp),
        }));
        """
    )
    assert found["site"] == [
        ["Power", 4, 0, 12, 2, 2, 7],
        ["Temperature", 1, 1, None, 0, 20, 20],
    ]
    assert found["house"][0] == ["Power", 2, 0, 5, 2, 2, 3]
    assert found["station"][0] == ["Power", 3, 0, 5, 1, 2, 5]
    assert found["circle"] == 1
    assert found["units"] == [True] * 6 + [False] * 5 + [True]
