"""Notes, drawings, photos and tasks: what they are made of, and the line on which they are written.

`/api/author` is a WebSocket of JSON texts; each message has its name under `"@"`, bytes are in
base64. A page says Begin with the states of the documents that it holds, and gets a Document for
each that it may see: what it lacks, and up to where the server knows. Then both send updates as
they come. A Write is answered by Took once it is durable; others are told by Wrote, and never of
what is not durable. Moving and Moves are of the moment: what somebody holds while they arrange the
plant. They are in no document and no log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mirrorworld.protocol import messages

AUTHOR_PATH: Final = "/api/author"
MESSAGE_BYTES_MAX: Final = 400 << 10

# --- what a document is made of ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a note."""

    author: str
    created: float
    """Unix milliseconds, by the author's clock; the log has the server's."""
    text: str


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line drawn on a part."""

    author: str
    created: float
    colour: float
    """0, 1, … 5: one of the page's. A CRDT knows no whole numbers."""
    points: list[float]
    """x, y, z after another in whole millimetres, from the note's place, in the twin's frame."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture that was taken; the file itself is at `/api/blobs/SHA256`."""

    author: str
    created: float
    sha256: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote or drew on a twin."""

    author: str
    created: float
    at: list[float]
    """x, y, z in metres in the twin's own frame, y up, so that the note follows the part."""
    text: str
    strokes: dict[str, Stroke] = field(default_factory=dict[str, Stroke])
    photos: dict[str, Photo] = field(default_factory=dict[str, Photo])
    replies: dict[str, Reply] = field(default_factory=dict[str, Reply])
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """Something to be done about a twin."""

    author: str
    created: float
    title: str
    owner: str = ""
    """Who does it; "": nobody yet."""
    state: str = "open"
    """One of TASK_STATES."""
    due: str = ""
    """A date, 2026-11-30."""
    note: str = ""
    """The id of the note that it is about."""


TASK_STATES: Final = ("open", "doing", "done", "dropped")


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A note with where it is."""

    twin: str
    id: str
    note: Note


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task with where it is."""

    twin: str
    id: str
    task: Task


@dataclass(frozen=True, slots=True)
class NotesPage:
    """Notes, the latest first."""

    notes: list[NoteRow]
    is_cut: bool = False
    """Whether there are more than were asked for."""


@dataclass(frozen=True, slots=True)
class TasksPage:
    """Tasks, the latest first."""

    tasks: list[TaskRow]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """One step of the history of a twin's notes."""

    position: str
    by: str
    at_ms: float
    said: list[str]
    """What changed, a line for each thing."""


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """The history of a twin's notes, the latest first."""

    rows: list[Written]


@dataclass(frozen=True, slots=True)
class LayoutStep:
    """One edit of where things stand."""

    position: str
    by: str
    at_ms: float
    said: str
    """placed, moved, turned, deleted, or `took back`."""
    twins: list[str]
    """The first of them, those that were meant before their parts."""
    n_twins: int
    reason: str = ""
    is_undone: bool = False
    """Somebody took it back since."""
    may_undo: bool = False
    """It is one's own, and young enough to be taken back."""


@dataclass(frozen=True, slots=True)
class LayoutPage:
    """Edits of where things stand, the latest first."""

    rows: list[LayoutStep]


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """An update of a twin's document, by REST."""

    twin: str
    update: str
    """Base64."""


# --- from page to server ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message."""

    states: dict[str, str] = field(default_factory=dict[str, str])
    """By twin: the state vector of the document that the page holds."""


@dataclass(frozen=True, slots=True)
class Write:
    """An update of a twin's document."""

    id: int
    """Comes back in the answer."""
    twin: str
    update: str


@dataclass(frozen=True, slots=True)
class Moving:
    """What the person holds in arranging, and how far from where it stands. Said again every few
    seconds while it is held."""

    twins: list[str]
    """None: nothing is held."""
    dx_m: float = 0.0
    dz_m: float = 0.0
    is_arranging: bool = True
    """False: the person no longer arranges."""


AuthorMessage = Begin | Write | Moving

# --- from server to page ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Began:
    """Every Document has been sent."""

    me: str
    """Whose name new notes have to bear."""
    may_write: bool
    """Whether one may write about anything at all."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a page lacks of a twin's document, and what of it the server has."""

    twin: str
    update: str
    state: str


@dataclass(frozen=True, slots=True)
class Wrote:
    """Somebody else's update; it is durable."""

    twin: str
    update: str
    by: str


@dataclass(frozen=True, slots=True)
class Took:
    """A Write is durable."""

    id: int
    position: str


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A Write was refused: the page has to begin anew with that document."""

    id: int
    twin: str
    detail: str
    mend: str = ""
    lacks: bool = False
    """Nothing is wrong with it, but something before it never came: what the page holds is sent
    again once it has begun anew."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A document is no more, or no more shown: the page has to forget it."""

    twin: str


@dataclass(frozen=True, slots=True)
class Moves:
    """What somebody else holds, of what one sees; none: they let go, or are gone."""

    page: int
    """Tells apart who arranges: one person may on two pages."""
    by: str
    twins: list[str]
    dx_m: float
    dz_m: float


AuthorAnswer = Began | Document | Wrote | Took | NotTaken | Gone | Moves


_PAGE: Final = messages.by_name(AuthorMessage)
_SERVER: Final = messages.by_name(AuthorAnswer)


def encode(message: AuthorAnswer | AuthorMessage) -> str:
    """A message as it travels."""
    return messages.encode(message).decode()


def read_client(text: bytes | str) -> AuthorMessage:
    """A message of a page; ValueError where it is none, or too long."""
    if len(text) > MESSAGE_BYTES_MAX:
        raise ValueError(f"a message of {len(text)} bytes; {MESSAGE_BYTES_MAX} are read")
    return messages.read(text, _PAGE)


def read_server(text: bytes | str) -> AuthorAnswer:
    """A message of a server; ValueError where it is none."""
    return messages.read(text, _SERVER)
