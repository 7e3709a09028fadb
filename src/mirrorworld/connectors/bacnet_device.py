"""One BACnet device over BACnet/IP: what it is asked, and what it says by itself.

Knows bacpypes3 and nothing of twins. Speaks to one address only: what others send to this socket
is dropped and counted. It offers no objects and takes no requests besides notifications.
"""

# bacpypes3's annotations describe its own metaclasses, not the values that it takes and gives.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from bacpypes3 import apdu
from bacpypes3.basetypes import ErrorType, PropertyIdentifier, PropertyReference
from bacpypes3.errors import UnrecognizedService
from bacpypes3.ipv4.app import NormalApplication
from bacpypes3.local.device import DeviceObject
from bacpypes3.pdu import IPv4Address
from bacpypes3.primitivedata import Null, ObjectIdentifier, ObjectType
from bacpypes3.vendor import get_vendor_info

WILDCARD_INSTANCE: Final = 4_194_303
"""Stands for whichever device is asked (ASHRAE 135 §15.5.2)."""

OWN_INSTANCE: Final = 4_194_302
PROCESS: Final = 4711
"""Identifies our subscriptions at the device."""

OBJECTS_PER_REQUEST: Final = 12
WAITING_MAX: Final = 1000
"""Notifications that may wait to be handed over; beyond, they are dropped and counted."""

# It logs whatever it cannot decode with a traceback; what matters is counted here.
logging.getLogger("bacpypes3").setLevel(logging.CRITICAL)


class DeviceError(Exception):
    """The device said no; `word` is the standard's word for why."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Silent(Exception):
    """The device does not answer."""


Notification = tuple[Any, dict[str, Any]]
"""(object identifier, values by property name)"""


class _Application(NormalApplication):
    """The stack below, listening to one device."""

    def __init__(self, device: DeviceObject, local: IPv4Address, owner: Device) -> None:
        super().__init__(device, local)
        self._owner = owner

    async def indication(self, apdu: Any) -> None:
        if apdu.pduSource != self._owner.address:
            self._owner.count("foreign_datagrams", 1)
            return
        try:
            await super().indication(apdu)
        except Exception:  # what it sent decodes as far as it does, and no further
            self._owner.count("malformed_messages", 1)

    async def do_ConfirmedCOVNotificationRequest(self, request: Any) -> None:
        """Taken first, then confirmed: the device keeps it otherwise."""
        if self._owner.notified(request):
            await self.response(apdu.SimpleAckPDU(context=request))

    async def do_UnconfirmedCOVNotificationRequest(self, request: Any) -> None:
        self._owner.notified(request)

    async def do_ReadPropertyRequest(self, apdu: Any) -> None:
        raise UnrecognizedService("nothing to read here")

    async def do_ReadPropertyMultipleRequest(self, apdu: Any) -> None:
        raise UnrecognizedService("nothing to read here")

    async def do_WritePropertyRequest(self, apdu: Any) -> None:
        raise UnrecognizedService("nothing to write here")

    async def do_WritePropertyMultipleRequest(self, apdu: Any) -> None:
        raise UnrecognizedService("nothing to write here")

    async def do_WhoIsRequest(self, apdu: Any) -> None:
        """Not answered: this is no device."""

    async def do_WhoHasRequest(self, apdu: Any) -> None:
        """Not answered: this is no device."""


class Device:
    """A device at an address.

    Args:
        host, port: where it is.
        local: address (and port) to speak from; "": that which leads there, any port.
        timeout_s: how long an answer is waited for; each request is sent twice.

    Attributes:
        notifications: what came by itself, bounded.
        known: the device's instance, once it is known.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        local: str = "",
        timeout_s: float = 3.0,
        count: Callable[[str, int], None] = lambda what, n: None,
    ) -> None:
        self.address = IPv4Address((host, port))
        self.count = count
        self.timeout_s = timeout_s
        self.notifications: asyncio.Queue[Notification] = asyncio.Queue(WAITING_MAX)
        self.known = WILDCARD_INSTANCE
        self._vendor = get_vendor_info(0)
        self._has_rpm = True
        here, _, own_port = local.partition(":")
        own = DeviceObject(
            objectIdentifier=("device", OWN_INSTANCE),
            objectName="mirrorworld",
            vendorIdentifier=0,
            apduTimeout=int(timeout_s * 1000),
            numberOfApduRetries=1,
        )
        here = here or _address_towards(host, port)
        self._app = _Application(own, IPv4Address((here, int(own_port or 0))), self)

    def close(self) -> None:
        """Lets go of the socket."""
        self._app.close()

    # --- asking

    async def instance(self) -> int:
        """The device's own number."""
        found = await self.read(
            ObjectIdentifier(("device", WILDCARD_INSTANCE)), "object-identifier"
        )
        return int(found[1])

    async def beat(self) -> None:
        """Asks the least that there is.

        Raises:
            DeviceError, Silent: it is not the device that it was; nobody answers.
        """
        await self.read(ObjectIdentifier(("device", self.known)), "object-identifier")

    async def objects(self, instance: int, limit: int) -> tuple[list[Any], bool]:
        """(identifiers of its objects, whether there are more than `limit`)."""
        device = ObjectIdentifier(("device", instance))
        n = int(await self.read(device, "object-list", 0))
        if n <= limit:
            with contextlib.suppress(DeviceError):
                return list(await self.read(device, "object-list")), False
        # Too long for one message of a device that cannot cut messages up: one by one.
        found: list[Any] = []
        for i in range(1, min(n, limit) + 1):
            found.append(await self.read(device, "object-list", i))
        return found, n > limit

    async def read(self, identifier: Any, name: str, index: int | None = None) -> Any:
        """One property, or one element of it.

        Raises:
            DeviceError, Silent: it cannot be read; nobody answers.
        """
        return await self._asked(
            self._app.read_property(self.address, identifier, PropertyIdentifier(name), index)
        )

    async def facts(
        self, wanted: Sequence[tuple[Any, Iterable[str]]], pause_s: float = 0.0
    ) -> list[dict[str, Any]]:
        """Properties of objects by name; those that cannot be read are left out."""
        found: list[dict[str, Any]] = []
        at, size = 0, OBJECTS_PER_REQUEST
        while at < len(wanted):
            part = wanted[at : at + size]
            if not self._has_rpm:
                found += [await self._one_by_one(*each) for each in part]
            else:
                try:
                    found += await self._multiple(part)
                except DeviceError as error:
                    if error.word in ("unrecognized-service", "service-request-denied"):
                        self._has_rpm = False
                    elif size > 1:
                        size = (size + 1) // 2  # the answer was too long
                    else:
                        found.append(await self._one_by_one(*part[0]))
                        at += 1
                    continue
            at += len(part)
            await asyncio.sleep(pause_s)
        return found

    async def subscribe(self, identifier: Any, lifetime_s: int, *, is_confirmed: bool) -> None:
        """Asks to be told of changes (ASHRAE 135 §13.14), or once more before it runs out.

        Raises:
            DeviceError, Silent: it does not tell of this object; nobody answers.
        """
        request = apdu.SubscribeCOVRequest(
            subscriberProcessIdentifier=PROCESS,
            monitoredObjectIdentifier=identifier,
            issueConfirmedNotifications=is_confirmed,
            lifetime=lifetime_s,
            destination=self.address,
        )
        await self._asked(self._app.request(request))

    async def unsubscribe(self, identifier: Any) -> None:
        """Asks not to be told any more; what fails runs out by itself."""
        request = apdu.SubscribeCOVRequest(
            subscriberProcessIdentifier=PROCESS,
            monitoredObjectIdentifier=identifier,
            destination=self.address,
        )
        with contextlib.suppress(DeviceError, Silent):
            await self._asked(self._app.request(request))

    async def write(self, identifier: Any, value: Any, priority: int) -> None:
        """Writes a present value into the priority array; None relinquishes (§19.2).

        Raises:
            DeviceError, Silent: it did not take it; whether it did is not known.
        """
        given = Null(()) if value is None else value
        await self._asked(
            self._app.write_property(
                self.address, identifier, PropertyIdentifier("present-value"), given, None, priority
            )
        )

    async def _one_by_one(self, identifier: Any, names: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names:
            with contextlib.suppress(DeviceError):
                found[name] = await self.read(identifier, name)
        return found

    async def _multiple(self, wanted: Sequence[tuple[Any, Iterable[str]]]) -> list[dict[str, Any]]:
        asked: list[Any] = []
        for identifier, names in wanted:
            asked += [
                identifier,
                [PropertyReference(propertyIdentifier=PropertyIdentifier(n)) for n in names],
            ]
        answer = await self._asked(
            self._app.read_property_multiple(self.address, asked, self._vendor)
        )
        by_object: dict[Any, dict[str, Any]] = {identifier: {} for identifier, _ in wanted}
        for identifier, name, _, value in answer or ():
            if identifier in by_object and not isinstance(value, ErrorType) and value is not None:
                by_object[identifier][str(name)] = value
        return [by_object[identifier] for identifier, _ in wanted]

    async def _asked(self, call: Any) -> Any:
        """The answer to a request; errors of the stack (which are BaseExceptions) in our words."""
        try:
            async with asyncio.timeout(3 * self.timeout_s + 1):
                answer = await call
        except TimeoutError as error:
            raise Silent("no answer in time") from error
        except apdu.ErrorRejectAbortNack as error:
            answer = error
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise DeviceError(f"undecodable answer ({error})") from error
        if isinstance(answer, apdu.ErrorRejectAbortNack):
            word = _word(answer)
            if word in ("no-response", "apdu-timeout", "tsm-timeout"):
                raise Silent("no answer in time") from answer
            raise DeviceError(word) from answer
        return answer

    # --- being told

    def notified(self, request: Any) -> bool:
        """Takes a notification; False if there is no room, so that it is sent again."""
        if int(request.subscriberProcessIdentifier) != PROCESS:
            self.count("foreign_notifications", 1)
            return True
        identifier = request.monitoredObjectIdentifier
        object_class = self._vendor.get_object_class(identifier[0])
        values: dict[str, Any] = {}
        for element in request.listOfValues:
            kind = object_class and object_class.get_property_type(element.propertyIdentifier)
            if kind is None:
                continue
            try:
                values[str(element.propertyIdentifier)] = element.value.cast_out(kind)
            except Exception:
                self.count("malformed_messages", 1)
        try:
            self.notifications.put_nowait((identifier, values))
        except asyncio.QueueFull:
            self.count("notifications_dropped", 1)
            return False
        return True


def identifier_of(object_type: str, instance: int) -> Any:
    """An object identifier."""
    return ObjectIdentifier((object_type, instance))


def type_name(identifier: Any) -> str:
    """The standard's name of an object's type."""
    kind = identifier[0]
    return str(kind) if isinstance(kind, ObjectType) else str(ObjectType(kind))


def _word(error: Any) -> str:
    """The standard's word for an error, a reject or an abort."""
    for name in ("errorCode", "apduAbortRejectReason"):
        word = getattr(error, name, None)
        if word is not None:
            return str(word)
    return str(error) or type(error).__name__


def _address_towards(host: str, port: int) -> str:
    """Our own address on the way to a host. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return str(probe.getsockname()[0])
