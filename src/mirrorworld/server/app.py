"""The application: routes, stream and page of one world, behind the doors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response, WebSocket

from mirrorworld.protocol.messages import STREAM_PATH
from mirrorworld.server import asking, editing, metrics, openapi, problems, statics, writing
from mirrorworld.server.attached import Examine
from mirrorworld.server.context import Context
from mirrorworld.server.doors import HOSTS, Doors
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.network import Network
from mirrorworld.server.routes import accounts as accounts_routes
from mirrorworld.server.routes import (
    acts,
    blobs,
    discovered,
    edits,
    embedding,
    enter,
    inbox,
    mapping,
    notes,
    past,
    quantities,
    reach,
    rules,
    sources,
    undo,
    world,
)
from mirrorworld.server.stream import CLOSE_FULL, Session
from mirrorworld.trust.accounts import Accounts
from mirrorworld.trust.oidc import Exchange, Provider

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
    accounts: Accounts | None = None,
    hosts: Iterable[str] = (),
    providers: Sequence[Provider] = (),
    routers: Sequence[APIRouter] = (),
    network: Network | None = None,
    assets: Path | None = None,
    examiners: Mapping[str, Examine] | None = None,
    static_dir: Path | None = STATIC_DIR,
) -> FastAPI:
    """The ASGI application for one world. It runs in the loop that owns the world.

    Args:
        mirror: the world that it serves.
        token: the owner's; see `token_of`.
        accounts: of everybody else.
        providers: who else may vouch for people.
        hosts: names that it answers to, beside those of this machine.
        routers: routes of other rooms.
        network: how others reach it, if they do.
        examiners: media type -> what looks into files of it that are attached; ValueError says
            why one is not taken. Models without one are not taken.
        assets: folder of the geometry that twins name; None: there is none.
        static_dir: folder of the built page.
    """
    accounts = accounts if accounts is not None else Accounts()
    exchanges = {provider.name: Exchange(provider) for provider in providers}
    context = Context(
        mirror, _version(), assets, static_dir, list(FEATURES), accounts, exchanges, network,
        examiners=examiners or {},
    )  # fmt: skip
    authority = network.certificate.authority if network else None

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
    app.include_router(edits.router)  # first: routes are tried in this order

    @app.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    @app.get("/metrics", include_in_schema=False)
    async def numbers(request: Request) -> Response:
        """Figures of the whole world: for who sees all of it."""
        if not (await asking.sight(request)).is_whole:
            raise problems.Refused(403, "these are of the whole world", "metrics", "ask its owner")
        return Response(metrics.page(context), media_type=metrics.CONTENT_TYPE)

    @app.get("/api/authority.pem", include_in_schema=False)
    async def root() -> Response:
        """What a phone has to trust; it is no secret."""
        if authority is None:
            raise problems.Refused(404, "this world has no authority of its own", "path", "")
        return Response(authority.read_bytes(), media_type="application/x-x509-ca-cert")

    @app.get("/api/openapi.json", include_in_schema=False)
    async def schema() -> Response:
        return Response(openapi.document(app), media_type="application/json")

    @app.websocket(STREAM_PATH)
    async def stream(socket: WebSocket) -> None:
        await _stream(context, socket)

    @app.websocket(editing.PATH)
    async def edit_stream(socket: WebSocket) -> None:
        await socket.accept()
        sight = context.sights.of(socket.state.principal)
        await editing.EditSession(socket, context, sight).run()

    @app.websocket(writing.PATH)
    async def authors(socket: WebSocket) -> None:
        await socket.accept()
        sight = context.sights.of(socket.state.principal)
        if not sight.sees(""):
            await socket.close(4403, f"{sight.who.id} may not see this world")
            return
        await writing.Page(socket, context.desk, context.mirror, sight).run()

    for module in (
        world,
        past,
        quantities,
        acts,
        blobs,
        notes,
        undo,
        sources,
        discovered,
        inbox,
        accounts_routes,
        embedding,
        enter,
        reach,
        rules,
        mapping,
    ):
        app.include_router(module.router)
    for router in routers:
        app.include_router(router)
    app.include_router(statics.router)  # last: it answers to every path that is left
    names = frozenset(f"[{name}]" if ":" in name else name.lower() for name in hosts)
    app.add_middleware(Doors, token=token, accounts=accounts, hosts=HOSTS | names)
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
