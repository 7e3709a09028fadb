"""What the scene decides by numbers alone: which glTF it draws, how much a machine can draw."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from mirrorworld_worlds.bottling_line.geometry import draw
from tests.standards.gltf_files import packed
from tests.web.in_node import Run, in_node

SCENE = Path(__file__).resolve().parents[2] / "web" / "src" / "scene"


@pytest.fixture
def run(node: str) -> Run:
    """Runs a module's text in Node, in the folder of the scene."""
    return in_node(node, SCENE)


def triangle(**more: Any) -> dict[str, Any]:
    """The least that is drawn, and what else the test puts in."""
    return {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}],
        "buffers": [{"byteLength": 36}],
        **more,
    }


def png(width: int, height: int) -> bytes:
    """As much of a picture as says how large it is."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def deep(levels: int) -> list[dict[str, Any]]:
    """Nodes within one another."""
    return [{"children": [i + 1]} for i in range(levels - 1)] + [{"mesh": 0}]


ROOM = b"\0" * 36
PACKED = {"buffer": 0, "byteLength": 36, "byteStride": 16, "count": 2**30}
BOMB = {"buffer": 0, "byteLength": 36, "extensions": {"EXT_meshopt_compression": PACKED}}
REMOTE = [{"byteLength": 36, "uri": "https://elsewhere.test/x.bin"}]
HUGE_IMAGE = "data:image/png;base64," + base64.b64encode(png(60_000, 60_000)).decode()
REFUSED: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"nothing of the kind", "broken"),
    "cut short": (packed(triangle(), ROOM)[:-20], "cut short"),
    "glTF 1": (packed(triangle(asset={"version": "1.0"}), ROOM), "only 2.0"),
    "a buffer elsewhere": (packed(triangle(buffers=REMOTE)), "would load 'https://elsewhere.test"),
    "an image elsewhere": (
        packed(triangle(images=[{"uri": "//x/y.png"}]), ROOM),
        "from elsewhere (image",
    ),
    "an image in a file": (
        packed(triangle(images=[{"uri": "file:///etc/passwd"}]), ROOM),
        "elsewhere",
    ),
    "what nobody can decode": (
        packed(triangle(extensionsRequired=["MPEG_animation_timing"]), ROOM),
        "cannot decode",
    ),
    "a bomb of zeros": (
        packed(triangle(accessors=[{"componentType": 5126, "count": 2**32, "type": "VEC3"}]), ROOM),
        "when unpacked",
    ),
    "a packed bomb": (packed(triangle(bufferViews=[BOMB]), ROOM), "when unpacked"),
    "too many triangles": (
        packed(
            triangle(
                nodes=[{"children": list(range(1, 15_000))}, *({"mesh": 0} for _ in range(14_999))],
                accessors=[{"bufferView": 0, "componentType": 5126, "count": 3000, "type": "VEC3"}],
                bufferViews=[{"buffer": 0, "byteLength": 36_000}],
                buffers=[{"byteLength": 36_000}],
            ),
            b"\0" * 36_000,
        ),
        "triangles; at most 3,000,000",
    ),
    "too deep": (packed(triangle(nodes=deep(80)), ROOM), "within one another"),
    "a circle": (packed(triangle(nodes=[{"mesh": 0, "children": [0]}]), ROOM), "within itself"),
    "a huge picture": (packed(triangle(images=[{"uri": HUGE_IMAGE}]), ROOM), "pixels of images"),
    "reads beyond": (
        packed(triangle(bufferViews=[{"buffer": 0, "byteLength": 360}]), ROOM),
        "beyond its buffer",
    ),
}


def test_a_gltf_that_is_broken_huge_or_hostile_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    names = list(REFUSED)
    for i, name in enumerate(names):
        (tmp_path / f"{i}.glb").write_bytes(REFUSED[name][0])
    found = run(
        f"""
        import {{ readFileSync }} from "node:fs";
        import {{ checkGltf }} from "./gltf_limits.ts";
        const said = [];
        for (let i = 0; i < {len(names)}; i++) {{
            const file = readFileSync({json.dumps(str(tmp_path))} + "/" + i + ".glb");
            const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
            try {{ checkGltf(bytes); said.push(""); }} catch (error) {{ said.push(error.message); }}
        }}
        console.log(JSON.stringify({{ said }}));
        """
    )
    for name, said in zip(names, found["said"], strict=True):
        assert REFUSED[name][1] in said, (name, said)


def test_the_files_of_a_world_are_drawn(run: Run, tmp_path: Path) -> None:
    files = [str(path) for path in draw(tmp_path).values() if path.suffix == ".glb"]
    found = run(
        f"""
        import {{ readFileSync }} from "node:fs";
        import {{ checkGltf }} from "./gltf_limits.ts";
        const triangles = {json.dumps(files)}.map((path) => {{
            const file = readFileSync(path);
            const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
            return checkGltf(bytes).triangles;
        }});
        console.log(JSON.stringify({{ triangles }}));
        """
    )
    assert len(files) > 10
    assert all(n > 10 for n in found["triangles"])


def test_quality_goes_down_quickly_up_slowly_and_not_back_and_forth(run: Run) -> None:
    found = run(
        """
        import { Ladder } from "./quality.ts";
        const ladder = new Ladder("auto", false);
        const names = [ladder.rung.name];
        const steps = [];
        let ms = 0;
        const go = (seconds, cost) => {
            for (const end = ms + seconds * 1000; ms < end; ) {
                const frame = cost(ladder.rung.name);
                ms += frame;
                if (ladder.measure(frame)) steps.push([Math.round(ms / 1000), ladder.rung.name]);
            }
            names.push(ladder.rung.name);
        };
        go(4, () => 60);
        go(300, (rung) => (rung === "least" || rung === "low" || rung === "medium" ? 16 : 45));
        const nBack = steps.length;
        ladder.ask("high");
        go(10, () => 200);
        ladder.ask("auto");
        go(5, () => 16);
        const software = new Ladder("auto", true).rung.name;
        console.log(JSON.stringify({ names, nBack, steps, software }));
        """
    )
    first, slow, settled, asked, _ = found["names"]
    assert first == "good"
    assert slow in ("least", "low", "medium")
    assert settled in ("medium", "good")
    # Five minutes at the border of what it can do: a handful of tries, each after a longer wait.
    assert found["nBack"] <= 16, found["steps"]
    assert asked == "high", "what a person asked for is kept"
    assert found["software"] == "low"


def test_of_thousands_only_what_is_in_view_is_drawn_and_all_within_a_budget(run: Run) -> None:
    """Each thing in view is drawn once, at one level; none is lost or doubled."""
    found = run(
        """
        import { InstancedBufferAttribute, PerspectiveCamera } from "three";
        import { BUDGET, chooseAll, Crowd, View } from "./crowd.ts";
        const n = 20000;
        const places = new Float32Array(n * 3);
        const names = new Float32Array(n);
        for (let i = 0; i < n; i++) {
            places.set([(i % 200) * 3, 0, Math.floor(i / 200) * 3], i * 3);
            names[i] = i;
        }
        const level = (triangles, from_px) => {
            const attributes = [new InstancedBufferAttribute(new Float32Array(n), 1)];
            const one = { mesh: { visible: false }, attributes, triangles, from_px, count: 0 };
            one.setCount = (count) => { one.count = count; };
            return one;
        };
        const levels = [level(400, 60), level(80, 16), level(10, 0)];
        const crowd = new Crowd(places, 1.5, [{ data: names, size: 1 }], levels);
        const camera = new PerspectiveCamera(50, 1.6, 0.1, 4000);
        const view = new View();
        let lacking = 0, doubled = 0, most = 0, writes = 0, fine = 0;
        for (let step = 0; step < 200; step++) {
            const angle = step / 60;
            const away = 20 + step;
            const z = 150 + Math.sin(angle) * 90;
            camera.position.set(300 + Math.cos(angle) * away, 6 + step / 4, z);
            camera.lookAt(300, 0, 150);
            camera.updateMatrixWorld();
            view.set(camera, 900);
            if (chooseAll([crowd], view, 1)) writes++;
            const drawn = new Set();
            let triangles = 0;
            for (const { attributes, count, triangles: each } of levels) {
                triangles += count * each;
                for (let i = 0; i < count; i++) {
                    const name = attributes[0].array[i];
                    if (drawn.has(name)) doubled++;
                    drawn.add(name);
                }
            }
            fine = Math.max(fine, levels[0].count);
            most = Math.max(most, triangles);
            const point = camera.position.clone();
            for (let i = 0; i < n; i += 7) {
                point.fromArray(places, i * 3);
                if (view.frustum.containsPoint(point) && !drawn.has(i)) lacking++;
            }
        }
        console.log(JSON.stringify({ lacking, doubled, most, writes, fine, budget: BUDGET }));
        """
    )
    assert found["lacking"] == found["doubled"] == 0, found
    assert 0 < found["most"] <= found["budget"], found
    assert found["fine"] > 0, "what is near is drawn in all detail"
    assert found["writes"] < 150, "buffers are not written for each picture"


def test_a_vehicle_drives_through_the_places_that_it_reports(run: Run) -> None:
    found = run(
        """
        import { Glide } from "./glide.ts";
        const agv = new Glide(0, 0, 0, 1.2);
        const first = [agv.report(NaN, 3), agv.report(88, 180), agv.x, agv.z];
        agv.report(88, 132);
        agv.report(120, 132);
        let corner = Infinity, seconds = 0;
        while (agv.step(0.1)) {
            corner = Math.min(corner, Math.hypot(agv.x - 88, agv.z - 132));
            seconds += 0.1;
        }
        const there = [agv.x, agv.z];
        const yaw = agv.yaw;
        const again = agv.report(120, 132);
        const jump = [agv.report(500, 900), agv.x, agv.z];
        console.log(JSON.stringify({ first, corner, seconds, there, yaw, again, jump }));
        """
    )
    assert found["first"] == [False, True, 88, 180], "the first report says where it stands"
    assert found["corner"] < 0.7, "it goes round the corner of the aisles, not across"
    assert 10 < found["seconds"] < 60, "it hurries, and is not there at once"
    assert found["there"] == [120, 132]
    assert abs(found["yaw"]) < 1e-6, "it looks where it goes: along x"
    assert found["again"] is False
    assert found["jump"] == [True, 500, 900], "further than a drive: it was set down there"


def test_a_decoder_that_fails_or_takes_too_long_is_ended_and_the_next_file_gets_another(
    run: Run,
) -> None:
    found = run(
        """
        import { Decoder } from "./decoder.ts";
        const log = [];
        let made = 0;
        // Answers by what it is told; "never" is a stream that does not end.
        const make = async () => {
            const id = ++made;
            const worker = {
                terminate: () => log.push("end " + id),
                postMessage: (job) => queueMicrotask(() => {
                    if (job === "never") return;
                    const stop = { preventDefault() {}, message: "no room" };
                    if (job === "stops") return worker.onerror(stop);
                    const bad = { error: "it is bad" };
                    worker.onmessage({ data: job === "bad" ? bad : { result: job + id } });
                }),
            };
            return worker;
        };
        const decoder = new Decoder(make, 0.05);
        const jobs = ["a", "b", "never", "c", "bad", "stops", "d"];
        const heard = (job) => decoder.decode(job).catch((error) => error.message);
        const said = await Promise.all(jobs.map(heard));
        await new Promise((resolve) => setTimeout(resolve));
        console.log(JSON.stringify({ said, log, again: await decoder.decode("e") }));
        """
    )
    assert found["said"] == [
        "a1",
        "b1",
        "it takes longer than 0.05 s to unpack",
        "c2",
        "it is bad",
        "its decoder stopped: no room",
        "d4",
    ]
    assert found["log"] == ["end 1", "end 2", "end 3", "end 4"], "the last when nobody waits"
    assert found["again"] == "e5"
