"""The messages of a meeting, `/api/meet`: who is here, what they look at, what they say.

A line of its own beside the stream of values. Text frames are JSON with the message's name under
`"@"`; binary frames are poses (`poses.py`). A page says Join, gets Joined with all who are here,
and from there what changes: what is told of one person is told together once a tick, the newest
of each. Nothing of it is written down by the server, unless all in the room have agreed to a
recording (`RecordingNow`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mirrorworld.protocol import messages
from mirrorworld.protocol.messages import Ping, Pong, Refusal

MEET_PATH: Final = "/api/meet"
RECORDINGS_PATH: Final = "/api/meet/recordings"
MEETING_VERSION: Final = 1
POSE_HZ: Final = 10
"""How often a page tells where it is, while it moves."""
NAME_MAX: Final = 40
CHAT_MAX: Final = 1_000
"""Characters of a line of chat."""
CHAT_KEPT: Final = 200
SIGNAL_BYTES_MAX: Final = 48 << 10
MESSAGE_BYTES_MAX: Final = 64 << 10
REASON_MAX: Final = 200
"""Characters of why somebody asks for a recording."""

CLOSE_ELSEWHERE: Final = 4409
"""The same person has joined by another line."""
CLOSE_PUT_OUT: Final = 4410
"""A moderator has put them out."""
CLOSE_FLOOD: Final = 4429
"""They sent more than a meeting can take."""


# --- from page to server --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Join:
    """The first message of a line."""

    name: str
    """How they are to be called; "": as their account is."""
    key: str
    """Made by the page, 16 to 64 characters: who comes again with it is the same person."""
    place: str = ""
    """The twin whose room they enter; "": the whole world's."""
    id: int = 0
    """The number that they had, wanted again after the server was started anew."""


@dataclass(frozen=True, slots=True)
class Stance:
    """What is new about oneself; null: as it was."""

    name: str | None = None
    selected: str | None = None
    """The twin that is selected; "": none."""
    is_muted: bool | None = None
    is_hand_raised: bool | None = None
    is_own_way: bool | None = None
    """Does not follow the meeting's time, branch and presenter for now."""
    follows: int | None = None
    """Whose camera theirs follows; 0: nobody's."""


@dataclass(frozen=True, slots=True)
class Go:
    """Moves to the room of a twin; "": that of the whole world."""

    place: str


@dataclass(frozen=True, slots=True)
class Say:
    """A line of chat, plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Bring:
    """Asks others to come; who follows comes at once."""

    to: list[int] = field(default_factory=list)
    """Empty: all in the room."""


@dataclass(frozen=True, slots=True)
class Present:
    """Begins or ends to present: all who have no own way follow."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class SetMoment:
    """Shows another moment or branch to all who have no own way."""

    source_ms: float | None
    """Source time, Unix milliseconds; null: live."""
    speed: float = 0.0
    branch: str = ""
    """"": the world itself."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What two pages agree on between each other, as voice; carried as it is."""

    to: int
    """A person of the same room; 0: the server's own forwarder, if there is one."""
    kind: str
    data: str


@dataclass(frozen=True, slots=True)
class PutOut:
    """Puts a person out; for moderators."""

    id: int


@dataclass(frozen=True, slots=True)
class AskRecording:
    """Asks all in the room whether it may be recorded; for who may write here, guests excepted.
    Who asks has agreed."""

    reason: str


@dataclass(frozen=True, slots=True)
class AnswerRecording:
    """One's own answer. Who says nothing until it is due has not agreed."""

    id: str
    """Of `RecordingNow`: an answer to another question is none."""
    is_agreed: bool


@dataclass(frozen=True, slots=True)
class StopRecording:
    """Ends the recording, or takes back the question; anybody in the room may."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Goes for good. A line that is only lost is waited for a while."""


# --- from server to page --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attendee:
    """A person who is here."""

    id: int
    name: str
    account: str
    """By which they were let in; "": a guest."""
    role: str
    place: str
    selected: str
    """"": nothing, or nothing that who is told may see."""
    is_muted: bool
    hand: int
    """Place in the row of raised hands, from 1; 0: not raised."""
    is_away: bool
    """Their line is lost, and waited for."""
    is_own_way: bool
    follows: int


@dataclass(frozen=True, slots=True)
class Moment:
    """What the room looks at: since `at_ms` of the server's clock, this time at this speed."""

    source_ms: float | None
    speed: float
    branch: str
    by: int
    """Who chose it; 0: nobody yet."""
    at_ms: float


@dataclass(frozen=True, slots=True)
class Said:
    """A line of chat."""

    number: int
    by: int
    name: str
    text: str
    at_ms: float


@dataclass(frozen=True, slots=True)
class Entered:
    """The room that one is in now, with all that is going on in it."""

    place: str
    moment: Moment
    presenter: int
    chat: list[Said]


@dataclass(frozen=True, slots=True)
class Joined:
    """The line is open. Entered follows, then poses."""

    version: int
    id: int
    name: str
    now_ms: float
    is_moderator: bool
    people: list[Attendee]
    """All who are here, in whatever room; oneself too."""
    may_record: bool = False
    """One may ask the others for a recording."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """Who is new or changed, and who has left."""

    put: list[Attendee]
    gone: list[int]


@dataclass(frozen=True, slots=True)
class Presenting:
    """Who presents in this room; 0: nobody."""

    id: int


@dataclass(frozen=True, slots=True)
class Brought:
    """Somebody asks one to come."""

    by: int
    is_now: bool
    """One follows them: no question is needed."""


@dataclass(frozen=True, slots=True)
class RecordingNow:
    """How it stands with the recording of this room; told to all in it whenever that changes.

    What is kept from then on: names, poses, chat, raised hands and the moment that is shown; no
    voices. Only while `state` is "on".
    """

    state: str
    """"asking": nothing is kept yet. "on". "paused": somebody has come and is asked; nothing is
    kept meanwhile. "ended": `detail` says why."""
    id: str
    by: int
    """Who asked for it."""
    by_name: str
    reason: str
    due_ms: float
    """When the first who has not answered has said no, by the server's clock; 0: none is asked."""
    waits_for: list[int]
    """Who has yet to answer."""
    since_ms: float
    """Since when something is kept; 0: nothing is."""
    days: int
    """After so many it is deleted by itself."""
    detail: str = ""
    """Why it ended: "not agreed", "no answer", "stopped", "all left", "too long", "too large",
    "deleted", "disk". Never who: a no is nobody's to explain."""


@dataclass(frozen=True, slots=True)
class Signalled:
    """What another page said to this one."""

    by: int
    kind: str
    data: str


MeetClientMessage = (
    Join | Stance | Go | Say | Bring | Present | SetMoment | Signal | PutOut | AskRecording
    | AnswerRecording | StopRecording | Leave | Ping
)  # fmt: skip
MeetServerMessage = (
    Joined | Entered | Attendance | Said | Moment | Presenting | Brought | RecordingNow
    | Signalled | Pong | Refusal
)  # fmt: skip

_CLIENT: Final = messages.by_name(MeetClientMessage)
_SERVER: Final = messages.by_name(MeetServerMessage)


def encode(message: MeetClientMessage | MeetServerMessage) -> str:
    """A message as JSON."""
    return messages.encode(message).decode()


def read_client(text: str | bytes) -> MeetClientMessage:
    """What a page said. Raises ValueError: it is no message; the text names the field."""
    return messages.read(text, _CLIENT)


def read_server(text: str | bytes) -> MeetServerMessage:
    """What a server said. Raises ValueError as `read_client`."""
    return messages.read(text, _SERVER)


# --- REST -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GuestLinkRequest:
    """A link by which others join as guests, with a name that they are asked for."""

    role: str = "viewer"
    subtree: str = ""
    """The part of the world that they may see; "": all of it."""
    place: str = ""
    """The twin whose room it leads to."""
    lasts_hours: float = 8.0


@dataclass(frozen=True, slots=True)
class GuestLinkMade:
    """The link, told this once."""

    id: str
    path: str
    """Below the server's address."""


@dataclass(frozen=True, slots=True)
class GuestLink:
    """A link that is open."""

    id: str
    role: str
    subtree: str
    place: str
    by: str
    expires_ns: int
    guests: int
    """How many came by it."""


@dataclass(frozen=True, slots=True)
class GuestLinksPage:
    """Links that are open."""

    links: list[GuestLink]


@dataclass(frozen=True, slots=True)
class MeetingNow:
    """What goes on now, without names."""

    people: int
    rooms: int
    counts: dict[str, int]
    """What was taken, limited and dropped since the server started."""


@dataclass(frozen=True, slots=True)
class RecordedPerson:
    """Somebody in a recording, who agreed to it."""

    number: int
    """By which the recording tells them apart, from 1."""
    name: str
    account: str
    """"": a guest."""
    agreed_ms: float
    left_ms: float | None
    """null: they were there to the end."""


@dataclass(frozen=True, slots=True)
class MeetingRecording:
    """A meeting that was recorded."""

    id: str
    place: str
    """The twin whose room it was; "": the whole world's."""
    reason: str
    by: int
    """Number of who asked for it."""
    began_ms: float
    ended_ms: float
    """So far, while it is on."""
    detail: str
    """Why it ended, as in `RecordingNow`, or "server stopped"; "": it is on."""
    deleted_ms: float
    """When it is deleted by itself."""
    bytes: int
    people: list[RecordedPerson]


@dataclass(frozen=True, slots=True)
class MeetingRecordingsPage:
    """Recordings, the latest first."""

    recordings: list[MeetingRecording]


@dataclass(frozen=True, slots=True)
class RecordedName:
    """What somebody called themselves from then on."""

    at_ms: float
    person: int
    name: str


@dataclass(frozen=True, slots=True)
class RecordedChat:
    """A line of chat."""

    at_ms: float
    person: int
    text: str


@dataclass(frozen=True, slots=True)
class RecordedHand:
    """A hand that was raised or taken down."""

    at_ms: float
    person: int
    is_raised: bool


@dataclass(frozen=True, slots=True)
class RecordedMoment:
    """What the room looked at from then on; see `Moment`."""

    at_ms: float
    person: int
    """Who chose it; 0: somebody who was gone before the recording began, or nobody."""
    source_ms: float | None
    speed: float
    branch: str


@dataclass(frozen=True, slots=True)
class RecordedPause:
    """Nothing was kept in between: somebody had come and was asked."""

    at_ms: float
    until_ms: float


@dataclass(frozen=True, slots=True)
class MeetingRecordingDetail:
    """All of a recording but its poses, each list by time."""

    recording: MeetingRecording
    names: list[RecordedName]
    chat: list[RecordedChat]
    hands: list[RecordedHand]
    moments: list[RecordedMoment]
    pauses: list[RecordedPause]
