"""What differs between two worlds, loads among figures and marks of axes, run in Node."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.in_node import Run, in_node

BRANCHES = Path(__file__).resolve().parents[2] / "web" / "src" / "branches"

WORLDS = """
import { differences, Pairs } from "./differences.ts";
const FLOAT = 0, ENUM = 3, TEXT = 4;
/** A world of twins with points; values by `twin.point`, handles in the order that they come. */
function world(twins, values, shift = 0) {
    const ids = Object.keys(twins);
    const points = [];
    for (const id of ids) for (const type of twins[id].points ?? []) points.push([id, type]);
    const at = (h) => points[h - shift];
    const value = new Float32Array(points.length + shift).fill(NaN);
    const texts = new Map();
    points.forEach(([id, type], i) => {
        const v = values[`${id}.${type.name}`];
        if (typeof v === "string") texts.set(i + shift, v);
        else if (v !== undefined) value[i + shift] = v;
    });
    const handles = (id) => points.flatMap(([twin], i) => (twin === id ? [i + shift] : []));
    return {
        twins: new Map(ids.map((id) => [id, { id, pose: twins[id].pose ?? null }])),
        ordinal: (id) => ids.indexOf(id),
        handlesOf: handles,
        handle: (id, name) => handles(id).find((h) => at(h)[1].name === name) ?? -1,
        pointType: (h) => at(h)?.[1] ?? { name: "" },
        value, texts,
        geometryOf: () => "",
        format: (h) => texts.get(h) ?? String(value[h]),
        unit: (h) => at(h)[1].unit ?? "",
    };
}
const speed = { name: "speed", kind: FLOAT, unit: "/h", low: 0, high: 1000 };
const state = { name: "state", kind: ENUM, labels: [[1, "on"], [2, "off"]] };
const order = { name: "order", kind: TEXT };
const points = [speed, state, order];
"""


@pytest.fixture
def run(node: str) -> Run:
    """Runs a module's text in Node, in the folder of branches; what it prints last is JSON."""

    return in_node(node, BRANCHES)


def test_places_states_and_values_differ_and_noise_does_not(run: Run) -> None:
    found = run(
        WORLDS
        + """
        const twins = (x) => ({
            same: { points }, noisy: { points }, fast: { points }, off: { points },
            moved: { points, pose: { x_m: x } }, gone: {},
        });
        const values = { "same.speed": 10, "noisy.speed": 10, "fast.speed": 500, "off.state": 1,
            "off.speed": 5, "off.order": "A" };
        const here = world(twins(0), values);
        const there = twins(3);
        delete there.gone;
        // Handles and ordinals are others there: what is the same is found by its name.
        const other = world({ extra: { points, pose: { x_m: 1 } }, ...there }, {
            ...values, "noisy.speed": 19, "fast.speed": 700, "off.state": 2, "off.order": "B" }, 4);
        const show = (isBranch) => {
            const { twins, counted } = differences(here, other, new Pairs(here, other), isBranch);
            const names = ["same", "noisy", "fast", "off", "moved", "gone"];
            const row = (t) => [names[t.ordinal] ?? t.twin.id, t.difference, t.note];
            return { counted, twins: twins.map(row) };
        };
        console.log(JSON.stringify({ live: show(false), branch: show(true) }));
        """
    )
    assert found["live"]["counted"] == {"place": 1, "state": 1, "value": 1, "new": 1, "gone": 1}
    assert sorted(found["live"]["twins"]) == [
        ["extra", "new", ""],
        ["fast", "value", "Speed 500 → 700 /h"],
        ["gone", "gone", ""],
        ["moved", "place", ""],
        ["off", "state", "State 1 → 2\nOrder A → B"],
    ]
    # Seen from the branch, the notes still read from the plant to the branch.
    assert ["fast", "value", "Speed 700 → 500 /h"] in found["branch"]["twins"]


def test_of_many_values_those_that_differ_most_are_shown(run: Run) -> None:
    found = run(
        WORLDS
        + """
        const ids = Array.from({ length: 400 }, (_, i) => `t${i}`);
        const twins = Object.fromEntries(ids.map((id) => [id, { points: [speed] }]));
        const all = (by) => Object.fromEntries(ids.map((id, i) => [`${id}.speed`, by * i]));
        const [here, there] = [world(twins, all(0)), world(twins, all(2))];
        const { twins: shown, counted } = differences(here, there, new Pairs(here, there), false);
        const least = Math.min(...shown.map((t) => t.ordinal));
        console.log(JSON.stringify({ counted, n: shown.length, least }));
        """
    )
    # Those below a hundredth of the range, 0 to 4, do not count.
    assert found["counted"]["value"] == 395
    assert (found["n"], found["least"]) == (150, 250)


def test_loads_are_found_by_the_names_of_figures(run: Run) -> None:
    found = run(
        """
        import { loadsOf } from "./loads.ts";
        const names = { "line1/filler": "Filler", "line1/old.capper": "Capper" };
        const mirror = { twins: new Map(Object.entries(names)), nameOf: (id) => names[id] };
        const kpi = (name, mean) => ({ name, mean });
        console.log(JSON.stringify(loadsOf(mirror, [
            kpi("throughput", 100), kpi("line1/filler.busy", 0.8), kpi("filler starved", 0.1),
            kpi("line1/old.capper.blocked", 0.3), kpi("utilisation: Capper", 0.6),
            kpi("palletiser.busy", 0.5),
            kpi("line1/filler.busy", null), kpi("critical share, line1/filler", 0.4),
        ])));
        """
    )
    assert found == [
        {"twin": "line1/filler", "shares": {"busy": 0.8, "starved": 0.1, "critical": 0.4}},
        {"twin": "line1/old.capper", "shares": {"blocked": 0.3, "busy": 0.6}},
    ]


def test_marks_of_an_axis_are_round_and_within_it(run: Run) -> None:
    found = run(
        """
        import { marks } from "./plots.ts";
        const ranges = [[0, 1], [-0.012, 0.03], [17036, 18051], [5, 5], [2835, 2835.0000000000005]];
        console.log(JSON.stringify(ranges.map(([low, high]) => marks(low, high))));
        """
    )
    assert found[0] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert found[1] == [-0.01, 0, 0.01, 0.02, 0.03]
    assert found[2] == [17250, 17500, 17750, 18000]
    assert found[3] == [5]
    assert found[4] == [2835]


def test_states_become_stretches_of_time(run: Run) -> None:
    found = run(
        """
        import { conditionOf, stretches } from "./stretches.ts";
        const labels = ["Execute", "Suspended", "Aborted", "Stopped", "Cip", "auto"];
        console.log(JSON.stringify({
            parts: stretches([0, 10, 20, 30, 45], [6, 6, 2, NaN, 6], 5, 50),
            kinds: labels.map(conditionOf),
        }));
        """
    )
    assert found["parts"] == [
        {"value": 6, "start_ms": 5, "end_ms": 20},
        {"value": 2, "start_ms": 20, "end_ms": 30},
        {"value": 6, "start_ms": 45, "end_ms": 50},
    ]
    assert found["kinds"][:5] == ["running", "delayed", "down", "planned", "unknown"]
    assert found["kinds"][5] == "running"


def test_streams_are_found_among_figures_and_stand_in_columns(run: Run) -> None:
    found = run(
        """
        import { columns, streamsOf } from "./streams.ts";
        const kpi = (name, mean) => ({ name, mean });
        const { streams, others } = streamsOf([
            kpi("flow, supply → fill", 10), kpi("flow, fill → down, under → test", 1),
            kpi("flow, fill → test", 9), kpi("rework, test → fill", 2), kpi("scrap, fill", 1),
            kpi("scrap, test → bin", 1), kpi("flow, test → output", null), kpi("throughput", 6),
            kpi("flow, alone", 3),
        ]);
        console.log(JSON.stringify({
            streams: streams.map((one) => [one.source, one.target, one.kind, one.amount]),
            others: others.map(({ name }) => name),
            columns: Object.fromEntries(columns(streams)),
            circle: Object.fromEntries(
                columns([{ source: "a", target: "b" }, { source: "b", target: "a" }])),
        }));
        """
    )
    assert found["streams"][0] == ["supply", "fill", "flow", 10]
    assert ["fill", "", "scrap", 1] in found["streams"]
    assert found["others"] == ["throughput", "flow, alone"]
    assert found["columns"]["fill"] == 1 and found["columns"]["output"] == 3
    assert found["circle"] == {"a": 0, "b": 1}
