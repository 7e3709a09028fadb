"""Webhooks: the contract as far as a source that is never asked can be held to it, who may post,
storms, retries, and what is not JSON."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from mirrorworld.connectors.webhook import WAITING_MAX, Bucket, Webhook
from mirrorworld.testing.connectors import (
    SECRET,
    ConnectorContract,
    WatchingSink,
    is_live,
    running,
)
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import Command
from mirrorworld.world.hooks import HookAnswer, ReceivesHooks
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig

SHOWN = {"authorization": f"Bearer {SECRET}"}


class Rig:
    """Posts to whichever connector was made last, as a program would."""

    schemes = ("webhook",)
    is_live = True
    unreachable_url = ""
    bad_urls = ("webhook://", "webhook://a/b", "webhook://a b", "http://gate", "webhook://../x")
    bad_options: Mapping[str, Scalar] = {
        "rate_per_s": 0,
        "burst": 0,
        "max_body_kib": 99_999,
        "signature": "md5",
        "header": "a b",
        "items": "machines",
        "zone": "Mars/Olympus",
    }

    def __init__(self) -> None:
        self.last: Webhook | None = None

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = SECRET,
        options: Mapping[str, Scalar] | None = None,
    ) -> Webhook:
        where = url if url is not None else "webhook://gate"
        self.last = Webhook(SourceConfig(where, name, options or {}, username, password))
        return self.last

    def point(self, name: str) -> tuple[str, str]:
        return name, "count"

    async def emit(self, value: float, source_ns: int) -> None:
        if self.last is not None:
            body = json.dumps({"count": value, "timestamp": source_ns // 1_000_000})
            await self.last.receive(body.encode(), SHOWN)

    async def vanish(self) -> None: ...
    async def come_back(self) -> None: ...

    async def received_writes(self) -> list[object]:
        return []

    def command(self, name: str) -> Command | None:
        return None


class TestWebhook(ConnectorContract):
    @pytest.fixture
    async def rig(self) -> Rig:
        return Rig()

    # A hook is asked nothing and connected to nothing: what it will get is known to nobody, and
    # whoever posts cannot vanish. What stands in their place is below.
    test_survives_the_source = None  # type: ignore[assignment]
    test_starts_before_its_source = None  # type: ignore[assignment]

    async def test_discover_finds_and_explains(self, rig: Rig) -> None:  # type: ignore[override]
        (found,) = await rig.connector().discover()
        assert found.twin.id == "source" and "/api/hooks/gate" in found.guessed


@contextlib.asynccontextmanager
async def open_hook(
    options: Mapping[str, Scalar] | None = None, **more
) -> AsyncIterator[tuple[Webhook, WatchingSink]]:
    config = SourceConfig(
        "webhook://gate", "gate", options or {}, "", SECRET, more.pop("state_dir", None)
    )
    hook, sink = Webhook(config, **more), WatchingSink(MemorySink("gate"))
    async with running(hook, sink) as task:
        await is_live(hook, task)
        yield hook, sink


async def test_is_found_as_one_that_takes_hooks() -> None:
    hook = Rig().connector()
    assert isinstance(hook, ReceivesHooks) and hook.hook == "gate"
    assert (await hook.receive(b"{}", SHOWN)).status == 503, "it is not running"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {SECRET}x"},
        {"authorization": f"Basic {SECRET}"},
        {"authorization": "Bearer \u00e9"},
        {"x-hub-signature-256": "sha256=" + "0" * 64},
    ],
)
async def test_only_by_the_secret(headers: dict[str, str]) -> None:
    async with open_hook() as (hook, sink):
        assert (await hook.receive(b'{"a": 1}', headers)).status == 401
        assert sink.counts == {"webhook_refused": 1}
        assert not sink.samples()
        assert (await hook.receive(b'{"a": 1}', SHOWN)) == HookAnswer(200, samples=1)


async def test_short_secrets_are_refused() -> None:
    hook = Webhook(SourceConfig("webhook://gate", "gate", {}, "", "short"))
    with pytest.raises(Exception, match="16 characters"):
        await hook.run(WatchingSink())


async def test_signature_is_over_the_body() -> None:
    async with open_hook({"signature": "github"}) as (hook, sink):
        body = b'{"a": 1}'
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        signed = {"x-hub-signature-256": f"sha256={digest}"}
        assert (await hook.receive(body, signed)).status == 200
        assert (await hook.receive(b'{"a": 2}', signed)).status == 401
        assert (await hook.receive(body, SHOWN)).status == 401, "the secret itself is not asked for"
        assert [s.value for s in sink.samples()] == [1.0]


async def test_answered_only_when_durable() -> None:
    async with open_hook() as (hook, sink):
        await hook.receive(b'{"a": 1}', SHOWN)
        assert sink.log[-2:] == ["push", "durable"]
        sink.inner.fails_durable = True
        with pytest.raises(OSError):
            await hook.receive(b'{"a": 2}', {**SHOWN, "idempotency-key": "k"})
        sink.inner.fails_durable = False
        again = await hook.receive(b'{"a": 2}', {**SHOWN, "idempotency-key": "k"})
        assert not again.is_repeated, "what failed was not taken"


async def test_storm_is_told_to_wait_and_counted() -> None:
    now = [0.0]
    async with open_hook({"rate_per_s": 2, "burst": 5}, clock_s=lambda: now[0]) as (hook, sink):
        told = [await hook.receive(b'{"a": 1}', SHOWN) for _ in range(50)]
        assert [t.status for t in told] == [200] * 5 + [429] * 45
        assert told[-1].retry_after_s == 1
        assert sink.counts["webhook_rate_limited"] == 45
        now[0] += 1.0
        assert [(await hook.receive(b"1", SHOWN)).status for _ in range(3)] == [200, 200, 429]
        # Without the secret nobody uses up what others may post.
        now[0] += 1.0
        for _ in range(100):
            await hook.receive(b"1", {})
        assert (await hook.receive(b"1", SHOWN)).status == 200


async def test_calls_at_once_are_bounded() -> None:
    async with open_hook({"burst": 1_000}) as (hook, sink):
        held = asyncio.Event()

        async def durable(ticket: int) -> None:
            await held.wait()

        sink.durable = durable  # type: ignore[method-assign]
        calls = [asyncio.create_task(hook.receive(b'{"a": 1}', SHOWN)) for _ in range(200)]
        await asyncio.sleep(0.05)
        done = [call.result().status for call in calls if call.done()]
        assert done == [429] * (200 - WAITING_MAX)
        held.set()
        assert [c.status for c in await asyncio.gather(*calls)].count(200) == WAITING_MAX


@pytest.mark.parametrize("header", ["idempotency-key", "x-github-delivery", "webhook-id"])
async def test_retries_are_taken_once_even_after_a_restart(tmp_path: Path, header: str) -> None:
    headers = {**SHOWN, header: "delivery-1"}
    async with open_hook(state_dir=tmp_path) as (hook, sink):
        told = await asyncio.gather(*(hook.receive(b'{"a": 1}', headers) for _ in range(5)))
        assert sorted(t.is_repeated for t in told) == [False, True, True, True, True]
        assert len(sink.samples()) == 1
    async with open_hook(state_dir=tmp_path) as (hook, sink):
        assert (await hook.receive(b'{"a": 1}', headers)).is_repeated
        assert not (await hook.receive(b'{"a": 1}', {**SHOWN, header: "delivery-2"})).is_repeated


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"<x/>", 422),
        (b'{"a":', 422),
        (b"\xff", 422),
        (b"[" * 100_000, 422),
        (b'{"a":' * 100_000, 422),
        (b'{"a":' * 20 + b"1" + b"}" * 20, 200),
        (b" " * (2 << 20), 413),
        (b"null", 200),
    ],
)
async def test_what_is_no_json_or_too_much_of_it(body: bytes, status: int) -> None:
    async with open_hook() as (hook, sink):
        assert (await hook.receive(body, SHOWN)).status == status
        assert not sink.samples()
        assert (await hook.receive(b'{"a": 1}', SHOWN)).status == 200


def test_bucket() -> None:
    bucket = Bucket(10, 2, 100.0)
    assert [bucket.take(100.0) for _ in range(2)] == [0, 0]
    assert bucket.take(100.0) == pytest.approx(0.1)
    assert bucket.take(99.0) > 0, "a clock that goes back gives nothing"
    assert bucket.take(99.2) == 0
