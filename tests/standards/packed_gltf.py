"""Real packed glTF files, made by the encoders that people's exporters have in them.

A ring of one metre, lying, with normals; as a Draco stream (draco3dgltf, of the test peers), as
meshopt views (meshoptimizer, which comes with the page), and with a picture in KTX2 (ktx2-encoder).
"""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

from tests.web.in_node import in_node

WEB = Path(__file__).resolve().parents[2] / "web"
POINTS = 40 * 24
TRIANGLES = 2 * POINTS
Model = tuple[dict[str, Any], bytes]

RING = """
const [AROUND, SECTION] = [40, 24];
const n = AROUND * SECTION;
const positions = new Float32Array(3 * n), normals = new Float32Array(3 * n), uvs = new Float32Array(2 * n);
const indices = new Uint32Array(6 * n);
for (let i = 0; i < AROUND; i++)
    for (let j = 0; j < SECTION; j++) {
        const [a, b, at] = [(2 * Math.PI * i) / AROUND, (2 * Math.PI * j) / SECTION, i * SECTION + j];
        const normal = [Math.cos(b) * Math.cos(a), Math.sin(b), Math.cos(b) * Math.sin(a)];
        normals.set(normal, 3 * at);
        positions.set([0.7 * Math.cos(a) + 0.3 * normal[0], 0.3 * normal[1] + 0.3, 0.7 * Math.sin(a) + 0.3 * normal[2]], 3 * at);
        uvs.set([i / AROUND, j / SECTION], 2 * at);
        const next = ((i + 1) % AROUND) * SECTION, up = (j + 1) % SECTION;
        const [p, q, r, s] = [at, i * SECTION + up, next + j, next + up];
        indices.set([p, q, r, r, q, s], 6 * at);
    }
const plain = (view) => ({
    asset: { version: "2.0" }, scene: 0, scenes: [{ nodes: [0] }], nodes: [{ name: "ring", mesh: 0 }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0, NORMAL: 1, TEXCOORD_0: 2 }, indices: 3, material: 0 }] }],
    materials: [{ pbrMetallicRoughness: { baseColorFactor: [0.8, 0.35, 0.1, 1], metallicFactor: 0.1 } }],
    accessors: [
        { ...view(0), componentType: 5126, count: n, type: "VEC3", min: [-1, 0, -1], max: [1, 0.6, 1] },
        { ...view(1), componentType: 5126, count: n, type: "VEC3" },
        { ...view(2), componentType: 5126, count: n, type: "VEC2" },
        { ...view(3), componentType: 5125, count: 6 * n, type: "SCALAR" },
    ],
});
const print = (root, binary) => console.log(JSON.stringify({ root, binary: Buffer.from(binary).toString("base64") }));
"""  # noqa: E501

DRACO = (
    RING
    + """
import draco3d from "draco3dgltf";
const draco = await draco3d.createEncoderModule({});
const encoder = new draco.Encoder(), builder = new draco.MeshBuilder(), mesh = new draco.Mesh();
builder.AddFacesToMesh(mesh, 2 * n, indices);
const ids = {
    POSITION: builder.AddFloatAttributeToMesh(mesh, draco.POSITION, n, 3, positions),
    NORMAL: builder.AddFloatAttributeToMesh(mesh, draco.NORMAL, n, 3, normals),
    TEXCOORD_0: builder.AddFloatAttributeToMesh(mesh, draco.TEX_COORD, n, 2, uvs),
};
encoder.SetEncodingMethod(draco[METHOD]);
encoder.SetTrackEncodedProperties(true);
encoder.SetAttributeQuantization(draco.POSITION, 14);
const out = new draco.DracoInt8Array();
const size = encoder.EncodeMeshToDracoBuffer(mesh, out);
const binary = Uint8Array.from({ length: size }, (_, i) => out.GetValue(i));
const root = plain(() => ({}));
// As the encoder may have left out or doubled some.
for (const accessor of root.accessors.slice(0, 3)) accessor.count = encoder.GetNumberOfEncodedPoints();
root.accessors[3].count = 3 * encoder.GetNumberOfEncodedFaces();
root.extensionsUsed = root.extensionsRequired = ["KHR_draco_mesh_compression"];
root.meshes[0].primitives[0].extensions = { KHR_draco_mesh_compression: { bufferView: 0, attributes: ids } };
root.bufferViews = [{ buffer: 0, byteLength: size }];
root.buffers = [{ byteLength: size }];
print(root, binary);
"""  # noqa: E501
)

MESHOPT = (
    RING
    + """
import { MeshoptEncoder } from "meshoptimizer";
await MeshoptEncoder.ready;
const parts = [[positions, n, 12, "ATTRIBUTES"], [normals, n, 12, "ATTRIBUTES"], [uvs, n, 8, "ATTRIBUTES"], [indices, 6 * n, 4, "TRIANGLES"]];
const packs = parts.map(([array, count, size, mode]) => MeshoptEncoder.encodeGltfBuffer(new Uint8Array(array.buffer), count, size, mode));
const binary = Buffer.concat(packs);
const root = plain((bufferView) => ({ bufferView }));
let packedAt = 0, plainAt = 0;
root.bufferViews = parts.map(([array, count, byteStride, mode], i) => {
    const { length } = packs[i];
    const about = { buffer: 0, byteOffset: packedAt, byteLength: length, byteStride, count, mode };
    const view = { buffer: 1, byteOffset: plainAt, byteLength: array.byteLength, extensions: { [NAME]: about } };
    if (mode === "ATTRIBUTES") view.byteStride = byteStride;
    packedAt += length;
    plainAt += array.byteLength;
    return view;
});
root.extensionsUsed = root.extensionsRequired = [NAME];
root.buffers = [{ byteLength: packedAt }, { byteLength: plainAt, extensions: { [NAME]: { fallback: true } } }];
print(root, binary);
"""  # noqa: E501
)

# A board of two metres with a picture of four fields, red, green, blue and white, from its top
# left.
KTX2 = """
import { encodeToKTX2 } from "ktx2-encoder";
const side = 64;
const data = new Uint8Array(side * side * 4);
const fields = [[255, 0, 0], [0, 200, 0], [0, 0, 255], [255, 255, 255]];
for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
        data.set([...fields[2 * Number(y >= side / 2) + Number(x >= side / 2)], 255], 4 * (y * side + x));
const picture = await encodeToKTX2(new Uint8Array(1), {
    imageDecoder: async () => ({ width: side, height: side, data }),
    isUASTC: UASTC, needSupercompression: ZSTANDARD, generateMipmap: MIPMAPS, isPerceptual: true, isSetKTX2SRGBTransferFunc: true,
});
const positions = new Float32Array([-1, 2, 0, 1, 2, 0, -1, 0, 0, 1, 0, 0]);
const normals = new Float32Array([0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1]);
const uvs = new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]);
const indices = new Uint16Array([0, 2, 1, 1, 2, 3]);
const parts = [positions, normals, uvs, indices, picture].map((part) => Buffer.from(part.buffer, part.byteOffset, part.byteLength));
let at = 0;
const bufferViews = parts.map(({ length }) => {
    const view = { buffer: 0, byteOffset: at, byteLength: length };
    at += Math.ceil(length / 4) * 4;
    return view;
});
const binary = Buffer.concat(parts.map((part) => Buffer.concat([part, Buffer.alloc((4 - (part.length % 4)) % 4)])));
print({
    asset: { version: "2.0" }, scene: 0, scenes: [{ nodes: [0] }], nodes: [{ name: "board", mesh: 0 }],
    extensionsUsed: ["KHR_texture_basisu"], extensionsRequired: ["KHR_texture_basisu"],
    meshes: [{ primitives: [{ attributes: { POSITION: 0, NORMAL: 1, TEXCOORD_0: 2 }, indices: 3, material: 0 }] }],
    materials: [{ doubleSided: true, pbrMetallicRoughness: { baseColorTexture: { index: 0 }, metallicFactor: 0 } }],
    textures: [{ extensions: { KHR_texture_basisu: { source: 0 } } }],
    images: [{ bufferView: 4, mimeType: "image/ktx2" }],
    accessors: [
        { bufferView: 0, componentType: 5126, count: 4, type: "VEC3", min: [-1, 0, 0], max: [1, 2, 0] },
        { bufferView: 1, componentType: 5126, count: 4, type: "VEC3" },
        { bufferView: 2, componentType: 5126, count: 4, type: "VEC2" },
        { bufferView: 3, componentType: 5123, count: 6, type: "SCALAR" },
    ],
    bufferViews, buffers: [{ byteLength: binary.length }],
}, binary);
"""  # noqa: E501


def _made(found: dict[str, Any]) -> Model:
    binary = base64.b64decode(found["binary"])
    return found["root"], binary + b"\0" * (-len(binary) % 4)


def draco(node: str, peers_dir: Path, method: str = "MESH_EDGEBREAKER_ENCODING") -> Model:
    """The ring as one Draco stream: JSON and binary chunk."""
    return _made(in_node(node, peers_dir)(f'const METHOD = "{method}";{DRACO}'))


def meshopt(node: str, name: str = "EXT_meshopt_compression") -> Model:
    """The ring as packed views of meshopt: JSON and binary chunk."""
    return _made(in_node(node, WEB)(f'const NAME = "{name}";{MESHOPT}'))


def ktx2(
    node: str,
    peers_dir: Path,
    *,
    uastc: bool = False,
    zstandard: bool = False,
    mipmaps: bool = True,
) -> Model:
    """The board with its picture in ETC1S or UASTC: JSON and binary chunk."""
    options = {"UASTC": uastc, "ZSTANDARD": zstandard, "MIPMAPS": mipmaps}
    consts = "".join(f"const {name} = {json.dumps(value)};" for name, value in options.items())
    printed = RING.splitlines()[-1]
    return _made(in_node(node, peers_dir)(f"{consts}{printed}{KTX2}"))


def bent(model: Model, *path: str | int, to: Any) -> Model:
    """A copy whose JSON says something else at a path."""
    root, binary = copy.deepcopy(model[0]), model[1]
    at: Any = root
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return root, binary
