"""BACnet/IP: a device of a building as a twin, its objects live, its commands by priority.

`Bacnet` is the connector. It asks one device at one address: nothing is broadcast. It subscribes
to changes (COV) and polls what the device does not tell of, and writes only what it is told to.
How it is done stands beside this file: `bacnet_config` (what it is told), `bacnet_device` (the
protocol), `bacnet_model` (what becomes of objects). They need bacpypes3, the extra `bacnet`; this
file can be imported without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import random
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from mirrorworld.connectors.bacnet_config import BacnetOptions, checked
from mirrorworld.world.changes import Command, CommandState, Edits, Event, Severity
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import Kind, Property, Scalar, Text
from mirrorworld.world.ports import (
    ConnectorAbout,
    Finding,
    Link,
    LinkState,
    Sink,
    SourceConfig,
    SourceError,
)
from mirrorworld.world.quality import UNCERTAIN_LAST_USABLE

if TYPE_CHECKING:
    from mirrorworld.connectors.bacnet_device import Device
    from mirrorworld.connectors.bacnet_model import Item, Mirror

log = logging.getLogger(__name__)

RETRY_S_FIRST: Final = 0.5
RETRY_S_MAX: Final = 30.0
SAMPLE_VALUES_MAX: Final = 20

STRUCTURE: Final = (
    "object-name", "present-value", "units", "description", "min-pres-value", "max-pres-value",
)  # fmt: skip
_OF_TYPE: Final = {
    "binary": ("object-name", "present-value", "description", "active-text", "inactive-text"),
    "multi": ("object-name", "present-value", "description", "state-text"),
    "characterstring": ("object-name", "present-value", "description"),
    "structured": ("object-name", "description", "subordinate-list"),
}
OF_DEVICE: Final = (
    "object-identifier", "object-name", "vendor-name", "model-name", "firmware-revision",
    "location", "description", "serial-number",
)  # fmt: skip
OF_VALUE: Final = ("present-value", "status-flags")


class Bacnet:
    """Mirrors one BACnet/IP device. Options: `BacnetOptions`."""

    schemes: tuple[str, ...] = ("bacnet",)
    about: ClassVar[ConnectorAbout] = ConnectorAbout(
        "BACnet/IP", "bacnet://192.168.1.50:47808", takes_login=False
    )

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.link = Link(LinkState.CONNECTING, "not tried yet")
        self._device: Device | None = None
        self._items: dict[tuple[str, str], Item] = {}
        self._told_lost = False
        self._last: dict[int, tuple[Kind, Any, int]] = {}
        """By handle: kind, value and quality as pushed last."""
        self._alarms: set[str] = set()

    def __repr__(self) -> str:
        return f"Bacnet({self.config.name!r}, {self.link.state.value})"

    # --- looking

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """The device and its structured views, with present values. Subscribes to nothing.

        Raises:
            SourceError: it does not answer, or says no.
        """
        host, port, options = self._settings()
        from mirrorworld.connectors.bacnet_device import Device, DeviceError, Silent

        device = await self._opened(
            lambda address: Device(address, port, local=options.bind, timeout_s=options.timeout_s)
        )
        try:
            mirror, values, _ = await self._look(device, options)
        except (DeviceError, Silent, OSError) as error:
            raise SourceError(f"bacnet://{host}:{port}: {error}") from error
        finally:
            device.close()
        found: list[Finding] = []
        for twin in list(mirror.twins.values())[: max(limit, 0)]:
            own = [(i.point, values.get(str(i.object))) for i in mirror.items if i.twin == twin.id]
            shown = tuple((n, _shown(v)) for n, v in own[:SAMPLE_VALUES_MAX])
            how = f"the device itself: {len(twin.points)} objects with a present value as points"
            found.append(Finding(twin, None, how, shown))
        return found

    async def _look(
        self, device: Device, options: BacnetOptions
    ) -> tuple[Mirror, dict[str, Any], bool]:
        """(what the device becomes, present values by object, whether it has more objects)."""
        from mirrorworld.connectors import bacnet_model
        from mirrorworld.connectors.bacnet_device import identifier_of, type_name

        pause_s = options.pause_ms / 1000
        instance = device.known = options.device if options.device >= 0 else await device.instance()
        (about,) = await device.facts([(identifier_of("device", instance), OF_DEVICE)])
        identifiers, is_cut = await device.objects(instance, options.max_objects)
        wanted: list[tuple[Any, Sequence[str]]] = []
        for identifier in dict.fromkeys(identifiers):
            name = type_name(identifier)
            if name in bacnet_model.KINDS or name == "structured-view":
                wanted.append((identifier, _OF_TYPE.get(name.split("-")[0], STRUCTURE)))
        facts = await device.facts(wanted, pause_s)
        objects = [
            (identifier, type_name(identifier), told)
            for (identifier, _), told in zip(wanted, facts, strict=True)
        ]
        mirror = await asyncio.to_thread(bacnet_model.mirror, self.config.name, about, objects)
        values = {str(identifier): told.get("present-value") for identifier, _, told in objects}
        return mirror, values, is_cut

    # --- mirroring

    async def run(self, sink: Sink) -> None:
        """Mirrors the device until cancelled, through its vanishing and return.

        Raises:
            SourceError: it can never work as configured.
        """
        host, port, options = self._settings()
        from mirrorworld.connectors.bacnet_device import Device, DeviceError, Silent
        from mirrorworld.connectors.careful_sink import CarefulSink, SinkFailed

        sink = CarefulSink(sink)
        place, delay_s = f"bacnet://{host}:{port}", RETRY_S_FIRST
        while True:
            device = await self._opened(
                lambda address: Device(
                    address,
                    port,
                    local=options.bind,
                    timeout_s=options.timeout_s,
                    count=sink.count,
                )
            )
            try:
                mirror, _, is_cut = await self._look(device, options)
                if mirror.odd_units:
                    sink.count("unit_unknown", len(mirror.odd_units))
                await sink.declare(Edits(tuple(mirror.edits(self.config.name)), "device read"))
                self._items = {(i.twin, i.point): i for i in mirror.items}
                self._device = device
                delay_s = RETRY_S_FIRST
                await self._live(device, mirror, sink, options, place, is_cut)
            except SinkFailed as error:
                raise error.error from error
            except (DeviceError, Silent, OSError) as error:
                await self._lost(sink, f"{place}: {error}")
            finally:
                self._device = None
                device.close()
            await asyncio.sleep(delay_s * random.uniform(0.7, 1.3))
            delay_s = min(2 * delay_s, RETRY_S_MAX)

    async def _live(
        self, device: Device, mirror: Mirror, sink: Sink, options: BacnetOptions, place: str,
        is_cut: bool,
    ) -> None:  # fmt: skip
        """Reads all values once, then takes what comes and polls the rest, until it is silent."""
        items = {item.object: item for item in mirror.items}
        handles = sink.handles((i.twin, i.point) for i in mirror.items).tolist()
        at = dict(zip(items, handles, strict=True))
        told = await self._subscribe_all(device, mirror.items, options)
        await self._poll(device, mirror.items, at, sink, options, is_all=True)
        polled = [item for item in mirror.items if item.object not in told]
        detail = (
            f"{place}: {len(items)} points, {len(told)} told by the device,"
            f" {len(polled)} polled every {options.poll_s:g} s"
        )
        if is_cut:
            detail += f"; only the first {options.max_objects} objects (option 'max_objects')"
        await self._say(sink, LinkState.LIVE, detail)
        tasks = [
            asyncio.create_task(self._receive(device, items, at, sink)),
            asyncio.create_task(self._renew(device, told, options)),
            asyncio.create_task(self._watch(device, mirror, polled, at, sink, options)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):  # it would tell nobody for `lifetime_s`
                    await asyncio.gather(*(device.unsubscribe(o) for o in told))
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _subscribe_all(
        self, device: Device, items: Sequence[Item], options: BacnetOptions
    ) -> list[Any]:
        """Objects whose changes the device tells; what it will not tell of is polled."""
        from mirrorworld.connectors.bacnet_device import DeviceError

        told: list[Any] = []
        if options.cov == "off":
            return told
        refused: dict[str, int] = {}
        for item in items:
            if refused.get(item.object_type, 0) >= 3:
                continue  # this device does not tell of objects of this type
            try:
                await device.subscribe(
                    item.object, options.lifetime_s, is_confirmed=options.cov == "confirmed"
                )
            except DeviceError:
                refused[item.object_type] = refused.get(item.object_type, 0) + 1
            else:
                told.append(item.object)
            await asyncio.sleep(options.pause_ms / 1000)
        return told

    async def _renew(self, device: Device, told: Sequence[Any], options: BacnetOptions) -> None:
        """Subscribes anew before the subscriptions run out."""
        from mirrorworld.connectors.bacnet_device import DeviceError

        while True:
            await asyncio.sleep(options.lifetime_s / 2)
            for identifier in told:
                with contextlib.suppress(DeviceError):
                    await device.subscribe(
                        identifier, options.lifetime_s, is_confirmed=options.cov == "confirmed"
                    )
                await asyncio.sleep(options.pause_ms / 1000)

    async def _receive(
        self, device: Device, items: dict[Any, Item], at: dict[Any, int], sink: Sink
    ) -> None:
        """Hands over what the device tells, all that has come at once."""
        while True:
            batch = [await device.notifications.get()]
            while not device.notifications.empty():
                batch.append(device.notifications.get_nowait())
            builder = FrameBuilder()
            changed: list[tuple[Item, Any]] = []
            for identifier, values in batch:
                item = items.get(identifier)
                if item is None:
                    sink.count("foreign_notifications")
                    continue
                self._add(builder, item, at[identifier], values, sink)
                changed.append((item, values.get("status-flags")))
            if len(builder):
                await sink.push(builder.build())
            for item, flags in changed:
                await self._note_alarm(device, item, flags, sink)

    async def _watch(
        self, device: Device, mirror: Mirror, polled: Sequence[Item], at: dict[Any, int],
        sink: Sink, options: BacnetOptions,
    ) -> None:  # fmt: skip
        """Polls, looks now and then whether a notification was missed, and whether it lives."""
        clock = asyncio.get_running_loop().time
        next_poll, next_all = clock() + options.poll_s, clock() + options.refresh_s
        next_beat = clock() + options.heartbeat_s
        while True:
            now = clock()
            if now >= next_all:
                await self._poll(device, mirror.items, at, sink, options, is_all=False)
                next_all = clock() + options.refresh_s
                next_beat = next_poll = clock() + min(options.poll_s, options.heartbeat_s)
            elif polled and now >= next_poll:
                await self._poll(device, polled, at, sink, options, is_all=False)
                next_poll = clock() + options.poll_s
            elif now >= next_beat:
                await device.beat()
                next_beat = clock() + options.heartbeat_s
            due = min(next_all, next_beat, next_poll if polled else next_all)
            await asyncio.sleep(max(due - clock(), 0.01))

    async def _poll(
        self, device: Device, items: Sequence[Item], at: dict[Any, int], sink: Sink,
        options: BacnetOptions, *, is_all: bool,
    ) -> None:  # fmt: skip
        """Reads values and hands over those that are other than before (or all)."""
        values = await device.facts([(i.object, OF_VALUE) for i in items], options.pause_ms / 1000)
        builder = FrameBuilder()
        for item, told in zip(items, values, strict=True):
            if not told:
                sink.count("unreadable_values")
            self._add(builder, item, at[item.object], told, sink, only_news=not is_all)
        if len(builder):
            await sink.push(builder.build())
        for item, told in zip(items, values, strict=True):
            await self._note_alarm(device, item, told.get("status-flags"), sink)

    def _add(
        self, builder: FrameBuilder, item: Item, handle: int, told: dict[str, Any], sink: Sink,
        *, only_news: bool = False,
    ) -> None:  # fmt: skip
        from mirrorworld.connectors.bacnet_model import quality, sample_value

        if "present-value" not in told:
            return
        code = quality(told.get("status-flags"))
        try:
            value = sample_value(told["present-value"], item.kind)
            news = (item.kind, value, code)
            if only_news and self._last.get(handle) == news:
                return
            builder.add(handle, item.kind, value, sink.now_ns(), code)
        except (TypeError, ValueError, OverflowError):
            sink.count("wrong_type")
            return
        self._last[handle] = news

    # --- alarms

    async def _note_alarm(self, device: Device, item: Item, flags: Any, sink: Sink) -> None:
        """Reports an object that goes into alarm or leaves it (intrinsic reporting, §13.2)."""
        if not flags:
            return
        id_, is_active = f"{item.twin}/alarm/{item.point}", bool(flags[0])
        if is_active is (id_ in self._alarms):
            return
        from mirrorworld.connectors.bacnet_device import DeviceError

        state: dict[str, Any] = {}
        with contextlib.suppress(DeviceError):
            (state,) = await device.facts([(item.object, ("event-state", "description"))])
        word = str(state.get("event-state") or ("offnormal" if is_active else "normal"))
        about = str(state.get("description") or item.point)[:200]
        (self._alarms.add if is_active else self._alarms.discard)(id_)
        await sink.event(
            Event(
                id_,
                item.twin,
                "alarm",
                Text.of(f"{about}: {word}", "en"),
                Severity.HIGH if word in ("fault", "life-safety-alarm") else Severity.MEDIUM,
                is_active=is_active,
                source_ns=sink.now_ns(),
                properties=(Property("point", item.point), Property("event_state", word)),
            )
        )

    # --- standing

    async def _say(self, sink: Sink, state: LinkState, detail: str) -> None:
        since_ns = self.link.since_ns if self.link.state is state else sink.now_ns()
        was, self.link = self.link.state, Link(state, detail, since_ns)
        is_lost = state is not LinkState.LIVE
        if is_lost is self._told_lost or (is_lost and was is not LinkState.LIVE):
            return
        self._told_lost = is_lost
        await sink.event(
            Event(
                f"{self.config.name}/link",
                self.config.name,
                "source_lost" if is_lost else "source_live",
                Text.of(detail, "en"),
                Severity.MEDIUM if is_lost else Severity.INFO,
                is_active=is_lost,
                source_ns=sink.now_ns(),
            )
        )

    async def _lost(self, sink: Sink, detail: str) -> None:
        """Says so, and of every value that it is the last usable one."""
        was_live = self.link.state is LinkState.LIVE
        await self._say(sink, LinkState.LOST, detail)
        if not was_live:
            return
        builder, now_ns = FrameBuilder(), sink.now_ns()
        for handle, (kind, value, _) in self._last.items():
            builder.add(handle, kind, value, now_ns, UNCERTAIN_LAST_USABLE)
        self._last.clear()
        if len(builder):
            await sink.push(builder.build())

    # --- writing

    async def write(self, command: Command) -> Command:
        """Writes a present value at the priority of the option, or relinquishes it there."""
        _, _, options = self._settings()
        device = self._device
        if device is None or self.link.state is not LinkState.LIVE:
            return _answer(command, CommandState.FAILED, f"not connected: {self.link.detail}")
        from mirrorworld.connectors.bacnet_device import DeviceError, Silent

        point, value = command.point, command.value
        if command.operation == "relinquish":
            point, value = str(dict(command.arguments).get("point") or ""), None
        elif command.operation:
            why = f"{command.twin}: a BACnet device has no operation '{command.operation}'"
            return _answer(command, CommandState.REFUSED, why)
        item = self._items.get((command.twin, point))
        place = f"{command.twin}.{point}"
        if item is None:
            return _answer(command, CommandState.REFUSED, f"{place}: no object of that name")
        if not item.is_commandable:
            why = f"{place}: an object of type {item.object_type} cannot be written"
            return _answer(command, CommandState.REFUSED, why)
        try:
            given = None if value is None else _to_write(value, item.kind, place)
            left_s = (command.expires_ns - time.time_ns()) / 1e9 if command.requested_ns else 60.0
            async with asyncio.timeout(min(max(left_s, 0.1), 60.0)):
                await device.write(item.object, given, options.priority)
        except ValueError as error:
            return _answer(command, CommandState.REFUSED, str(error))
        except DeviceError as error:
            why = f"{place}: the device refused ({error.word})"
            return _answer(command, CommandState.REFUSED, why)
        except (Silent, TimeoutError, OSError):
            why = f"{place}: no answer in time; whether the device acted on it is not known"
            return _answer(command, CommandState.FAILED, why)
        said = f"the device took it at priority {options.priority}"
        if command.operation:
            return _answer(command, CommandState.CONFIRMED, f"relinquished: {said}")
        return _answer(command, CommandState.SENT, said)

    # --- configuration

    def _settings(self) -> tuple[str, int, BacnetOptions]:
        try:
            import bacpypes3  # noqa: F401
        except ImportError as error:
            raise SourceError(
                "BACnet needs bacpypes3, which is not installed: pip install 'mirrorworld[bacnet]'"
            ) from error
        return checked(self.config)

    async def _opened(self, make: Any) -> Device:
        """A device at the host's address, which is looked up first.

        Raises:
            SourceError: our own address (option 'bind') is none.
        """
        host, port, options = self._settings()
        try:
            loop = asyncio.get_running_loop()
            (found, *_) = await loop.getaddrinfo(
                host, port, family=socket.AF_INET, type=socket.SOCK_DGRAM
            )
        except OSError as error:
            raise SourceError(
                f"bacnet://{host}: there is no such host ({error.strerror})"
            ) from error
        try:
            return make(str(found[4][0]))
        except (OSError, ValueError) as error:
            raise SourceError(
                f"{self.config.name}: option bind='{options.bind}': {error}"
            ) from error


def _to_write(value: Scalar, kind: Kind, place: str) -> Any:
    """A desired value as the object takes it.

    Raises:
        ValueError: it does not fit.
    """
    if kind is Kind.TEXT:
        return str(value)
    if isinstance(value, str) or value is None:
        raise ValueError(f"{place}: {value!r:.40} is not a number")
    if kind is Kind.FLOAT:
        return float(value)
    if float(value) != int(value) or int(value) < 0:
        raise ValueError(f"{place}: {value!r} is not a whole number from 0")
    if kind is Kind.BOOL and int(value) > 1:
        raise ValueError(f"{place}: {value!r} is neither 0 nor 1")
    if kind is Kind.ENUM and int(value) < 1:
        raise ValueError(f"{place}: states are counted from 1")
    return int(value)


def _answer(command: Command, state: CommandState, detail: str) -> Command:
    return dataclasses.replace(command, state=state, detail=detail, decided_ns=time.time_ns())


def _shown(value: Any) -> Scalar:
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)[:200]
