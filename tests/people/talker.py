"""A visitor of the tests who is in voice, by the forwarder where the server says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from mirrorworld.bench.voice_bots import Bot
from mirrorworld.protocol import people, voice
from mirrorworld.protocol.voice import VOICE
from tests.people.visitor import PATIENCE_S, Visitor, visiting

PACKET_S = 0.06
"""Twelve who hear six each then make 1,200 packets a second, all in the process of the test."""


class Talker:
    """Follows what the server says of voice: offers lines to forwarders, and keeps its slots."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.bot = Bot(packet_s=PACKET_S)
        self.told: list[voice.VoiceServerMessage] = []
        self._read = 0
        self._epoch = 0
        self._following = asyncio.create_task(self._follow())

    @property
    def id(self) -> int:
        return self.visitor.id

    async def say(self, message: voice.VoiceClientMessage) -> None:
        await self.visitor.say(people.Signal(0, VOICE, voice.encode(message)))

    @property
    def roster(self) -> voice.VoiceRoster | None:
        """The latest."""
        return next((m for m in reversed(self.told) if isinstance(m, voice.VoiceRoster)), None)

    async def rostered(self, way: str, count: int) -> voice.VoiceRoster:
        """The roster once it names so many, on that way."""

        def find() -> voice.VoiceRoster | None:
            found = self.roster
            return found if found and found.way == way and len(found.people) == count else None

        found = await self.visitor.until(find)
        assert found is not None
        return found

    async def hears(self, *people: int) -> None:
        """Waits until exactly these are in the slots, and sound of each comes."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while set(self.bot.slots) - {0} != set(people):
                    await asyncio.sleep(0.02)
                self.bot.heard.clear()
                while not set(people) <= set(self.bot.heard):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            said = f"hears {dict(self.bot.heard)} in slots {self.bot.slots}, not {people}"
            raise AssertionError(said) from None

    async def ready(self) -> None:
        """Waits until the line to the forwarder is there."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.bot.ready.is_set():
                await asyncio.sleep(0.02)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            for message in self.visitor.heard[self._read :]:
                self._read += 1
                if isinstance(message, people.Signalled) and message.by == 0:
                    await self._take(voice.read_server(message.data))

    async def _take(self, message: voice.VoiceServerMessage) -> None:
        self.told.append(message)
        match message:
            case voice.VoiceRoster(way="forwarded", epoch=epoch) if epoch != self._epoch:
                self._epoch = epoch
                is_speaking = self.bot.is_speaking
                self.bot.close()
                self.bot = Bot(is_speaking=is_speaking, packet_s=PACKET_S)
                await self.say(voice.VoiceOffer(self.bot.offer, epoch))
            case voice.VoiceAnswer(sdp=sdp, epoch=epoch) if epoch == self._epoch:
                await self.bot.answer(sdp)
            case voice.VoiceSlots(slots=slots):
                self.bot.slots = slots
        self.visitor._news.set()

    def close(self) -> None:
        self._following.cancel()
        self.bot.close()


@contextlib.asynccontextmanager
async def talking(
    url: str, *names: str, headers: dict[str, str] | None = None
) -> AsyncIterator[list[Talker]]:
    """People who are in voice, in the order of their names, ten metres from each other."""
    async with contextlib.AsyncExitStack() as stack:
        talkers: list[Talker] = []
        for i, name in enumerate(names):
            visitor = await stack.enter_async_context(visiting(url, name, headers=headers))
            await visitor.move(10.0 * i)
            talker = Talker(visitor)
            stack.callback(talker.close)
            talkers.append(talker)
            await talker.say(voice.VoiceJoin(name))
        yield talkers
