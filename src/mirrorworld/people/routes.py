"""The routes of meetings: the line that people meet on, and what is asked about meetings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Response, WebSocket
from starlette.websockets import WebSocketDisconnect

from mirrorworld.people import voice
from mirrorworld.people.hub import Hub, Refusing
from mirrorworld.people.line import Line
from mirrorworld.people.recording import Recordings
from mirrorworld.people.room import Seat
from mirrorworld.people.shelf import Kept, Shelf
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import (
    CLOSE_PUT_OUT,
    MEET_PATH,
    MESSAGE_BYTES_MAX,
    RECORDINGS_PATH,
)
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.doors import CLOSE_NO_SESSION
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import PROBLEMS, answers
from mirrorworld.server.sight import Sight
from mirrorworld.server.stream import CLOSE_PROTOCOL, HELLO_S
from mirrorworld.trust.accounts import Grant
from mirrorworld.world.ports import Action

log = logging.getLogger(__name__)
router = APIRouter(tags=["people"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

_INVALID_COST: Final = 3.0
_recordings: weakref.WeakKeyDictionary[Hub, Recordings] = weakref.WeakKeyDictionary()
_hubs: weakref.WeakKeyDictionary[object, Hub] = weakref.WeakKeyDictionary()


def hub_of(context: Context) -> Hub:
    """The meetings of what an application serves."""
    hub = _hubs.get(context.views)
    if hub is None:
        hub = _hubs[context.views] = Hub(context)
        host = context.network.host if context.network else "127.0.0.1"
        try:
            settings = voice.Settings.of_environment(host)
        except ValueError as error:
            log.error("%s; voice does without", error)
            settings = voice.Settings(host)
        voice.Voices(hub, settings, can_forward=voice.can_forward())
        record = getattr(context.mirror.record, "directory", None)
        if record is not None:
            try:
                _recordings[hub] = Recordings(hub, Shelf.of_world(record.parent))
            except ValueError as error:
                log.error("%s; meetings are not recorded", error)
    return hub


@router.get(
    MEET_PATH, summary="How many people meet now", responses=answers(shapes.MeetingNow, "Numbers")
)
async def now(here: Here, view: Seen) -> Response:
    """Who they are is told to those who join, by WebSocket at the same address."""
    hub = hub_of(here)
    return json_answer(shapes.MeetingNow(hub.people, len(hub.rooms), dict(hub.tally)))


@router.post(
    f"{MEET_PATH}/links",
    status_code=201,
    summary="Make a link by which guests join",
    responses=answers(shapes.GuestLinkMade, "The link, shown this once", 201),
)
async def make_link(
    here: Here,
    view: Seen,
    asked: Annotated[shapes.GuestLinkRequest, Body(examples=[{"role": "viewer"}])],
) -> Response:
    """Whoever opens it is asked for a name and has a session with this role until it ends."""
    _may_invite(here, view)
    for place in filter(None, (asked.place, asked.subtree)):
        asking.twin(here.mirror.world, view, place)
    id, secret = here.accounts.guests.make_link(
        Grant(asked.role, asked.subtree),
        asked.place,
        by=view.who.id,
        lasts_s=asked.lasts_hours * 3600,
    )
    return json_answer(shapes.GuestLinkMade(id, f"/welcome?guest={secret}"), 201)


@router.get(
    f"{MEET_PATH}/links",
    summary="Links by which guests may join",
    responses=answers(shapes.GuestLinksPage, "Without what opens"),
)
async def links(here: Here, view: Seen) -> Response:
    """With how many came by each."""
    _may_invite(here, view)
    rows = here.accounts.guests.links()
    return json_answer(shapes.GuestLinksPage([shapes.GuestLink(**row) for row in rows]))


@router.delete(
    f"{MEET_PATH}/links/{{id}}",
    status_code=204,
    summary="Take a link back",
    responses={204: {"description": "Whoever came by it is out"}, **PROBLEMS},
)
async def take_back(here: Here, view: Seen, id: str) -> Response:
    """Their sessions end at once."""
    _may_invite(here, view)
    if not here.accounts.guests.take_back(id, by=view.who.id):
        raise Refused(404, "there is no such link", "id", f"GET {MEET_PATH}/links lists them")
    return Response(status_code=204)


_ARROW: Final = "application/vnd.apache.arrow.stream"
_BYTES: Final = "application/octet-stream"
_NONE: Final = f"GET {RECORDINGS_PATH} lists those that are yours to see"


@router.get(
    RECORDINGS_PATH,
    summary="Meetings that were recorded",
    responses=answers(shapes.MeetingRecordingsPage, "Those that one was in; the owner's are all"),
)
async def recordings(here: Here, view: Seen) -> Response:
    """The latest first."""
    kept = _recordings.get(hub_of(here))
    rows = await asyncio.to_thread(kept.shelf.all) if kept else []
    shown = [each.detail.recording for each in rows if _is_theirs(here, view, each)]
    return json_answer(shapes.MeetingRecordingsPage(shown))


@router.get(
    f"{RECORDINGS_PATH}/{{id}}",
    summary="A recording without its poses",
    responses=answers(shapes.MeetingRecordingDetail, "Who was in it and agreed when, and the rest"),
)
async def recording(here: Here, view: Seen, id: str) -> Response:
    """Chat, raised hands, and the moments that were looked at."""
    _, found = await _found(here, view, id)
    return json_answer(found.detail)


@router.get(
    f"{RECORDINGS_PATH}/{{id}}/poses",
    summary="Where people were in a recording",
    responses={
        **PROBLEMS,
        200: {
            "description": "An Arrow IPC stream: time, number of the person, millimetres, turns",
            "content": {_ARROW: {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def recorded_poses(here: Here, view: Seen, id: str) -> Response:
    """Turns are unit quaternions times 32767; null: no such hand, or no ray."""
    kept, _ = await _found(here, view, id)
    try:
        content = await asyncio.to_thread(kept.shelf.poses, id)
    except KeyError as error:
        raise Refused(404, "there is no such recording", "id", _NONE) from error
    named = {"Content-Disposition": f'attachment; filename="meeting-{id}.arrows"'}
    return Response(content, media_type=_ARROW, headers=named)


@router.get(
    f"{RECORDINGS_PATH}/{{id}}/frames",
    summary="A minute of a recording, to be played",
    responses={
        **PROBLEMS,
        200: {
            "description": "Frames of poses as in a meeting, each after its length (u32)",
            "content": {_BYTES: {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def recorded_frames(here: Here, view: Seen, id: str, from_ms: float) -> Response:
    """The first have where those stood who had moved before."""
    kept, _ = await _found(here, view, id)
    if not abs(from_ms) < 1e14:
        raise Refused(422, "that is no time", "from_ms", "give Unix milliseconds")
    try:
        content = await asyncio.to_thread(kept.shelf.frames, id, from_ms)
    except KeyError as error:
        raise Refused(404, "there is no such recording", "id", _NONE) from error
    return Response(content, media_type=_BYTES)


@router.delete(
    f"{RECORDINGS_PATH}/{{id}}",
    status_code=204,
    summary="Delete a recording",
    responses={204: {"description": "It is gone; one that ran has ended"}, **PROBLEMS},
)
async def delete_recording(here: Here, view: Seen, id: str) -> Response:
    """Whoever was in it may: it is how one takes back that one agreed."""
    kept, _ = await _found(here, view, id)
    try:
        await kept.delete(id)
    except KeyError as error:
        raise Refused(404, "there is no such recording", "id", _NONE) from error
    await asyncio.to_thread(here.accounts.note, view.who.id, "meeting recording deleted", id)
    return Response(status_code=204)


async def _found(here: Context, view: Sight, id: str) -> tuple[Recordings, Kept]:
    """A recording that is theirs to see; to others it is as if there were none."""
    kept = _recordings.get(hub_of(here))
    if kept is not None:
        with contextlib.suppress(KeyError):
            found = await asyncio.to_thread(kept.shelf.read, id)
            if _is_theirs(here, view, found):
                return kept, found
    raise Refused(404, "there is no such recording", "id", _NONE)


def _is_theirs(here: Context, view: Sight, kept: Kept) -> bool:
    """Of those who were in it, by whatever token of theirs; and of who owns the world."""
    person = view.who.id.partition("/")[0]
    may = here.mirror.guard.may(view.who, Action.ADMINISTER, "", "meeting", here.mirror.now_ns())
    return person in kept.who or may.allowed


def _may_invite(here: Context, view: Sight) -> None:
    may = here.mirror.guard.may(view.who, Action.ADMINISTER, "", "meeting", here.mirror.now_ns())
    if not may.allowed:
        raise Refused(403, may.reason or f"{view.who.id} may not invite", "links", "ask the owner")


@router.websocket(MEET_PATH)
async def meet(socket: WebSocket) -> None:
    """One person's line."""
    await socket.accept()
    context: Context = socket.app.state.context
    who = socket.state.principal
    if not context.sights.of(who).sees(""):
        await socket.close(4403, f"{who.id} may not see this world")
        return
    try:
        async with asyncio.timeout(HELLO_S):
            join = shapes.read_client(await _hear(socket))
    except (TimeoutError, ValueError):
        join = None
    except WebSocketDisconnect:
        return
    if not isinstance(join, shapes.Join):
        await socket.close(CLOSE_PROTOCOL, "the first message is Join")
        return
    hub, line = hub_of(context), Line(socket)
    try:
        seat = hub.join(line, who, context.accounts.guests.name_of(who.id), join)
    except Refusing as error:
        await socket.close(CLOSE_PUT_OUT, f"{error}; {error.said.mend}")
        return
    speaking = asyncio.create_task(line.run())
    hearing = asyncio.create_task(_listen(hub, seat, line, socket))
    code = 1006
    try:
        await asyncio.wait((speaking, hearing), return_when=asyncio.FIRST_COMPLETED)
        if hearing.done() and not hearing.cancelled() and hearing.exception() is None:
            code = hearing.result()
    finally:
        hub.lost(seat, line, is_for_good=code in (1000, 1001, CLOSE_NO_SESSION))
        if hearing.done() and code == 1000:
            # What was said last, as why they have to go, is still sent.
            line.close(1000, "")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(speaking), 1.0)
        for task in (speaking, hearing):
            task.cancel()
        await asyncio.gather(speaking, hearing, return_exceptions=True)


async def _listen(hub: Hub, seat: Seat, line: Line, socket: WebSocket) -> int:
    """Hears a person until their line ends; the code that it ended with."""
    while seat.line is line:
        try:
            message = await _hear(socket)
        except WebSocketDisconnect as end:
            return end.code
        try:
            if isinstance(message, bytes):
                hub.pose(seat, message)
            else:
                hub.follow(seat, _read(message))
        except Refusing as error:
            if error.said.place == "message":
                hub.tally["invalid"] += 1
                hub.strike(seat, _INVALID_COST)
            hub.refuse(seat, error)
    return 1000


def _read(text: str) -> shapes.MeetClientMessage:
    if len(text) > MESSAGE_BYTES_MAX:
        raise Refusing(f"a message has {MESSAGE_BYTES_MAX} bytes at most", "message")
    try:
        return shapes.read_client(text)
    except (ValueError, RecursionError) as error:
        raise Refusing(str(error)[:300], "message") from error


async def _hear(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    return text if text is not None else message.get("bytes") or b""
