"""Being in a meeting of a world from a program: a bot that watches, says and points.

Blocking; a thread of its own hears. Poses are in metres of the scene: x to the right, y upwards,
z towards the viewer.
"""

from __future__ import annotations

import contextlib
import math
import queue
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mirrorworld.client.errors import ClientError, NotAllowedError, UnreachableError
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import Attendee, Said, encode
from mirrorworld.protocol.poses import (
    STRAIGHT,
    UNIT,
    Body,
    Pose,
    Turn,
    Vector,
    decode_poses,
    encode_pose,
)
from mirrorworld.protocol.rest import Problem

if TYPE_CHECKING:
    import pyarrow as pa

JOIN_S: Final = 60.0
HEARD_MAX: Final = 1_000
"""Lines of chat that wait to be asked for; the oldest are let go."""
EYES_M: Final = 1.7


class Meeting:
    """A meeting that one is in, until it is closed; a context manager.

    Args:
        url: of the server.
        headers: that open its doors.
        name: how one is called; "": as one's account is.
        place: the twin whose room one enters; "": the whole world's.

    Raises:
        UnreachableError: no server answers.
        NotAllowedError: it does not let one in; the problem says why.
    """

    def __init__(self, url: str, headers: Mapping[str, str], name: str, place: str) -> None:
        self.id = 0
        self._people: dict[int, Attendee] = {}
        self._bodies: dict[int, Body] = {}
        self._moment: shapes.Moment | None = None
        self._recording: shapes.RecordingNow | None = None
        self._said: queue.Queue[Said | None] = queue.Queue()
        self._changed = threading.Condition()
        self._is_open = True
        self._why = ""
        self._lines = contextlib.ExitStack()
        address = url.replace("http", "ws", 1) + shapes.MEET_PATH
        try:
            self._socket = self._lines.enter_context(
                connect(
                    address,
                    additional_headers=headers,
                    compression=None,
                    proxy=None,
                    open_timeout=JOIN_S,
                )
            )
            self._send(shapes.Join(name, secrets.token_hex(16), place))
        except InvalidStatus as error:
            raise NotAllowedError(Problem("the server refuses the meeting", address)) from error
        except (OSError, TimeoutError, ConnectionClosed) as error:
            problem = Problem(f"no server answers ({error})", address, "is it running?")
            raise UnreachableError(problem) from error
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()
        if not self.wait(lambda: self._moment is not None, JOIN_S):
            self.close()
            raise NotAllowedError(Problem("the meeting is not to be had", address, self._why))

    # --- who is here ---

    @property
    def people(self) -> list[Attendee]:
        """All who are here, in whatever room, oneself included."""
        with self._changed:
            return sorted(self._people.values(), key=lambda each: each.id)

    def body(self, person: Attendee | int) -> Body | None:
        """Where somebody of this room is; None: not heard yet."""
        id = person if isinstance(person, int) else person.id
        with self._changed:
            return self._bodies.get(id)

    @property
    def moment(self) -> shapes.Moment:
        """The time and branch that the room looks at."""
        assert self._moment is not None
        return self._moment

    @property
    def recording(self) -> shapes.RecordingNow | None:
        """How it stands with the recording of this room; None: there is none, nor is it asked."""
        return self._recording

    def wait(self, is_so: Callable[[], Any], timeout_s: float = 60.0) -> bool:
        """Waits until something is so, looked at whenever something was told; whether it is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_open or bool(is_so()), timeout_s)
            return bool(is_so())

    def hear(self, timeout_s: float | None = None) -> Said | None:
        """The next line of chat of somebody else; None: there was none, or the meeting is over."""
        with contextlib.suppress(queue.Empty):
            return self._said.get(timeout=timeout_s)
        return None

    # --- acting ---

    def stand_at(
        self,
        position: Sequence[float],
        looking_at: Sequence[float] | None = None,
        *,
        pointing_at: Sequence[float] | None = None,
    ) -> None:
        """Says where one is, where one looks and points to."""
        x, y, z = (float(metres) for metres in position)
        pointer = None
        if pointing_at is not None:
            px, py, pz = (float(metres) for metres in pointing_at)
            pointer = ((x, y - 0.4, z), (px, py, pz))
        turn = STRAIGHT if looking_at is None else _turn((x, y, z), looking_at)
        with self._closing():
            self._socket.send(encode_pose(Body(Pose((x, y, z), turn), pointer=pointer)))

    def say(self, text: str) -> None:
        """Writes a line of chat."""
        self._send(shapes.Say(text))

    def select(self, twin: str | None) -> None:
        """Shows the others what one looks at."""
        self._send(shapes.Stance(selected=twin or ""))

    def raise_hand(self, is_raised: bool = True) -> None:
        """Raises one's hand, or takes it down."""
        self._send(shapes.Stance(is_hand_raised=is_raised))

    def show(self, source_ms: float | None, speed: float = 0.0, branch: str = "") -> None:
        """Shows a moment to all who follow; None: the present."""
        self._send(shapes.SetMoment(source_ms, speed, branch))

    def ask_recording(self, reason: str) -> None:
        """Asks all in the room whether it may be recorded; begins once all have agreed."""
        self._send(shapes.AskRecording(reason))

    def answer_recording(self, is_agreed: bool) -> None:
        """Answers the question that is open; without an answer one has not agreed."""
        if self._recording is not None:
            self._send(shapes.AnswerRecording(self._recording.id, is_agreed))

    def stop_recording(self) -> None:
        """Ends the recording of this room."""
        self._send(shapes.StopRecording())

    def close(self) -> None:
        """Leaves the meeting."""
        with contextlib.suppress(ClientError):
            self._send(shapes.Leave())
        self._lines.close()
        if self._thread is not threading.current_thread():
            self._thread.join(5)

    def __enter__(self) -> Meeting:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside ---

    @contextlib.contextmanager
    def _closing(self):
        try:
            yield
        except (ConnectionClosed, OSError) as error:
            raise UnreachableError(Problem(f"the meeting is over ({error})", "meeting")) from error

    def _send(self, message: shapes.MeetClientMessage) -> None:
        with self._closing():
            self._socket.send(encode(message))

    def _hear(self) -> None:
        try:
            for data in self._socket:
                with self._changed:
                    if isinstance(data, bytes):
                        self._bodies |= decode_poses(data).bodies
                    else:
                        self._take(shapes.read_server(data))
                    self._changed.notify_all()
        except (ConnectionClosed, OSError) as error:
            self._why = str(error)
        with self._changed:
            self._is_open = False
            self._said.put(None)
            self._changed.notify_all()

    def _take(self, message: shapes.MeetServerMessage) -> None:
        match message:
            case shapes.Joined(id=id, people=people):
                self.id, self._people = id, {each.id: each for each in people}
            case shapes.Attendance(put=put, gone=gone):
                self._people |= {each.id: each for each in put}
                for id in gone:
                    self._people.pop(id, None)
                    self._bodies.pop(id, None)
            case shapes.Entered(moment=moment):
                self._moment, self._bodies = moment, {}
                self._recording = None
            case shapes.RecordingNow(state=state):
                self._recording = None if state == "ended" else message
            case shapes.Moment():
                self._moment = message
            case Said(by=by) if by != self.id:
                if self._said.qsize() >= HEARD_MAX:
                    self._said.get_nowait()
                self._said.put(message)
            case _:
                pass


def poses_table(content: bytes, detail: shapes.MeetingRecordingDetail) -> pa.Table:
    """The poses of a recording by time: time (UTC), person, name, places in metres, turns as unit
    quaternions; null where there is no such hand, or no ray."""
    import pyarrow as pa

    table = pa.ipc.open_stream(content).read_all().sort_by("time")
    names = {person.number: person.name for person in detail.recording.people}
    names |= {each.person: each.name for each in detail.names}
    people = table["person"].to_pylist()
    columns = {
        "time": table["time"],
        "person": table["person"],
        "name": pa.array([names.get(person, "") for person in people], pa.string()),
    }
    for column in table.column_names[2:]:
        per_one, name = (1e3, f"{column[:-3]}_m") if column.endswith("_mm") else (UNIT, column)
        # NaN: null, as NumPy has it.
        numbers = table[column].to_numpy().astype(float) / per_one
        columns[name] = pa.array(numbers, from_pandas=True)
    return pa.table(columns)


def _turn(position: Vector, target: Sequence[float]) -> Turn:
    """The turn that takes −z to where a target lies, without a tilt."""
    x, y, z = (float(t) - p for t, p in zip(target, position, strict=True))
    yaw, pitch = math.atan2(-x, -z), math.atan2(y, math.hypot(x, z))
    cy, sy = math.cos(yaw / 2), math.sin(yaw / 2)
    cp, sp = math.cos(pitch / 2), math.sin(pitch / 2)
    return (cy * sp, sy * cp, -sy * sp, cy * cp)
