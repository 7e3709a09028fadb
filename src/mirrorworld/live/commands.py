"""The command road: from what a person wants to what the source reports.

requested (durable) -> sent -> confirmed by the source's own report; or refused, failed, expired.
Every step is a change in the log. Nothing that is not armed is ever sent; nothing is ever sent
late, after a restart or to a source that is not live; nothing is sent twice.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import uuid
from typing import Final

import numpy as np

from mirrorworld.live.pipeline import Pipeline, Refused
from mirrorworld.live.sources import Source, Sources
from mirrorworld.live.typed import typed
from mirrorworld.world.changes import Arm, Change, Command, CommandState, Origin, OriginKind
from mirrorworld.world.frames import decode
from mirrorworld.world.model import Kind, PointType, Scalar, point_id
from mirrorworld.world.ports import Action, LinkState, Principal
from mirrorworld.world.quality import severity
from mirrorworld.world.world import World

log = logging.getLogger(__name__)

TIMEOUT_MS_MAX: Final = 3_600_000
RELATIVE_TOLERANCE: Final = 1e-6
"""How near a report must be to the value asked for: sources often keep float32."""


class CommandRoad:
    """Carries commands of one world."""

    def __init__(self, pipeline: Pipeline, sources: Sources) -> None:
        self._pipeline, self._sources = pipeline, sources
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_ns: dict[tuple[str, str], int] = {}
        self._reported = asyncio.Event()
        self._watched: dict[str, int] = {}
        pipeline.listeners.append(self._listen)

    async def start(self) -> None:
        """Ends what a restart has interrupted: nothing from before is ever sent."""
        for command in list(self._world.commands.values()):
            if command.state is CommandState.REQUESTED:
                await self._step(command, CommandState.EXPIRED, "restarted before it was sent")
            elif command.state is CommandState.SENT:
                await self._step(
                    command, CommandState.EXPIRED, "restarted before the source reported"
                )

    async def stop(self) -> None:
        """Stops carrying; open commands stay as they are and expire at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def _world(self) -> World:
        return self._pipeline.world

    async def request(
        self,
        who: Principal,
        command: Command,
        *,
        unit: str = "",
        is_confirmed: bool = False,
        wait: bool = False,
    ) -> Command:
        """Takes a command; returns it as it then stands: requested and durable, or refused.

        Args:
            command: what is wanted (twin, point and value, or operation and arguments), why and
                with what time-out; its id, times, person and state are set here.
            unit: UCUM unit of the value; "" is the point's own.
            is_confirmed: the person has said yes a second time.
            wait: return only when the command has come to its end.

        Raises:
            ValueError: there is no such twin, point or operation.
            OSError: it could not be made durable, and is not sent.
        """
        command = dataclasses.replace(
            command,
            id=command.id or uuid.uuid4().hex,
            by=who.id,
            requested_ns=self._pipeline.now_ns(),
            state=CommandState.REQUESTED,
            detail="",
            results=(),
            decided_ns=self._pipeline.now_ns(),
        )
        if command.id in self._world.commands:
            return self._world.commands[command.id]
        if command.twin not in self._world.structure.twins:
            raise ValueError(f"{command.twin}: no such twin")
        if bool(command.point) == bool(command.operation):
            raise ValueError(f"{command.twin}: name a point to set or an operation to call")
        try:
            self._pipeline.ask(who, Action.COMMAND, command.twin)
            command, source = self._check(command, unit, is_confirmed=is_confirmed)
        except (Refused, _Interlock) as no:
            return await self._step(command, CommandState.REFUSED, str(no))
        self._last_ns[command.twin, command.point or command.operation] = command.requested_ns
        command = await self._step(command, CommandState.REQUESTED, "")
        task = asyncio.create_task(self._carry(command, source), name=f"command {command.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if wait:
            await asyncio.shield(task)
        return self._world.commands[command.id]

    # --- interlocks ---

    def _check(self, command: Command, unit: str, *, is_confirmed: bool) -> tuple[Command, Source]:
        """The command with its value as the point wants it, and the source to send it to."""
        structure = self._world.structure
        name = command.point or command.operation
        place = point_id(command.twin, name)
        if not 1 <= command.timeout_ms <= TIMEOUT_MS_MAX:
            raise ValueError(f"{place}: a time-out is 1 ms to {TIMEOUT_MS_MAX // 60_000} min")
        if command.point:
            handle = structure.handle(command.twin, command.point)
            command = self._typed(place, command, structure.point(handle)[1], unit)
        elif name not in {o.name for o in structure.operations_of(command.twin)}:
            raise ValueError(f"{place}: no such operation")
        arm = structure.arms.get((command.twin, name))
        if arm is None:
            raise _Interlock(f"{place} is read-only: an engineer has to arm it first")
        self._interlock(place, arm, command, is_confirmed=is_confirmed)
        source = self._sources.of_twin(command.twin)
        if source is None:
            raise _Interlock(f"{place}: the source that it came from is not there any more")
        if source.link.state is not LinkState.LIVE:
            raise _Interlock(
                f"{place}: {source.name} is {source.link.state.value}; nothing is kept for later,"
                " ask again when it is live"
            )
        return command, source

    def _typed(self, place: str, command: Command, kind: PointType, unit: str) -> Command:
        try:
            value = typed(place, command.value, kind, unit)
        except ValueError as error:
            raise _Interlock(str(error)) from None
        return dataclasses.replace(command, value=value)

    def _interlock(self, place: str, arm: Arm, command: Command, *, is_confirmed: bool) -> None:
        world = self._world
        name = command.point or command.operation
        value = command.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            if (arm.low is not None and value < arm.low) or (
                arm.high is not None and value > arm.high
            ):
                raise _Interlock(f"{place}: {value} is outside the armed {arm.low} to {arm.high}")
            if arm.max_step is not None:
                now = self._known(command.twin, name, place)
                if not isinstance(now, int | float) or abs(value - now) > arm.max_step:
                    raise _Interlock(
                        f"{place}: {value} is more than the armed step of {arm.max_step} from {now}"
                    )
        last_ns = self._last_ns.get((command.twin, name))
        waited_ms = math.inf if last_ns is None else (command.requested_ns - last_ns) / 1e6
        if waited_ms < arm.min_interval_ms:
            raise _Interlock(
                f"{place}: the last command was {waited_ms:.0f} ms ago;"
                f" it is armed for one every {arm.min_interval_ms} ms"
            )
        exclusive = {(command.twin, name), *arm.excludes}
        for other in world.commands.values():
            if other.state.is_final:
                continue
            if (other.twin, other.point or other.operation) in exclusive:
                raise _Interlock(
                    f"{place}: {point_id(other.twin, other.point or other.operation)} has an open"
                    f" command of {other.by}"
                )
        for twin, point, wanted in arm.only_while:
            if self._known(twin, point, place) != wanted:
                raise _Interlock(f"{place}: only while {point_id(twin, point)} is {wanted}")
        if arm.must_confirm and not is_confirmed:
            raise _Interlock(f"{place}: must be confirmed by a second yes")

    def _known(self, twin: str, point: str, place: str) -> Scalar:
        """The good latest value of a point that an interlock depends on."""
        try:
            handle = self._world.structure.handle(twin, point)
        except KeyError as error:
            raise _Interlock(f"{place}: its interlock names an unknown point: {error}") from None
        quality = int(self._world.read(np.array([handle], np.uint32)).quality[0])
        value = self._world.value(handle)
        if severity(quality) != "good" or not isinstance(value, bool | int | float | str):
            raise _Interlock(
                f"{place}: {point_id(twin, point)} is not good, so it cannot be checked"
            )
        return value

    # --- carrying ---

    async def _carry(self, command: Command, source: Source) -> None:
        """Sends a durable command and waits for the source's report."""
        try:
            if self._pipeline.now_ns() >= command.expires_ns:
                await self._step(command, CommandState.EXPIRED, "timed out before it was sent")
                return
            if source.link.state is not LinkState.LIVE:
                await self._step(command, CommandState.FAILED, f"{source.name} was lost; not sent")
                return
            answer = await self._write(command, source)
            if answer.state is CommandState.CONFIRMED:
                # A call is answered by the source itself; that it was sent is a step all the same.
                command = await self._step(command, CommandState.SENT, "")
            command = await self._step(
                dataclasses.replace(command, results=answer.results), answer.state, answer.detail
            )
            if command.state is CommandState.SENT:
                await self._await_report(command)
        except OSError as error:
            # Not durable, so not sent or not to be told: the pipeline takes nothing any more.
            log.error("command %s: %s", command.id, error)
        except Exception as error:
            log.exception("command %s", command.id)
            await self._step(command, CommandState.FAILED, f"{type(error).__name__}: {error}")

    async def _write(self, command: Command, source: Source) -> Command:
        left_s = (command.expires_ns - self._pipeline.now_ns()) / 1e9
        try:
            async with asyncio.timeout(left_s):
                return await source.connector.write(command)
        except TimeoutError:
            detail = f"{source.name} did not answer within {command.timeout_ms} ms"
        except Exception as error:
            # Whatever a connector raises, the command has an end and a reason.
            detail = f"{source.name}: {type(error).__name__}: {error}"
        return dataclasses.replace(command, state=CommandState.FAILED, detail=detail)

    async def _await_report(self, command: Command) -> None:
        if command.operation:
            await self._step(command, CommandState.CONFIRMED, "the source took the call")
            return
        handle = self._world.structure.handle(command.twin, command.point)
        self._watched[command.id] = handle
        try:
            async with asyncio.timeout((command.expires_ns - self._pipeline.now_ns()) / 1e9):
                while not self._is_reported(command, handle):
                    self._reported.clear()
                    await self._reported.wait()
        except TimeoutError:
            pass
        finally:
            del self._watched[command.id]
        if self._is_reported(command, handle):
            await self._step(command, CommandState.CONFIRMED, "reported by the source")
            return
        known = self._world.value(handle)
        await self._step(
            command,
            CommandState.EXPIRED,
            f"sent, but within {command.timeout_ms} ms the source reported only {known!r}",
        )

    def _is_reported(self, command: Command, handle: int) -> bool:
        """Whether the source says that the value is now so. A source that reports by exception
        says nothing where the value was so already; then what it said last counts."""
        one = self._world.read(np.array([handle], np.uint32))
        if severity(int(one.quality[0])) != "good" or one.changed[0] < 0:
            return False
        kind = Kind(int(self._world.kinds[handle]))
        known = decode(kind, self._world.heap(handle) if kind.is_heap else int(one.cell[0]))
        wanted = command.value
        if isinstance(known, float) and isinstance(wanted, int | float):
            return math.isclose(known, wanted, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-9)
        return known == wanted

    def _listen(self, change: Change) -> None:
        if self._watched and change.origin.kind is OriginKind.MEASURED:
            self._reported.set()

    async def _step(self, command: Command, state: CommandState, detail: str) -> Command:
        """Puts the next step of a command into the log and waits until it is durable."""
        now_ns = self._pipeline.now_ns()
        command = dataclasses.replace(command, state=state, detail=detail, decided_ns=now_ns)
        origin = Origin(OriginKind.DESIRED, command.by)
        applied = self._pipeline.apply(Change(command, origin, now_ns))
        if applied.change is not None and applied.change.position is not None:
            await self._pipeline.until_durable(applied.change.position.sequence)
        return command


class _Interlock(Exception):
    """A command must not be sent; the message says why."""
