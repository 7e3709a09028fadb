"""A site as a source: the contract, and what is particular to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest

pytest.importorskip("zenoh", reason="needs the extra 'zenoh'")

import zenoh

from mirrorworld.connectors.zenoh_session import Place, Unreachable, joined
from mirrorworld.plane import publisher as publishing
from mirrorworld.plane import wire
from mirrorworld.plane.site import Site
from mirrorworld.testing.connectors import ConnectorContract, until
from mirrorworld.trust import authority
from mirrorworld.world.changes import Change, Command, DropTwin, Edits, Event, PutTwin
from mirrorworld.world.frames import FrameBuilder, frame
from mirrorworld.world.model import Kind, PointType, Scalar, Text, Twin
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError
from tests.plane.worlds import SOURCE_NS, Edge, below, centre_world, edge_world, rows_of, running


class SiteRig:
    """A world that listens; the connector goes there."""

    schemes = ("site", "site+tls")
    is_live = True
    bad_urls = (
        *("site://", "site://127.0.0.1:notaport/n", "site://127.0.0.1:0/n", "ftp://host/n"),
        *("site://127.0.0.1", "site://127.0.0.1/a/b", "site://0.0.0.0/n", "site://centre/n"),
        *("site+tls://host/n", "site://127.0.0.1/n?x=1"),
    )
    bad_options: Mapping[str, Scalar] = {
        "listen": "sometimes",
        "history": "perhaps",
        "max_points": 0,
        "tls_key": "there.pem",
    }

    def __init__(self, edge: Edge, free_port: Callable[[], int]) -> None:
        self.edge = edge
        self.port = free_port()
        self.unreachable_url = f"site://127.0.0.1:{free_port()}/north"
        self._task: asyncio.Task[None] | None = None

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Site:
        where = url or f"site://127.0.0.1:{self.port}/north"
        return Site(SourceConfig(where, name, options or {}, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/plant", "p0"

    async def emit(self, value: float, source_ns: int) -> None:
        await self.edge.sink.push(frame(self.edge.handles[:1], [value], source_ns))
        await self.edge.durable()

    async def vanish(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def come_back(self) -> None:
        publisher = self.edge.publisher(Place("127.0.0.1", self.port, listens=True))
        self._task = asyncio.create_task(publisher.run())

    async def received_writes(self) -> Sequence[object]:
        changes = self.edge.record.log.changes(0)
        return [c for c in changes if isinstance(c.body, Command) or c.source != "plant"]

    def command(self, name: str) -> Command | None:
        return None


class TestSite(ConnectorContract):
    @pytest.fixture
    async def rig(self, tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[SiteRig]:
        async with edge_world(tmp_path / "edge") as edge:
            await edge.declare()
            rig = SiteRig(edge, free_port)
            await rig.come_back()
            try:
                yield rig
            finally:
                await rig.vanish()


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with edge_world(tmp_path / "edge") as edge:
        await edge.declare()
        yield edge


def _url(port: int) -> str:
    return f"site://127.0.0.1:{port}/north"


async def test_rows_and_structure_are_those_of_the_site(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    await edge.emit(50)
    builder = FrameBuilder()
    (mill,) = edge.sink.handles([("plant/mill", "state")])
    builder.add(int(mill), Kind.TEXT, "läuft", SOURCE_NS)
    await edge.sink.push(builder.build())
    async with (
        centre_world(tmp_path / "centre", _url(port), listen=True) as centre,
        running(edge.publisher(Place("127.0.0.1", port))) as publisher,
    ):
        await until(lambda: centre.sink.tally.accepted == 201, "the past")
        await edge.sink.declare(
            Edits((PutTwin(Twin("plant/late", points=(PointType("x", unit="bar"),))),))
        )
        late = edge.sink.handles([("plant/late", "x")])
        await edge.sink.push(frame(late, [7.5], SOURCE_NS + 10**12))
        await edge.emit(20)
        await until(lambda: centre.sink.tally.accepted == 282, "what came live")
        await edge.durable()
        await until(lambda: publisher.held == edge.record.position.sequence, "it to be held")
        assert sorted(map(repr, centre.rows())) == sorted(
            map(repr, below("north", rows_of(edge.record, edge.pipeline)))
        )
        world = centre.pipeline.world
        (handle,) = world.handles([("north/plant/late", "x")])
        assert world.point(int(handle))[1].unit == "bar"
        assert world.structure.twins["north/plant"].name == Text.of("Plant")
        parts = {(r.source, r.target) for r in world.structure.relations.values()}
        assert parts >= {("north/plant/mill", "north/plant"), ("north/plant", "north")}
        assert not centre.sink.counts, centre.sink.counts


async def test_live_does_not_wait_for_the_past(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the first page of the past is held up, what comes live is applied; then the past
    follows in order."""
    monkeypatch.setattr(publishing, "PAGE_CHANGES", 50)
    port = free_port()
    await edge.emit(300)
    gate = asyncio.Event()
    async with centre_world(tmp_path / "centre", _url(port), listen=True) as centre:
        durable = centre.sink.durable
        held = asyncio.Event()

        async def slow(ticket: int) -> None:
            held.set()
            await gate.wait()
            await durable(ticket)

        centre.sink.durable = slow  # type: ignore[method-assign]
        async with running(edge.publisher(Place("127.0.0.1", port))):
            await asyncio.wait_for(held.wait(), 20)
            before = edge.n
            await edge.emit(30)
            newest = SOURCE_NS + edge.n * 1_000_000
            await until(
                lambda: newest in [r[4] for r in centre.rows()], "live, while the past is held up"
            )
            times = [r[4] for r in centre.rows() if r[1] == "p0"]
            assert len(times) < 300, "the past cannot be here: it was held up"
            gate.set()
            await until(lambda: centre.sink.tally.accepted == 330 * 4, "all of it")
            times = [r[4] for r in centre.rows() if r[1] == "p0"]
            past = [t for t in times if t <= SOURCE_NS + before * 1_000_000]
            live = [t for t in times if t > SOURCE_NS + before * 1_000_000]
            assert past == sorted(past) and live == sorted(live)
            assert len(set(times)) == 330


async def test_conditions_stand_as_they_do_there(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """An alarm that came and went while nobody listened is in the record, and does not stand."""
    port = free_port()
    hot = Event("plant/hot", "plant", "alarm", Text.of("hot"), is_active=True, source_ns=1)
    gone = Event("plant/hot", "plant", "alarm", Text.of("hot"), is_active=False, source_ns=2)
    full = Event("plant/full", "plant", "alarm", Text.of("full"), is_active=True, source_ns=3)
    for event in (hot, gone, full):
        await edge.sink.event(event)
    await edge.emit(1)
    async with (
        centre_world(tmp_path / "centre", _url(port), listen=True) as centre,
        running(edge.publisher(Place("127.0.0.1", port))) as publisher,
    ):
        await edge.durable()
        await until(lambda: publisher.held == edge.record.position.sequence, "it to be held")
        events = centre.pipeline.world.events
        assert events["north/plant/full"].is_active
        assert not events["north/plant/hot"].is_active
        (past,) = [e for e in events.values() if e.id.startswith("north/plant/hot@")]
        assert not past.is_active and past.source_ns == 1
        assert ("was_active", True) in [(p.name, p.value) for p in past.properties]
        await edge.sink.event(hot)
        await until(lambda: events["north/plant/hot"].is_active, "the alarm, live")


async def test_a_twin_that_ended_is_ended_here(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    url = _url(port)
    async with centre_world(tmp_path / "centre", url, listen=True) as centre:
        async with running(edge.publisher(Place("127.0.0.1", port))):
            await until(lambda: "north/plant/mill" in centre.pipeline.world.structure.twins, "it")
        await until(lambda: centre.connector.link.state is LinkState.LOST, "the loss")
        await edge.sink.declare(Edits((DropTwin("plant/mill"),)))
        async with running(edge.publisher(Place("127.0.0.1", port))):
            await until(
                lambda: "north/plant/mill" not in centre.pipeline.world.structure.twins, "its end"
            )


async def test_what_the_record_no_longer_has_is_said(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    async with edge_world(tmp_path / "edge", segment_bytes=5_000) as edge:
        await edge.declare(100)
        for _ in range(30):
            await edge.emit(20)
            await edge.durable()
        await asyncio.to_thread(edge.record.keyframe, edge.pipeline.world.snapshot())
        await edge.emit(20)
        await edge.durable()
        keep = edge.record.log_bytes // 2
        gone = edge.record.forget(keep)
        assert gone > 0 and edge.record.kept_from == gone + 1
        assert edge.record.log_bytes <= keep
        async with (
            centre_world(tmp_path / "centre", _url(port), listen=True) as centre,
            running(edge.publisher(Place("127.0.0.1", port))) as publisher,
        ):
            await until(lambda: publisher.held == edge.record.position.sequence, "the rest")
            kept = [r[4] for r in rows_of(edge.record, edge.pipeline)]
            assert sorted(r[4] for r in centre.rows()) == sorted(kept)
    # And while somebody followed:
    async with (
        edge_world(tmp_path / "edge", segment_bytes=5_000) as edge,
        centre_world(tmp_path / "centre", _url(port), listen=True) as centre,
    ):
        await edge.declare(100)
        for _ in range(60):
            await edge.emit(20)
            await edge.durable()
        await asyncio.to_thread(edge.record.keyframe, edge.pipeline.world.snapshot())
        assert edge.record.forget(edge.record.log_bytes // 4)
        async with running(edge.publisher(Place("127.0.0.1", port))) as publisher:
            await until(lambda: publisher.held == edge.record.position.sequence, "the rest")
        assert centre.sink.counts["site_changes_not_kept"] > 0
        assert any(e.kind == "changes_lost" for e in centre.pipeline.world.events.values())


async def test_a_record_that_was_set_back_is_refused(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    import shutil

    port = free_port()
    async with edge_world(tmp_path / "edge") as edge:
        await edge.declare()
        await edge.emit(5)
    shutil.copytree(tmp_path / "edge", tmp_path / "backup")
    async with edge_world(tmp_path / "edge") as edge:
        edge.handles = edge.sink.handles([("plant", "p0")])
        await edge.emit(20)
        async with (
            centre_world(tmp_path / "centre", _url(port), listen=True),
            running(edge.publisher(Place("127.0.0.1", port))) as publisher,
        ):
            await edge.durable()
            await until(lambda: publisher.held == edge.record.position.sequence, "it to be held")
    async with (
        edge_world(tmp_path / "backup") as edge,
        running(edge.publisher(Place("127.0.0.1", port))),
    ):
        with pytest.raises(SourceError, match="set back"):
            async with centre_world(tmp_path / "centre", _url(port), listen=True) as centre:
                await until(centre.task.done, "it to be refused")


async def test_a_record_that_was_made_anew_is_another(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    """A site that begins again from nothing numbers from one again: none of it is taken for what
    it said before, however often."""
    port = free_port()
    async with centre_world(tmp_path / "centre", _url(port), listen=True) as centre:
        for life in range(1, 11):  # more than the kernel's table has room for
            async with (
                edge_world(tmp_path / f"edge{life}") as edge,
                running(edge.publisher(Place("127.0.0.1", port))) as publisher,
            ):
                edge.n = 1_000 * life
                await edge.declare()
                await edge.emit(10)
                await edge.durable()
                await until(lambda: publisher.held == edge.record.position.sequence, "it")
            assert centre.sink.tally.accepted == 40 * life
        assert centre.sink.tally.duplicate == 0


async def test_what_does_not_fit_the_queue_is_asked_for(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live is bounded at both ends; what it leaves out comes from the record."""
    monkeypatch.setattr(publishing, "WAITING_CHANGES_MAX", 10)
    port = free_port()
    async with (
        centre_world(tmp_path / "centre", _url(port), listen=True) as centre,
        running(edge.publisher(Place("127.0.0.1", port))) as publisher,
    ):
        await until(lambda: centre.connector.link.state is LinkState.LIVE, "it to be live")
        for _ in range(10):
            await edge.emit(100)
            await asyncio.sleep(0.05)
        await edge.durable()
        await until(lambda: centre.sink.tally.accepted == 4_000, "all of it")
        assert publisher.counts["changes_not_sent_live"] > 0
        assert sorted(r[4] for r in centre.rows()) == sorted(
            r[4] for r in rows_of(edge.record, edge.pipeline)
        )


# --- who may


@pytest.fixture
def files(tmp_path: Path) -> tuple[authority.Certificate, Callable[[str], authority.Certificate]]:
    """(the centre's certificate, identities by name)."""
    folder = tmp_path / "authority"
    centre = authority.certificate_for(folder, ["localhost", "127.0.0.1"])
    return centre, lambda name: authority.identity_for(folder, name, tmp_path / f"identity-{name}")


def _place(port: int, who: authority.Certificate, *, listens: bool = False) -> Place:
    paths = [str(p) for p in (who.authority, who.certificate, who.key)]
    return Place("127.0.0.1" if listens else "localhost", port, listens, True, *paths)


async def test_over_tls_a_site_speaks_for_itself_alone(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int], files
) -> None:
    """A stranger does not come in; another site gets nothing of this one's and says nothing in
    its name, whatever it asks for, answers or puts."""
    port = free_port()
    own, identity = files
    stranger = authority.identity_for(tmp_path / "elsewhere", "north", tmp_path / "stranger")
    options = {"tls_ca": str(own.authority), "tls_certificate": str(own.certificate)}
    options |= {"tls_key": str(own.key), "listen": "true"}
    await edge.emit(10)
    url = f"site+tls://127.0.0.1:{port}/north"
    async with (
        centre_world(tmp_path / "centre", url, **options) as centre,
        running(edge.publisher(_place(port, identity("north")))) as publisher,
    ):
        await edge.durable()
        await until(lambda: publisher.held == edge.record.position.sequence, "it to be held")
        for who in (_place(port, stranger), Place("127.0.0.1", port)):
            with pytest.raises(Unreachable):
                async with joined(who):
                    pass
        heard: list[str] = []
        async with joined(_place(port, identity("south"))) as south:
            session = south.session
            session.declare_subscriber(
                "**", lambda s: heard.append(str(s.key_expr)), allowed_origin=zenoh.Locality.REMOTE
            )
            for what in ("live", "held", "alive"):
                session.declare_subscriber(
                    wire.key_of("north", what),
                    lambda s: heard.append(str(s.key_expr)),
                    allowed_origin=zenoh.Locality.REMOTE,
                )
            token = session.liveliness().declare_token(wire.key_of("north", "alive"))
            forged = wire.Stretch(
                wire.VERSION, edge.record.id, edge.record.epoch, edge.record.position.sequence,
                edge.record.position.sequence + 5, 1, 0, [], _forged(edge),
            )  # fmt: skip
            session.put(wire.key_of("north", "live"), wire.encode(forged))
            replies = await asyncio.to_thread(
                lambda: list(session.get(wire.key_of("north", "structure"), timeout=3.0))
            )
            assert not [r for r in replies if r.ok is not None]
            asked: list[str] = []
            session.declare_queryable("**", lambda q: (asked.append(str(q.key_expr)), q.drop()))
            await edge.emit(10)
            await edge.durable()
            await until(lambda: publisher.held == edge.record.position.sequence, "the next")
            token.undeclare()
        assert not heard and not asked
        assert centre.sink.tally.accepted == 80
        assert not any(r[2] == 666.0 for r in centre.rows())
        assert centre.connector.link.state is LinkState.LIVE


def _forged(edge: Edge) -> list[tuple[int, bytes]]:
    body = frame(edge.handles[:1], [666.0], SOURCE_NS)
    position = type(edge.record.position)(edge.record.epoch, edge.record.position.sequence + 5)
    origin = next(iter(edge.pipeline.world.origins))
    return wire.parts_of([Change(body, origin, 1, "plant", position=position)])


async def test_a_second_site_comes_in_while_the_first_is_linked(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int], files
) -> None:
    """The list of who may speak grows, for which the session is opened anew: nothing is lost."""
    port = free_port()
    own, identity = files
    options = {"tls_ca": str(own.authority), "tls_certificate": str(own.certificate)}
    options |= {"tls_key": str(own.key), "listen": "true"}
    url = f"site+tls://127.0.0.1:{port}/"
    await edge.emit(10)
    async with (
        centre_world(tmp_path / "centre", f"{url}north", **options) as first,
        running(edge.publisher(_place(port, identity("north")))) as publisher,
    ):
        await edge.durable()
        await until(lambda: publisher.held == edge.record.position.sequence, "it to be held")
        async with (
            edge_world(tmp_path / "edge2") as other,
            centre_world(tmp_path / "centre2", f"{url}south", "south", **options) as second,
            running(other.publisher(_place(port, identity("south")), "south")) as publisher2,
        ):
            await other.declare()
            await other.emit(10)
            await edge.emit(10)
            for world, by in ((edge, publisher), (other, publisher2)):
                await world.durable()
                await until(
                    lambda by=by, world=world: by.held == world.record.position.sequence,
                    "both to be held",
                    90,  # the link that was up is dropped and dialled again, less and less often
                )
            assert first.sink.tally.accepted == 80 and second.sink.tally.accepted == 40


async def test_a_link_on_which_nobody_asks_is_dialled_again(
    edge: Edge, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "UNHEARD_S", (0.2, 0.2))
    port = free_port()
    async with (
        joined(Place("127.0.0.1", port, listens=True)) as deaf,
        running(edge.publisher(Place("127.0.0.1", port))),
    ):
        await until(deaf.others, "a first link")
        first = deaf.others()
        await until(lambda: deaf.others() - first, "a link of another session", 60)


async def test_broken_messages_are_counted_and_survived(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    async with (
        centre_world(tmp_path / "centre", _url(port), listen=True) as centre,
        running(edge.publisher(Place("127.0.0.1", port))),
    ):
        await until(lambda: centre.connector.link.state is LinkState.LIVE, "it to be live")
        async with joined(Place("127.0.0.1", port)) as evil:
            evil.session.put(wire.key_of("north", "live"), b"\x00nonsense")
            await until(lambda: centre.sink.counts["site_broken_messages"] > 0, "the count")
        await edge.emit(10)
        await until(lambda: centre.sink.tally.accepted == 40, "what is good")


async def test_a_site_of_a_million_names_is_refused_and_others_live_on(
    edge: Edge, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with pytest.raises(SourceError, match="max_points=10"):
        async with (
            centre_world(tmp_path / "centre", _url(port), listen=True, max_points=10) as centre,
            running(edge.publisher(Place("127.0.0.1", port))),
        ):
            await until(lambda: centre.connector.link.state is LinkState.LIVE, "it to be live")
            many = tuple(PointType(f"x{i}") for i in range(1_000))
            await edge.sink.declare(Edits((PutTwin(Twin("plant/many", points=many)),)))
            await edge.emit(1)
            await until(centre.task.done, "it to be refused")
            assert "north/plant/many" not in centre.pipeline.world.structure.twins
