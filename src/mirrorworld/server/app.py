"""The application: routes, stream and page of one world, behind the doors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response, WebSocket

from mirrorworld.protocol.messages import STREAM_PATH
from mirrorworld.server import metrics, openapi, problems, statics
from mirrorworld.server.context import Context
from mirrorworld.server.doors import Doors
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.routes import acts, past, sources, world
from mirrorworld.server.stream import CLOSE_FULL, Session

STATIC_DIR: Final = Path(__file__).parent / "static"
VIEWERS_MAX: Final = 64
FEATURES: Final = ("commands", "history", "seek", "sources")

_DESCRIPTION: Final = """\
One world: its twins, their values, its past, and the road of commands to the real thing.

Errors are `Problem`s: what is wrong, where, and what to do about it. Times that end in `_ns` are
UTC nanoseconds since 1970. Programs send `Authorization: Bearer TOKEN`; pages have a cookie and
send `X-Mirrorworld: 1` with everything that changes something. Live values come by WebSocket,
`/api/stream`.
"""


def create_app(
    mirror: Mirrored,
    *,
    token: str,
    assets: Path | None = None,
    static_dir: Path | None = STATIC_DIR,
) -> FastAPI:
    """The ASGI application for one world. It runs in the loop that owns the world.

    Args:
        mirror: the world that it serves.
        token: the owner's; see `token_of`.
        assets: folder of the geometry that twins name; None: there is none.
        static_dir: folder of the built page.
    """
    context = Context(mirror, _version(), assets, static_dir, list(FEATURES))

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        context.past.close()

    app = FastAPI(
        title="Mirrorworld",
        description=_DESCRIPTION,
        version=context.version,
        lifespan=lifespan,
        openapi_url=None,  # served below, with the shapes of the model in it
        docs_url=None,  # both of FastAPI's pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.context = context
    problems.install(app)

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    @app.get("/metrics", include_in_schema=False)
    async def numbers(_: Request) -> Response:
        return Response(metrics.page(context), media_type=metrics.CONTENT_TYPE)

    @app.get("/api/openapi.json", include_in_schema=False)
    async def schema() -> Response:
        return Response(openapi.document(app), media_type="application/json")

    @app.websocket(STREAM_PATH)
    async def stream(socket: WebSocket) -> None:
        await _stream(context, socket)

    for module in (world, past, acts, sources, statics):
        app.include_router(module.router)
    app.add_middleware(Doors, token=token)
    return app


async def _stream(context: Context, socket: WebSocket) -> None:
    await socket.accept()
    views = context.views
    sight = context.sights.of(socket.state.principal)
    if not sight.sees(""):
        await socket.close(4403, f"{sight.who.id} may not see this world")
        return
    if views.viewers >= VIEWERS_MAX:
        await socket.close(CLOSE_FULL, f"{VIEWERS_MAX} viewers are here already")
        return
    views.viewers += 1
    try:
        session = Session(socket, context.mirror, views, context.past, sight, context.features)
        await session.run()
    finally:
        views.viewers -= 1


def _version() -> str:
    try:
        return version("mirrorworld")
    except PackageNotFoundError:
        return "0"
