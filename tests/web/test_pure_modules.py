"""The scene's modules that know numbers alone, run in Node without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.in_node import Run, in_node

SCENE = Path(__file__).resolve().parents[2] / "web" / "src" / "scene"


@pytest.fixture
def run(node: str) -> Run:
    """Runs a module's text in Node, in the folder of the scene; what it prints last is JSON."""

    return in_node(node, SCENE)


def test_bottles_on_a_belt_keep_to_the_plants_counters(run: Run) -> None:
    found = run(
        """
        import { Segment } from "./flow_model.ts";
        const belt = new Segment({ name: "belt", kind: "conveyor", length: 4, pitch: 0.074 });
        const reading = { entered: 1000, left: 990, inside: 10, speed: 0.5, isBackedUp: false };
        let seed = 7;
        const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
        const state = { closest: Infinity, off: 0, disorder: 0, outside: 0 };
        // A plant that fills the belt at five a second and takes from it now and then.
        const onBelt = Array.from({ length: 10 }, (_, k) => 4 - k * 0.4);
        for (let t = 0; t < 6000; t++) {
            const stops = Math.floor(t / 500) % 4 === 3;
            for (let k = 0; k < onBelt.length; k++) {
                const ahead = k === 0 ? 4 : onBelt[k - 1] - 0.074;
                onBelt[k] = Math.min(onBelt[k] + 0.5 * 0.02, ahead);
            }
            if (!stops && onBelt[0] >= 4 - 1e-6 && random() < 0.3) {
                onBelt.shift();
                reading.left++;
            }
            if (random() < 0.1 && (onBelt.at(-1) ?? 9) > 0.074) {
                onBelt.push(0);
                reading.entered++;
            }
            reading.inside = onBelt.length;
            belt.step(0.02, reading, 0);
            state.off = Math.max(state.off, Math.abs(belt.count - reading.inside));
            belt.way.forEach((way, k) => {
                if (way < 0 || way > 4 + 1e-9) state.outside++;
                if (k === 0) return;
                state.closest = Math.min(state.closest, belt.way[k - 1] - way);
                if (belt.way[k - 1] < way) state.disorder++;
            });
        }
        console.log(JSON.stringify(state));
        """
    )
    assert found["outside"] == found["disorder"] == 0
    assert found["closest"] > 0.074 - 1e-9
    assert found["off"] <= 4


def test_a_machine_takes_bottles_slot_by_slot_and_stands_when_it_stands(run: Run) -> None:
    found = run(
        """
        import { Segment } from "./flow_model.ts";
        const spec = { name: "filler", kind: "machine", length: 6, pitch: 0.3, slots: 20 };
        const filler = new Segment(spec);
        const reading = { entered: 0, left: 0, inside: 0, speed: 5, isBackedUp: false };
        filler.step(0, reading, 0);
        const seen = [];
        // Five bottles enter, one slot after the other; then none.
        for (let slot = 1; slot <= 30; slot++) {
            if (slot <= 5) reading.entered++;
            if (slot > 20 && slot <= 25) reading.left++;
            reading.inside = reading.entered - reading.left;
            filler.step(0.2, reading, slot);
            seen.push(filler.pockets.reduce((all, full, j) => (full ? [...all, j] : all), []));
        }
        const moved = filler.step(1, reading, 30);
        console.log(JSON.stringify({ seen, moved }));
        """
    )
    assert found["seen"][0] == [0]
    assert found["seen"][4] == [0, 1, 2, 3, 4]
    assert found["seen"][9] == [5, 6, 7, 8, 9]
    assert found["seen"][29] == []
    assert found["moved"] is False


def test_a_curve_is_as_long_as_its_polyline_and_starts_and_ends_with_it(run: Run) -> None:
    found = run(
        """
        import { Curve } from "./flow_model.ts";
        const curve = new Curve([[0, 1, 0], [3, 1, 0], [3, 1, -4]]);
        const at = (way) => {
            const out = new Float32Array(3);
            const yaw = curve.place(way, out, 0);
            return [...out, yaw];
        };
        const ends = [at(-1), at(99)];
        console.log(JSON.stringify({ length: curve.length, a: at(1.5), b: at(5), ends }));
        """
    )
    assert found["length"] == 7
    assert found["a"] == pytest.approx([1.5, 1, 0, 0], abs=0.02)
    assert found["b"] == pytest.approx([3, 1, -2, 1.5708], abs=0.02)
    assert found["ends"][0][:3] == pytest.approx([0, 1, 0], abs=1e-3)
    assert found["ends"][1][:3] == pytest.approx([3, 1, -4], abs=1e-3)


LAYOUT = """
    import { layOut, Place } from "./layout.ts";
    const made = ({ parent, feeds = [], posed = {} }) => {
        const n = parent.length;
        const places = new Float32Array(n * 4).fill(NaN);
        for (const [twin, box] of Object.entries(posed)) places.set(box, Number(twin) * 4);
        return layOut({
            n, parent: Int32Array.from(parent), feeds: Int32Array.from(feeds), posed: places,
            footprint: new Float32Array(n * 2).fill(2), group: new Int32Array(n),
            strip: new Float32Array(n),
        });
    };
    const plain = (layout) => Object.fromEntries(
        Object.entries(layout).map(([name, column]) => [name, [...column]]));
"""


def test_circles_of_parts_and_of_flows_are_laid_out_all_the_same(run: Run) -> None:
    found = run(
        LAYOUT
        + """
        // 0 is part of 1 is part of 0; 2, 3, 4 feed each other in a ring; 5 is part of itself.
        const layout = made({ parent: [1, 0, -1, -1, -1, 5], feeds: [2, 3, 3, 4, 4, 2] });
        console.log(JSON.stringify(plain(layout)));
        """
    )
    assert all(value == value for value in found["x"] + found["z"])
    assert found["x"][2] < found["x"][3] < found["x"][4]
    assert 0 not in found["place"]


def test_ten_thousand_twins_do_not_overlap_and_take_little_time(run: Run) -> None:
    found = run(
        LAYOUT
        + """
        const parent = [-1];
        for (let i = 1; i <= 10_000; i++) parent.push(i <= 100 ? 0 : 1 + (i % 100));
        const feeds = [];
        for (let i = 200; i < 9_000; i += 3) feeds.push(i, i + 100);
        const start = performance.now();
        const layout = made({ parent, feeds });
        const ms = performance.now() - start;
        const again = made({ parent, feeds });
        const same = JSON.stringify(plain(layout)) === JSON.stringify(plain(again));
        // Neighbours are found by sorting along x.
        const plates = parent.map((_, i) => i).filter((i) => layout.place[i] === Place.Plate);
        const { x, z, w, d } = layout;
        plates.sort((a, b) => x[a] - x[b]);
        let overlaps = 0;
        plates.forEach((a, k) => {
            for (let m = k + 1; m < plates.length; m++) {
                const b = plates[m];
                if (x[b] - x[a] >= (w[a] + w[b]) / 2 - 1e-4) break;
                if (Math.abs(z[b] - z[a]) < (d[a] + d[b]) / 2 - 1e-4) overlaps++;
            }
        });
        console.log(JSON.stringify({ ms, same, overlaps, n: plates.length }));
        """
    )
    assert found["n"] > 9_000
    assert found["overlaps"] == 0
    assert found["same"]
    assert found["ms"] < 2_000


def test_what_belongs_to_a_placed_twin_stands_before_it(run: Run) -> None:
    found = run(
        LAYOUT
        + """
        const layout = made({ parent: [-1, 0, 0], posed: { 1: [4, -1, 6, 1] } });
        console.log(JSON.stringify(plain(layout)));
        """
    )
    # 0 holds a placed twin: a zone round it. 2 has no place: it is set down in front.
    assert found["place"] == [3, 4, 1]
    assert found["x"][1] == 5
    assert found["z"][2] - found["d"][2] / 2 > 1
    assert found["z"][0] + found["d"][0] / 2 > found["z"][2] + found["d"][2] / 2
