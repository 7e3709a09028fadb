"""Files: the page that the build put into the package, and the assets of worlds.

No path leaves its folder: a path is resolved first and then has to lie inside.
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from fastapi.responses import FileResponse, HTMLResponse

from mirrorworld.server import asking
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import PROBLEMS
from mirrorworld.server.sight import Sight

router = APIRouter()
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

_FOREVER: Final = {"cache-control": "private, max-age=31536000, immutable"}
"""For files whose name has a hash of their content in it."""
_FRESH: Final = {"cache-control": "no-cache"}

_TYPES: Final = {
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".ktx2": "image/ktx2",
    ".hdr": "image/vnd.radiance",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
"""The machine's own table differs from machine to machine."""

_ALONE: Final = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"
_ASIDE: Final = {"draco": _ALONE, "ktx2": f"{_ALONE} 'unsafe-eval'"}
"""Policies of the workers that unpack what strangers packed: whatever goes wrong in one, it
reaches nothing. The transcoder of KTX2 makes functions of text to bind its own calls; no page and
no other file may."""
_WORKER: Final = re.compile(r"assets/(\w+)_worker-[\w-]+\.js")

_UNBUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mirrorworld: the page is not built</title>
<style>:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem}</style>
<h1>The page is not built</h1>
<p>The server runs and its API answers under <code>/api</code>, but this copy of the package has
no web client in it. Build it with</p>
<pre>make setup</pre>
<p>or, in <code>web/</code>, <code>npm ci &amp;&amp; npm run build</code>, and load this address
again.</p></html>
"""


@router.get(
    "/api/assets/{path:path}",
    tags=["world"],
    summary="A file that the world's geometry names",
    response_class=Response,
    responses={
        200: {"description": "The file", "content": {"application/octet-stream": {}}},
        **PROBLEMS,
    },
)
def asset(here: Here, view: Seen, path: str) -> Response:
    """`asset:NAME` in a twin's or type's geometry is `NAME.glb` here, or NAME itself if it has a
    suffix."""
    name = path if Path(path).suffix else f"{path}.glb"
    found = _inside(here.assets, name)
    if found is None:
        raise Refused(404, f"there is no asset '{path[:200]}'", "asset", "see the world's assets/")
    return FileResponse(found, media_type=_type(found), headers=_FRESH)


@router.get("/{path:path}", include_in_schema=False)
def page(here: Here, path: str) -> Response:
    """The page's files; addresses within the page itself get the page."""
    if path == "api" or path.startswith("api/"):
        raise Refused(404, f"there is no route /{path[:200]}", "path", "see /api/openapi.json")
    found = _inside(here.static_dir, path or "index.html")
    if found is None and not Path(path).suffix:
        found = _inside(here.static_dir, "index.html")
        if found is None:
            return HTMLResponse(_UNBUILT, 503)
    if found is None:
        raise Refused(404, f"the page has no file '{path[:200]}'", "path", "")
    headers = _FOREVER if path.startswith("assets/") else _FRESH
    worker = _WORKER.fullmatch(path)
    if worker is not None and worker[1] in _ASIDE:
        headers = headers | {"content-security-policy": _ASIDE[worker[1]]}
    return FileResponse(found, media_type=_type(found), headers=headers)


def _type(path: Path) -> str:
    known = _TYPES.get(path.suffix.lower())
    return known or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _inside(folder: Path | None, path: str) -> Path | None:
    """The file of a path below a folder; None if there is none, or the path leads out of it."""
    if folder is None or "\0" in path or "\\" in path:
        return None
    root = folder.resolve()
    try:
        found = (root / path).resolve()
        return found if found.is_relative_to(root) and found.is_file() else None
    except (OSError, ValueError):  # names that the file system refuses
        return None
