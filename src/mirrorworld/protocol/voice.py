"""What pages and server say to each other about voice, in `Signal`s of the kind `VOICE` to 0.

Sound itself goes by WebRTC: straight between few people, and by way of the server's forwarder
between many. What two pages agree on between them is theirs alone and stands in no class here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mirrorworld.protocol import messages

VOICE: Final = "voice"
MESH_MAX: Final = 8
"""People who speak straight with each other; from one more on there has to be a forwarder."""
VOICE_SLOTS: Final = 6
"""Voices that a forwarder lets one person hear at a time."""


# --- from page to server --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoiceJoin:
    """Wants to hear, and perhaps to speak."""

    page: str
    """Made anew by each joining: who says it again is still in, and their lines stay."""


@dataclass(frozen=True, slots=True)
class VoiceLeave:
    """Hears and speaks no more."""


@dataclass(frozen=True, slots=True)
class VoiceOffer:
    """Offers a line to the forwarder."""

    sdp: str
    epoch: int
    """Which forwarder it is for, as the roster said."""


# --- from server to page --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoicePerson:
    """Somebody who hears."""

    id: int
    join: int
    """Counts how often anybody joined: who comes again has another."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """A server that helps two sides to find each other, named by the owner of the world."""

    urls: str
    username: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True)
class VoiceRoster:
    """Who is in voice in this room, and how they hear each other."""

    way: str
    """straight, or forwarded."""
    epoch: int
    """Of the forwarder; another one wants new offers."""
    people: list[VoicePerson]
    limit: int
    """How many there may be."""
    ice: list[IceServer] = field(default_factory=list[IceServer])


@dataclass(frozen=True, slots=True)
class VoiceRefused:
    """There is no voice for this person now."""

    why: str
    """full: as many as may be are in already. forwarder: it cannot be reached."""


@dataclass(frozen=True, slots=True)
class VoiceAnswer:
    """The forwarder's answer to an offer."""

    sdp: str
    epoch: int


@dataclass(frozen=True, slots=True)
class VoiceSlots:
    """Who speaks in which slot from now on; 0: nobody."""

    slots: list[int]


VoiceClientMessage = VoiceJoin | VoiceLeave | VoiceOffer
VoiceServerMessage = VoiceRoster | VoiceRefused | VoiceAnswer | VoiceSlots

_CLIENT: Final = messages.by_name(VoiceClientMessage)
_SERVER: Final = messages.by_name(VoiceServerMessage)


def encode(message: VoiceClientMessage | VoiceServerMessage) -> str:
    """A message as JSON."""
    return messages.encode(message).decode()


def read_client(text: str | bytes) -> VoiceClientMessage:
    """What a page said. Raises ValueError: it is no message; the text names the field."""
    return messages.read(text, _CLIENT)


def read_server(text: str | bytes) -> VoiceServerMessage:
    """What a server said. Raises ValueError as `read_client`."""
    return messages.read(text, _SERVER)
