"""Layout and geometry: the path joins up, pockets stand under bottles, files are valid glTF."""

from __future__ import annotations

import itertools
import json
import math
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mirrorworld_worlds.bottling_line import layout
from mirrorworld_worlds.bottling_line.geometry import draw, parts, rotary, shapes

ROTARY = [item for item in layout.FLOW if item.rotary is not None]


def along(points: list[layout.Point2], s_m: float) -> layout.Point2:
    """The point of a polyline at a length."""
    for a, b in itertools.pairwise(points):
        step = math.dist(a, b)
        if s_m <= step:
            share = s_m / step
            return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share)
        s_m -= step
    return points[-1]


def test_the_path_is_one_smooth_curve() -> None:
    bottles = [item for item in layout.FLOW if item.kind != "cartons"]
    for first, second in itertools.pairwise(bottles):
        assert math.dist(first.path[-1], second.path[0]) < 1e-6, (first.name, second.name)
    for item in bottles:
        for a, b, c in zip(item.path, item.path[1:], item.path[2:], strict=False):
            turn = math.atan2(c[1] - b[1], c[0] - b[0]) - math.atan2(b[1] - a[1], b[0] - a[0])
            turn = (turn + math.pi) % (2 * math.pi) - math.pi
            assert abs(turn) < 0.35, f"a kink in {item.name} at {b}"


@pytest.mark.parametrize("item", ROTARY, ids=lambda item: item.name)
def test_bottles_stand_in_pockets_at_whole_phases(item: layout.Item) -> None:
    assert item.rotary is not None
    slots = item.path_length_m / layout.STATION_PITCH_M
    assert slots == pytest.approx(item.slots, abs=0.01), "a bottle's way is whole stations"
    r = item.rotary.radius_m
    step = 360.0 / item.rotary.stations
    on_carousel = 0
    for slot in range(item.slots + 1):
        x, z = along(list(item.local_path), slot * layout.STATION_PITCH_M)
        away = math.hypot(x, z + item.rotary.depth_m)
        if abs(away - r) > 0.002:
            continue
        on_carousel += 1
        angle = math.degrees(math.atan2(x, z + item.rotary.depth_m))
        off = (angle - rotary.station_deg(item) + step / 2) % step - step / 2
        assert abs(math.radians(off) * r) < 0.004, f"{off:.2f} degrees beside its pocket"
    assert on_carousel >= item.rotary.stations // 2


def test_a_box_is_closed_and_looks_outwards() -> None:
    box = shapes.box(1.0, 2.0, 3.0, 0.1)
    corners = box.position[box.index]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    volume = np.einsum("ij,ij->i", corners[:, 0], cross).sum() / 6
    assert 5.8 < volume < 6.0
    assert np.allclose(box.position.max(axis=0), (0.5, 2.0, 1.5))


@pytest.mark.parametrize(
    "shape",
    [
        shapes.cylinder(0.5, 1.0),
        shapes.annulus(0.2, 0.5, 0.3),
        shapes.tube([(0, 0, 0), (0, 1, 0), (1, 1, 0)], 0.1, 8, 0.2),
        shapes.plate([(0, 0), (1, 0), (1, 1), (0, 1)], 0.1),
        shapes.sweep([(-0.1, 0), (0.1, 0), (0.1, 0.1), (-0.1, 0.1)], [(0, 0), (1, 0), (2, 1)]),
    ],
)
def test_triangles_look_where_their_normals_do(shape: shapes.Shape) -> None:
    corners = shape.position[shape.index]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    facing = np.einsum("ij,ij->i", cross, shape.normal[shape.index].sum(axis=1))
    assert (facing[area > 1e-9] > 0).all()
    assert np.allclose(np.linalg.norm(shape.normal, axis=1), 1.0, atol=1e-6)


def test_every_twin_of_the_layout_has_an_asset_of_sensible_size(tmp_path: Path) -> None:
    names = {name for name, _ in parts()}
    assert {item.asset for item in (*layout.FLOW, *layout.SERVICES)} <= names
    total = 0
    for name, drawing in parts():
        node = drawing()
        assert 100 < node.triangles < 32_000, name
        total += node.triangles
    assert total < 300_000


def test_what_moves_and_lights_is_named(tmp_path: Path) -> None:
    files = draw(tmp_path)
    for item in ROTARY:
        nodes = {n["name"]: n.get("extras", {}) for n in document(files[item.asset])["nodes"]}
        assert item.rotary is not None
        turn = nodes["carousel"]["drives"]["per_bottle"]
        assert turn == pytest.approx(-2 * math.pi / item.rotary.stations, abs=1e-5)
        for star in ("star_in", "star_out"):
            turn = nodes[star]["drives"]["per_bottle"]
            assert turn == pytest.approx(2 * math.pi / item.rotary.pockets, abs=1e-5)
        assert nodes["lamp_green"]["lamp"] == {"point": "State", "on": [3, 6]}
        assert nodes["lamp_red"]["lamp"]["blink"] is True
    bottle = {n["name"] for n in document(files["bottle"])["nodes"]}
    assert {"glass", "liquid", "cap", "label"} <= bottle
    path = json.loads(files["path"].read_text())
    assert [s["name"] for s in path["segments"]] == [item.name for item in layout.FLOW]


def test_assets_are_drawn_once(tmp_path: Path) -> None:
    files = draw(tmp_path)
    before = {name: path.stat().st_mtime_ns for name, path in files.items()}
    assert {name: path.stat().st_mtime_ns for name, path in draw(tmp_path).items()} == before
    files["filler"].unlink()
    assert draw(tmp_path)["filler"].is_file()


@pytest.mark.peer
def test_the_khronos_validator_finds_nothing(node: str, peers_dir: Path, tmp_path: Path) -> None:
    draw(tmp_path)
    script = """
    const fs = require('fs'), validator = require('gltf-validator');
    (async () => {
      const found = [];
      for (const file of fs.readdirSync(process.argv[1]).filter(f => f.endsWith('.glb'))) {
        const bytes = new Uint8Array(fs.readFileSync(process.argv[1] + '/' + file));
        const { issues } = await validator.validateBytes(bytes);
        found.push([file, issues.numErrors, issues.numWarnings, issues.messages.slice(0, 3)]);
      }
      console.log(JSON.stringify(found));
    })();
    """
    done = subprocess.run(
        [node, "-e", script, str(tmp_path)],
        cwd=peers_dir,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert len(found) == len(list(parts()))
    assert [row for row in found if row[1] or row[2]] == []


def document(path: Path) -> dict:
    """The JSON of a .glb."""
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20 : 20 + length])
