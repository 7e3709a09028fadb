"""Alarms of one OPC UA server, kept up to date, and what people say to them (OPC 10000-9).

Subscribes to the events of the Server object, to which a server reports all conditions, within
the subscription that carries the values. After each connection the server is asked to tell all
conditions anew (ConditionRefresh, §5.5.7); what it does not tell any more is over.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from asyncua import ua

from mirrorworld.connectors import opcua_conditions as conditions
from mirrorworld.connectors.opcua_failures import status_name
from mirrorworld.connectors.opcua_model import Mirror
from mirrorworld.connectors.opcua_session import Session
from mirrorworld.connectors.opcua_subscription import Subscription
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.model import Property, Text
from mirrorworld.world.ports import Sink, SourceError

EVENT_HANDLE: Final = 0xFFFF_FF00
"""Client handle of the item of events; those of values count from 0."""
QUEUE_SIZE: Final = 10_000
CONDITIONS_MAX: Final = 100_000

_ids = ua.ObjectIds
_METHODS: Final = {
    "acknowledge": _ids.AcknowledgeableConditionType_Acknowledge,
    "confirm": _ids.AcknowledgeableConditionType_Confirm,
    "shelve_once": _ids.ShelvedStateMachineType_OneShotShelve,
    "shelve": _ids.ShelvedStateMachineType_TimedShelve,
    "unshelve": _ids.ShelvedStateMachineType_Unshelve,
}


class Alarms:
    """The conditions of one server.

    Args:
        source: the source's name, which is also the server's twin.
        file: where the conditions that are open are remembered; None: nowhere.
    """

    def __init__(self, source: str, sink: Sink, file: Path | None) -> None:
        self.source, self.sink = source, sink
        self.mirror: Mirror | None = None
        self.conditions: dict[str, conditions.Condition] = {}
        self._file = file
        self._open: dict[str, str] = self._remembered()
        """Twin by id of the conditions that the server has not ended."""
        self._told: set[str] | None = None
        """While a refresh is under way: what it has told so far."""
        self._asked: dict[str, tuple[Property, ...]] = {}
        """By id: who has acknowledged it here."""
        self._session: Session | None = None
        self._subscription = 0
        self._item_of = 0
        """The subscription that has the item of events."""

    # --- listening

    async def attach(self, session: Session, subscription: Subscription, mirror: Mirror) -> None:
        """Listens within a subscription and asks for all conditions.

        A server without alarms refuses, and is let alone: `alarms_refused` is counted.
        """
        self.mirror, self._session = mirror, session
        if self._item_of != subscription.id:
            self._item_of = 0
            for only_conditions in (True, False):
                if await self._listen(session, subscription.id, only_conditions):
                    self._item_of = subscription.id
                    break
            else:
                self.sink.count("alarms_refused")
                return
        self._subscription = subscription.id
        await self.refresh()

    async def refresh(self) -> None:
        """Asks the server to tell all conditions that it retains."""
        if self._session is None:
            return
        arguments = [ua.Variant(self._subscription, ua.VariantType.UInt32)]
        method = _ids.ConditionType_ConditionRefresh
        try:
            status = await self._call(ua.NodeId(_ids.ConditionType), method, arguments)
        except SourceError:  # what is wrong with the connection, others will find
            status = ua.StatusCodes.BadTimeout
        if status >> 31:
            self._told = None
            self.sink.count("condition_refresh_refused")

    async def take(self, data: bytes, spans: Sequence[tuple[int, int]]) -> None:
        """Takes the lists of events of a message.

        Raises:
            DecodeError: they are malformed.
        """
        for start, end in spans:
            for fields in conditions.fields_of(data, start, end):
                await self._one(fields)

    async def _one(self, fields: dict[str, Any]) -> None:
        kind = fields.get("EventType")
        if kind == conditions.REFRESH_START:
            self._told = set()
        elif kind == conditions.REFRESH_END:
            await self._end_untold()
        elif kind == conditions.REFRESH_REQUIRED:
            await self.refresh()
        else:
            assert self.mirror is not None and self._session is not None
            found = conditions.condition_of(
                fields,
                self.source,
                self._session.server.namespaces,
                self.mirror.places,
                self.sink.now_ns(),
            )
            if found is not None:
                await self._report(found)

    async def _report(self, found: conditions.Condition) -> None:
        event = found.event
        if event.id not in self.conditions and len(self.conditions) >= CONDITIONS_MAX:
            self.sink.count("conditions_beyond_limit")
            return
        if event.is_acknowledged and event.id in self._asked:
            by = self._asked[event.id]
            event = dataclasses.replace(event, properties=(*event.properties, *by))
        elif not event.is_acknowledged and not event.is_active:
            self._asked.pop(event.id, None)
        self.conditions[event.id] = found
        if self._told is not None:
            self._told.add(event.id)
        if found.retain:
            self._remember(event.id, event.twin)
        else:
            self._forget(event.id)
            self._asked.pop(event.id, None)
        await self._send(event)

    async def _end_untold(self) -> None:
        """Ends the conditions that a whole refresh has not told: they went while nobody heard."""
        told, self._told = self._told, None
        if told is None:
            return
        for id_, twin in [(i, t) for i, t in self._open.items() if i not in told]:
            known = self.conditions.get(id_)
            before = known.event if known is not None else None
            message = Text.of("the server no longer reports it", "en")
            ended = Event(id_, twin, "alarm", message, Severity.INFO, source_ns=self.sink.now_ns())
            if before is not None:
                ended = dataclasses.replace(
                    before, is_active=False, is_acknowledged=True, source_ns=ended.source_ns
                )
            self._forget(id_)
            await self._send(ended)

    async def _send(self, event: Event) -> None:
        try:
            await self.sink.event(event)
        except ValueError:  # its twin was refused: the server's own carries it
            with contextlib.suppress(ValueError):
                await self.sink.event(dataclasses.replace(event, twin=self.source))

    async def _listen(self, session: Session, subscription: int, only_conditions: bool) -> bool:
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = subscription
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = [
            ua.MonitoredItemCreateRequest(
                ItemToMonitor=ua.ReadValueId(
                    NodeId=ua.NodeId(_ids.Server), AttributeId=ua.AttributeIds.EventNotifier
                ),
                MonitoringMode=ua.MonitoringMode.Reporting,
                RequestedParameters=ua.MonitoringParameters(
                    ClientHandle=EVENT_HANDLE,
                    SamplingInterval=0,
                    Filter=conditions.event_filter(only_conditions=only_conditions),
                    QueueSize=QUEUE_SIZE,
                    DiscardOldest=True,
                ),
            )
        ]
        try:
            answer = await session.service(request, ua.CreateMonitoredItemsResponse)
        except ua.UaStatusCodeError:
            return False
        (result,) = answer.Results
        return result.StatusCode.is_good()

    # --- speaking

    async def act(
        self, event_id: str, action: str, *, comment: str = "", duration_s: float = 0.0
    ) -> None:
        """Calls a method of a condition: acknowledge, confirm, shelve, shelve_once, unshelve.

        Raises:
            SourceError: the condition is not known, or the server did not do it.
        """
        found = self.conditions.get(event_id)
        if found is None or self._session is None:
            raise SourceError(f"{event_id}: the server has not told of this condition; try again")
        arguments: list[ua.Variant] = []
        node = found.node
        if action in ("acknowledge", "confirm"):
            arguments = [
                ua.Variant(found.event_id, ua.VariantType.ByteString),
                ua.Variant(ua.LocalizedText(comment), ua.VariantType.LocalizedText),
            ]
        elif action == "shelve":
            arguments = [ua.Variant(duration_s * 1000, ua.VariantType.Double)]
        if action.endswith(("shelve", "shelve_once")):
            node = await self._part(node, "ShelvingState") or node
        status = await self._call(node, _METHODS[action], arguments)
        if status >> 30:
            name = status_name(status)
            hint = _HINTS.get(name, "")
            raise SourceError(f"{event_id}: the server did not {action} it ({name}){hint}")
        if "shelve" in action:
            await self.refresh()  # not every server reports a change of shelving by itself

    async def acknowledge(self, event: Event, comment: str) -> None:
        """Tells the server that a person has seen a condition.

        Raises:
            SourceError: the server did not take it.
        """
        before = self._asked.get(event.id)
        by = tuple(p for p in event.properties if p.name == "acknowledged_by")
        self._asked[event.id] = by  # the report may come before the answer to the call
        try:
            await self.act(event.id, "acknowledge", comment=comment)
        except SourceError:
            self._asked.pop(event.id, None)
            if before is not None:
                self._asked[event.id] = before
            raise

    async def _part(self, node: ua.NodeId, name: str) -> ua.NodeId | None:
        """A component of a node by name, where the server shows it."""
        assert self._session is not None
        try:
            (found,) = await self._session.browse([node])
        except (ua.UaError, OSError, TimeoutError):
            return None
        return next((r.NodeId for r in found if r.BrowseName.Name == name), None)

    async def _call(self, node: ua.NodeId, method: int, arguments: list[ua.Variant]) -> int:
        """Status of a method call.

        Raises:
            SourceError: there is no connection, or no answer.
        """
        request = ua.CallRequest()
        request.Parameters.MethodsToCall = [
            ua.CallMethodRequest(
                ObjectId=node, MethodId=ua.NodeId(method), InputArguments=arguments
            )
        ]
        assert self._session is not None
        try:
            answer = await self._session.service(request, ua.CallResponse)
            (result,) = answer.Results
        except ua.UaStatusCodeError as error:
            return error.code
        except (ua.UaError, OSError, TimeoutError, ValueError) as error:
            raise SourceError(
                f"{self.source}: no answer to a call of a condition's method; whether the server"
                f" acted on it, its next report says ({error or type(error).__name__})"
            ) from error
        return int(result.StatusCode.value)

    # --- what is remembered over a restart

    def _remember(self, id_: str, twin: str) -> None:
        if self._open.get(id_) != twin:
            self._open[id_] = twin
            self._write()

    def _forget(self, id_: str) -> None:
        if self._open.pop(id_, None) is not None:
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self._open))
            new.replace(self._file)

    def _remembered(self) -> dict[str, str]:
        if self._file is None:
            return {}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return {str(k): str(v) for k, v in json.loads(self._file.read_text()).items()}
        return {}


_HINTS: Final = {
    "BadConditionBranchAlreadyAcked": ": someone has acknowledged it already",
    "BadConditionBranchAlreadyConfirmed": ": someone has confirmed it already",
    "BadEventIdUnknown": ": it has changed meanwhile; look again",
    "BadConditionAlreadyShelved": ": it is shelved already",
    "BadConditionNotShelved": ": it is not shelved",
    "BadShelvingTimeOutOfRange": ": the server allows a shorter time only",
    "BadUserAccessDenied": ": this login may not",
}
