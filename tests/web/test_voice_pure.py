"""Where voices come from and who is heard, run in Node without a browser."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.web.in_node import Run, in_node

PEOPLE = Path(__file__).resolve().parents[2] / "web" / "src" / "people"


@pytest.fixture
def run(node: str) -> Run:
    """Runs a module's text in Node, in the folder of people; what it prints last is JSON."""
    return in_node(node, PEOPLE)


def test_a_place_is_seen_from_a_head_as_three_sees_it(run: Run) -> None:
    found = run(
        """
        import { Quaternion, Vector3 } from "../../node_modules/three/build/three.module.js";
        import { seenFrom } from "./voice_place.ts";
        let worst = 0, seed = 1;
        const random = () => (seed = (seed * 48271) % 2147483647) / 1073741823.5 - 1;
        for (let i = 0; i < 500; i++) {
            const turn = new Quaternion(random(), random(), random(), random()).normalize();
            const place = () => new Vector3(random(), random(), random()).multiplyScalar(9);
            const at = place(), head = place();
            const pose = { position: head.toArray(), rotation: turn.toArray() };
            const seen = seenFrom(pose, at.toArray());
            const wanted = at.clone().sub(head).applyQuaternion(turn.clone().invert());
            worst = Math.max(worst, wanted.distanceTo(new Vector3(...seen)));
        }
        console.log(JSON.stringify({ worst }));
        """
    )
    assert found["worst"] < 1e-9


def test_voices_fade_with_distance_and_with_walls(run: Run) -> None:
    found = run(
        """
        import { loudnessAt, through } from "./voice_place.ts";
        const far = [0, 1, 2, 5, 10, 50, 90, 120].map(loudnessAt);
        const walls = [0, 1, 2, 3, 9].map(through);
        console.log(JSON.stringify({ far, walls }));
        """
    )
    far = found["far"]
    assert far[:2] == [1, 1] and far[-1] == 0
    assert all(a >= b for a, b in itertools.pairwise(far))
    assert far[4] == pytest.approx(far[3] / 2)
    gains = [wall["gain"] for wall in found["walls"]]
    cutoffs = [wall["cutoff_hz"] for wall in found["walls"]]
    assert gains[0] == 1 and gains[0] > gains[1] > gains[2] > gains[3] == gains[4]
    assert cutoffs[0] == 20_000 and cutoffs[1] < 2_000 and cutoffs[3] == cutoffs[4] >= 300


def test_walls_between_two_are_counted_once_each(run: Run) -> None:
    """Boxes along the way, as the scene meets them with a ray: from inside of one at 0 m."""
    found = run(
        """
        import { wallsBetween } from "./voice_place.ts";
        const among = (walls) => {
            let casts = 0;
            const hit = ([x]) => {
                casts++;
                const met = walls
                    .map(([from, to], i) => ({ ordinal: i, distance_m: Math.max(from - x, 0), to }))
                    .filter(({ to }) => to >= x)
                    .sort((a, b) => a.distance_m - b.distance_m);
                return met[0] ?? { ordinal: -1, distance_m: Infinity };
            };
            return [wallsBetween([0, 2, 0], [20, 2, 0], hit), casts];
        };
        console.log(JSON.stringify({
            none: among([]), thin: among([[5, 5.2]]), thick: among([[5, 15]]),
            two: among([[3, 4], [8, 12]]),
            many: among([[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]), behind: among([[25, 26]]),
            hall: among([[-30, 50]]),
            near: wallsBetween([0, 0, 0], [0.1, 0, 0], () => ({ ordinal: 1, distance_m: 0 })),
        }));
        """
    )
    assert found["none"] == [0, 1]
    assert found["thin"][0] == found["thick"][0] == 1
    assert found["two"][0] == 2 and found["many"][0] == 3
    assert found["behind"][0] == found["hall"][0] == 0 and found["near"] == 0
    assert all(casts <= 14 for _, casts in (found[k] for k in ("thick", "two", "many", "hall")))


def test_the_nearest_four_by_hrtf_the_next_plain_the_others_silent(run: Run) -> None:
    found = run(
        """
        import { treatments } from "./voice_place.ts";
        const places = new Map(Array.from({ length: 12 }, (_, i) => [i + 1, 2 + i]));
        const first = treatments(places, new Map());
        // Two who are about as near do not swap with every step.
        const close = treatments(new Map([...places, [5, 4.9], [4, 5.0]]), first);
        const swapped = treatments(new Map([...places, [5, 3], [4, 5.5]]), first);
        const far = treatments(new Map([[1, 500]]), new Map());
        console.log(JSON.stringify({
            first: [...first].map(([, how]) => how),
            close: close.get(4), swapped: swapped.get(5), far: far.get(1),
        }));
        """
    )
    assert found["first"] == ["hrtf"] * 4 + ["plain"] * 4 + ["silent"] * 4
    assert found["close"] == "hrtf" and found["swapped"] == "hrtf" and found["far"] == "silent"
