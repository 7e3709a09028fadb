"""glTF from strangers: what is good passes, what could harm or break the page does not."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirrorworld.standards import gltf
from tests.standards import packed_gltf
from tests.standards.gltf_files import BOX, glb, model, packed, png, stl_triangles
from tests.standards.packed_gltf import bent


def checked(folder: Path, content: bytes) -> gltf.GltfModel:
    path = folder / "model"
    path.write_bytes(content)
    return gltf.check(path)


def data(content: bytes, kind: str = "application/octet-stream") -> str:
    """A data: URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def test_a_good_model_passes_and_is_measured(tmp_path: Path) -> None:
    found = checked(tmp_path, glb())
    assert (found.nodes, found.meshes, found.triangles, found.vertices) == (1, 1, 12, 8)
    assert (found.low, found.high) == ((-0.5, 0.0, -0.5), (0.5, 1.0, 0.5))
    assert found.texture_pixels == 4


def test_what_nodes_do_counts(tmp_path: Path) -> None:
    """Twice the mesh, one moved by a matrix and its parent, one turned a quarter and stretched."""

    def bend(root: dict[str, Any]) -> None:
        half = 0.5**0.5
        move = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 10, 0, 0, 1]
        root["nodes"] = [
            {"children": [1, 2], "translation": [0, 5, 0]},
            {"mesh": 0, "matrix": move},
            {"mesh": 0, "rotation": [0, 0, half, half], "scale": [2, 1, 1]},
        ]

    found = checked(tmp_path, glb(bend))
    assert (found.nodes, found.meshes, found.triangles) == (3, 2, 24)
    np.testing.assert_allclose(found.low, (-1, 4, -0.5), atol=1e-9)
    np.testing.assert_allclose(found.high, (10.5, 6, 0.5), atol=1e-9)


def test_a_self_contained_text_file_passes(tmp_path: Path) -> None:
    root, binary = model()
    root["buffers"][0]["uri"] = data(binary)
    root["images"] = [{"uri": data(png(8, 4), "image/png")}]
    found = checked(tmp_path, json.dumps(root).encode())
    assert (found.triangles, found.texture_pixels) == (12, 32)


def test_sparse_positions_are_read(tmp_path: Path) -> None:
    root, binary = model()
    at, to = np.array([3], np.uint8), np.array([[0, 7, 0]], np.float32)
    more = at.tobytes() + b"\0" * 3 + to.tobytes()
    root["bufferViews"] += [
        {"buffer": 0, "byteOffset": len(binary), "byteLength": 1},
        {"buffer": 0, "byteOffset": len(binary) + 4, "byteLength": 12},
    ]
    n = len(root["bufferViews"])
    root["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": n - 2, "componentType": 5121},
        "values": {"bufferView": n - 1},
    }
    root["buffers"][0]["byteLength"] += len(more)
    assert checked(tmp_path, packed(root, binary + more)).high == (0.5, 7.0, 0.5)
    root["accessors"][0]["sparse"]["indices"].update(bufferView=0, byteOffset=3)  # of -0.5: 191
    with pytest.raises(gltf.GltfError, match="sparse"):
        checked(tmp_path, packed(root, binary + more))


Bend = Callable[[dict[str, Any]], object]
OUTSIDE = "http://169.254.169.254/latest/meta-data"


def put(*path: str | int, to: Any) -> Bend:
    """Sets what stands at a path of the JSON."""

    def bend(root: Any) -> None:
        for step in path[:-1]:
            root = root[step]
        root[path[-1]] = to

    return bend


def many_nodes(root: dict[str, Any]) -> None:
    root["nodes"] = [{"mesh": 0}] * 19_000
    root["scenes"] = [{"nodes": list(range(19_000))}]
    indices = root["accessors"][2]
    indices["count"] = 36


def deep(root: dict[str, Any]) -> None:
    root["nodes"] = [{"children": [i + 1]} for i in range(99)] + [{"mesh": 0}]


BAD: dict[str, tuple[Bend, str]] = {
    "image elsewhere": (put("images", 0, to={"uri": OUTSIDE}), r"images\[0\]\.uri: 'http://169\.2"),
    "image beside": (put("images", 0, to={"uri": "../../token"}), r"'\.\./\.\./token' lies out"),
    "image by file": (put("images", 0, to={"uri": "file:///etc/passwd"}), "nothing is fetched"),
    "buffer elsewhere": (put("buffers", 0, "uri", to=OUTSIDE), r"buffers\[0\]\.uri: 'http"),
    "buffer by blob": (put("buffers", 0, "uri", to="blob:https://a/b"), "lies outside"),
    "uri of no text": (put("buffers", 0, "uri", to=7), "it is no text"),
    "data without base64": (put("buffers", 0, "uri", to="data:,abc"), "without base64"),
    "broken base64": (put("buffers", 0, "uri", to="data:;base64,%%%"), "base64 is broken"),
    "svg as texture": (
        put("images", 0, to={"uri": data(b"<svg/>", "image/svg+xml")}),
        "no PNG, JPEG, WebP or KTX2",
    ),
    "huge texture": (
        put("images", 0, to={"uri": data(png(40_000, 40_000))}),
        r"40000 × 40000 pixels",
    ),
    "unknown required": (put("extensionsRequired", to=["<b>X</b>"]), "'<b>X</b>' is not drawn"),
    "old": (put("asset", "version", to="1.0"), r"asset\.version"),
    "no asset": (lambda root: root.pop("asset"), r"asset\.version"),
    "list is none": (put("nodes", to={"a": 1}), "nodes: must be a list"),
    "view too long": (put("bufferViews", 0, "byteLength", to=1 << 20), r"Views\[0\]: bytes 0"),
    "view of no buffer": (put("bufferViews", 0, "buffer", to=3), r"buffers\[3\] is not there"),
    "negative offset": (put("bufferViews", 0, "byteOffset", to=-4), "byteOffset is -4"),
    "odd stride": (put("bufferViews", 0, "byteStride", to=6), "byteStride is 6"),
    "accessor too long": (put("accessors", 0, "count", to=9), "9 values do not fit"),
    "accessor unaligned": (put("accessors", 0, "byteOffset", to=2), "not aligned"),
    "accessor without end": (
        put("accessors", 1, to={"componentType": 5126, "count": 1 << 25, "type": "MAT4"}),
        "MiB of values",
    ),
    "count of text": (put("accessors", 0, "count", to="8"), "count is 8; 1 to"),
    "count true": (put("accessors", 0, "count", to=True), "count is True"),
    "unknown type": (put("accessors", 0, "type", to="VEC9"), "none of glTF"),
    "index beyond": (put("accessors", 0, "count", to=7), r"values for 7 vertices|vertex 7 of 7"),
    "no position": (put("meshes", 0, "primitives", 0, "attributes", to={}), "no POSITION"),
    "no primitives": (put("meshes", 0, "primitives", to=[]), "no primitives"),
    "mesh that is not there": (put("nodes", 0, "mesh", to=5), r"meshes\[5\] is not there"),
    "material that is not there": (
        put("meshes", 0, "primitives", 0, "material", to=-1),
        r"materials\[-1\] is not there",
    ),
    "texture that is not there": (put("textures", to=[]), r"textures\[0\] is not there"),
    "circle": (put("nodes", to=[{"children": [1]}, {"children": [0], "mesh": 0}]), "below itself"),
    "own child": (put("nodes", 0, "children", to=[0]), "below itself"),
    "deep": (deep, "nested deeper than 64"),
    "child of text": (put("nodes", 0, "children", to=["1"]), "is no index of a node"),
    "no turn": (put("nodes", 0, "rotation", to=[0, 0, 0, 0]), "no unit quaternion"),
    "infinite": (put("nodes", 0, "scale", to=[1e400, 1, 1]), "JSON: Infinity"),
    "far away": (put("nodes", 0, "translation", to=[1e9, 0, 0]), "reaches further"),
    "number too large": (put("nodes", 0, "scale", to=[10**400, 1, 1]), "too large"),
    "too much drawn": (
        lambda root: (many_nodes(root), root["meshes"][0]["primitives"].extend(
            root["meshes"][0]["primitives"] * 99)),
        "simplify it before",
    ),
    "no scene": (put("scenes", to=[]), "it has no scene"),
    "nothing drawn": (put("meshes", 0, "primitives", 0, "mode", to=0), "nothing to draw"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_broken_or_hostile_is_refused_by_name(tmp_path: Path, name: str) -> None:
    bend, said = BAD[name]
    with pytest.raises(gltf.GltfError, match=said):
        checked(tmp_path, glb(bend))


def test_positions_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    for value in (np.nan, np.inf):
        bad = BOX.copy()
        bad[5, 1] = value
        root, binary = model(bad)
        root["accessors"][0].pop("min")
        root["accessors"][0].pop("max")
        with pytest.raises(gltf.GltfError, match="a position is no number"):
            checked(tmp_path, packed(root, binary))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "are no glTF"),
        (b"glTF\x02\0\0\0", "are no glTF"),
        (b"glTF" + b"\x01\0\0\0" + b"\x14\0\0\0", "version 2 is drawn"),
        (glb()[:-8], "cut off"),
        (glb() + b"more", "cut off or padded"),
        (glb()[:12] + b"\xff\xff\xff\x7f" + glb()[16:], "does not fit"),
        (glb()[:16] + b"BIN\0" + glb()[20:], "the first chunk is not JSON"),
        (packed(b"[" * 200_000), "nested too deeply|JSON"),
        (packed(b'{"asset": {"version": "2.0"}, "nodes": [{"scale": [NaN, 1, 1]}]}'), "NaN"),
        (packed(b"[]"), "no object"),
        (packed(b"\xff\xfe"), "JSON"),
        (b'{"asset": {"version": "2.0"}}', "no scene"),
    ],
)
def test_a_broken_container_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(gltf.GltfError, match=said):
        checked(tmp_path, content)


def any_byte_wrong(tmp_path: Path, good: bytes) -> None:
    """Whatever is broken, it is refused or drawn: no other error, and no endless work."""
    rng = np.random.default_rng(7)
    passed = 0
    for _ in range(400):
        bent = bytearray(good)
        for at in rng.integers(12, len(good), 3):
            bent[at] = rng.integers(256)
        try:
            checked(tmp_path, bytes(bent))
            passed += 1
        except gltf.GltfError:
            pass
    assert 0 < passed < 400


def test_any_byte_may_be_wrong(tmp_path: Path) -> None:
    any_byte_wrong(tmp_path, glb())


@pytest.mark.peer
def test_any_byte_of_what_is_packed_may_be_wrong(
    tmp_path: Path, node: str, peers_dir: Path
) -> None:
    root, binary = packed_gltf.draco(node, peers_dir)
    head = bent((root, binary[:40]), "buffers", 0, "byteLength", to=40)
    any_byte_wrong(tmp_path, packed(*bent(head, "bufferViews", 0, "byteLength", to=40)))
    any_byte_wrong(tmp_path, packed(*packed_gltf.meshopt(node)))


@pytest.mark.shared_data("robots")
def test_a_robot_arm_passes(tmp_path: Path, shared_data: Path) -> None:
    meshes = shared_data / "robots/abb_irb140_description/meshes/irb140/visual"
    for path in sorted(meshes.glob("*.stl")):
        corners = stl_triangles(path.read_bytes())
        found = checked(tmp_path, packed(*model(corners, None)))
        assert found.triangles == len(corners) // 3 > 500, path.name
        np.testing.assert_allclose((found.low, found.high), (corners.min(0), corners.max(0)))


@pytest.mark.peer
def test_packed_models_are_measured_by_what_they_unpack_to(
    tmp_path: Path, node: str, peers_dir: Path
) -> None:
    models = (
        packed_gltf.draco(node, peers_dir),
        packed_gltf.draco(node, peers_dir, "MESH_SEQUENTIAL_ENCODING"),
        packed_gltf.meshopt(node),
        packed_gltf.meshopt(node, "KHR_meshopt_compression"),
    )
    for root, binary in models:
        found = checked(tmp_path, packed(root, binary))
        assert (found.triangles, found.vertices) == (packed_gltf.TRIANGLES, packed_gltf.POINTS)
        assert (found.low, found.high) == ((-1.0, 0.0, -1.0), (1.0, 0.6, 1.0))


@pytest.mark.peer
def test_packed_parts_that_are_broken_or_lie_are_refused_by_name(
    tmp_path: Path, node: str, peers_dir: Path
) -> None:
    draco, meshopt = packed_gltf.draco(node, peers_dir), packed_gltf.meshopt(node)
    root, stream = draco
    primitive = ("meshes", 0, "primitives", 0)
    first = root["meshes"][0]["primitives"][0]
    # Each reads the same stream, and each would be unpacked on its own.
    greedy = [{**first, "attributes": {**first["attributes"], f"_{i}": 0}} for i in range(4_000)]
    packs = ("extensions", "EXT_meshopt_compression")
    bad = {
        "holds 1920 triangles, and the file says 10": bent(draco, "accessors", 3, "count", to=30),
        "it is no Draco stream": (root, b"DRAGO" + stream[5:]),
        "it is Draco 1.1": (root, stream[:5] + b"\1\1" + stream[7:]),
        "it is no mesh": (root, stream[:7] + b"\0" + stream[8:]),
        "it has metadata": (root, stream[:9] + b"\0\x80" + stream[11:]),
        "it is cut short": bent(draco, "bufferViews", 0, "byteLength", to=13),
        "does not end": (root, stream[:12] + b"\xff" * 9 + stream[21:]),
        "otherwise than as triangles": bent(draco, *primitive, "mode", to=5),
        "min must be 3 numbers": bent(draco, "accessors", 0, "min", to=None),
        "reaches further": bent(draco, "accessors", 0, "max", to=[1e9, 0, 0]),
        r"bufferViews\[7\] is not there": bent(
            draco, *primitive, "extensions", "KHR_draco_mesh_compression", "bufferView", to=7
        ),
        "attributes have no POSITION": bent(
            draco, *primitive, "extensions", "KHR_draco_mesh_compression", "attributes", to={}
        ),
        "simplify it before": bent(draco, "meshes", 0, "primitives", to=greedy),
        "MiB of values": bent(draco, "accessors", 0, "count", to=1 << 26),
        "it unpacks to 3221225472 bytes": bent(
            meshopt, "bufferViews", 0, *packs, "count", to=1 << 28
        ),
        "packed in no known way": bent(meshopt, "bufferViews", 0, *packs, "mode", to="ALL"),
        "no stream of ATTRIBUTES": (meshopt[0], b"\0" + meshopt[1][1:]),
        "its count or byteStride is none": bent(
            meshopt, "bufferViews", 0, *packs, "byteStride", to=-4
        ),
        "are no triangles": bent(meshopt, "bufferViews", 3, *packs, "count", to=5_759),
        "of a buffer that has 25": bent(meshopt, "bufferViews", 3, *packs, "byteLength", to=9**6),
        "of a buffer that has 53": bent(meshopt, "bufferViews", 3, "byteOffset", to=40_000),
        "961 values do not fit": bent(meshopt, "accessors", 0, "count", to=961),
        "meshopt part is no object": bent(meshopt, "bufferViews", 0, *packs, to=[]),
        "lies outside": bent(meshopt, "buffers", 1, "uri", to="http://127.0.0.1:9/away.bin"),
    }
    for said, model_ in bad.items():
        with pytest.raises(gltf.GltfError, match=said):
            checked(tmp_path, packed(*model_))


@pytest.mark.peer
def test_the_validator_of_the_standards_body_agrees(
    tmp_path: Path, node: str, peers_dir: Path
) -> None:
    """What passes here is without error there, and what it finds broken does not pass here."""
    bent = ("view too long", "accessor too long", "circle", "mesh that is not there", "no position")
    ring, meshopt = packed_gltf.draco(node, peers_dir), packed_gltf.meshopt(node)
    right = {"good": glb(), "draco": packed(*ring), "meshopt": packed(*meshopt)}
    files = {**right, **{name: glb(BAD[name][0]) for name in bent}}
    for name, content in files.items():
        (tmp_path / f"{name}.glb").write_bytes(content)
    script = """
    const fs = require('fs'), validator = require('gltf-validator');
    Promise.all(process.argv.slice(1).map(async (path) =>
      (await validator.validateBytes(new Uint8Array(fs.readFileSync(path)))).issues.numErrors))
      .then((found) => console.log(JSON.stringify(found)));
    """
    paths = [str(tmp_path / f"{name}.glb") for name in files]
    said = subprocess.run(
        [node, "-e", script, *paths], cwd=peers_dir, capture_output=True, text=True, check=True
    )
    errors = dict(zip(files, json.loads(said.stdout), strict=True))
    assert [errors.pop(name) for name in right] == [0, 0, 0]
    assert all(errors.values()), errors
