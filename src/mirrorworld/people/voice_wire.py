"""What a page and the forwarder agree on before sound flows: session descriptions and checks of a
way, as bytes and text.

The forwarder is an ICE-lite agent (RFC 8445 §2.5): it has one address, gathers nothing, and answers
the checks of pages. Pure functions; knows no sockets.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

OFFER_BYTES_MAX: Final = 48 << 10
SECTIONS_MAX: Final = 16
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""RFC 6464: how loud each packet is, told beside it, so that nothing has to be decoded."""

_MAGIC: Final = 0x2112A442
_REQUEST: Final = 0x0001
_SUCCESS: Final = 0x0101
_USERNAME, _INTEGRITY, _XOR_ADDRESS, _USE, _FINGERPRINT = 0x0006, 0x0008, 0x0020, 0x0025, 0x8028
_HEAD: Final = struct.Struct("!HHI12s")


# --- descriptions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Section:
    """One of the sounds of an offer."""

    mid: str
    direction: str
    """As the page sees it: sendonly is what it speaks, recvonly what it hears."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What the forwarder needs of a page's offer (RFC 8866, RFC 8829)."""

    sections: tuple[Section, ...]
    opus: int
    """Payload type of Opus."""
    level_extension: int
    """Id of the header extension of loudness; 0: none."""
    fingerprint: str
    """Of the page's certificate: SHA-256, upper case with colons."""


def read_offer(sdp: str) -> Offer:
    """Reads an offer.

    Raises:
        ValueError: there is something else in it than the sound of a page; the text says what.
    """
    if len(sdp) > OFFER_BYTES_MAX:
        raise ValueError(f"an offer has {OFFER_BYTES_MAX} characters at most")
    sections: list[Section] = []
    mid, direction, opus, level, fingerprint = "", "sendrecv", 0, 0, ""
    is_inside = False

    def end() -> None:
        if is_inside:
            if not mid or not mid.isalnum() or len(mid) > 16:
                raise ValueError(f"a section of an offer has a short name, not {mid!r:.40}")
            sections.append(Section(mid, direction))

    for line in sdp.splitlines():
        key, _, value = line.partition(":")
        if line.startswith("m="):
            end()
            if not line.startswith("m=audio "):
                raise ValueError(f"voices are forwarded, and nothing else: {line[:40]!r}")
            if len(sections) >= SECTIONS_MAX:
                raise ValueError(f"an offer has {SECTIONS_MAX} sections at most")
            is_inside, mid, direction = True, "", "sendrecv"
        elif key == "a=mid":
            mid = value
        elif line in ("a=sendonly", "a=recvonly", "a=sendrecv", "a=inactive"):
            direction = line[2:]
        elif key == "a=rtpmap" and not opus:
            number, _, codec = value.partition(" ")
            if codec.lower() == "opus/48000/2":
                opus = _number(number, 127)
        elif key == "a=extmap" and not level:
            number, _, uri = value.partition(" ")
            if uri.split(" ")[0] == AUDIO_LEVEL:
                level = _number(number.partition("/")[0], 255)
        elif key == "a=fingerprint":
            algorithm, _, digest = value.partition(" ")
            if algorithm.lower() == "sha-256":
                fingerprint = digest.strip().upper()
    end()
    if not sections or not opus:
        raise ValueError("an offer has a section of sound, with Opus at 48 kHz")
    if len(fingerprint) != 95:
        raise ValueError("an offer has the SHA-256 fingerprint of a certificate")
    return Offer(tuple(sections), opus, level, fingerprint)


def _number(text: str, most: int) -> int:
    if not text.isdecimal() or not 0 < int(text[:4]) <= most:
        raise ValueError(f"a number from 1 to {most} stands here, not {text[:20]!r}")
    return int(text[:4])


def write_answer(
    offer: Offer,
    *,
    ufrag: str,
    password: str,
    fingerprint: str,
    addresses: Sequence[str],
    port: int,
    ssrcs: Sequence[int],
) -> str:
    """The answer to an offer: the forwarder hears what the page speaks, and speaks what it hears.

    Args:
        ssrcs: of the slots, one for each section that the page only receives.
    """
    lines = [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite",
        "a=group:BUNDLE " + " ".join(section.mid for section in offer.sections),
    ]  # fmt: skip
    slots = iter(ssrcs)
    for number, section in enumerate(offer.sections):
        lines += [
            f"m=audio {port} UDP/TLS/RTP/SAVPF {offer.opus}", "c=IN IP4 0.0.0.0",
            f"a=mid:{section.mid}", "a=rtcp-mux", f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}",
            f"a=fingerprint:sha-256 {fingerprint}", "a=setup:passive",
            f"a=rtpmap:{offer.opus} opus/48000/2",
            f"a=fmtp:{offer.opus} minptime=10;useinbandfec=1;usedtx=1;maxaveragebitrate=40000",
        ]  # fmt: skip
        if section.direction == "recvonly":
            ssrc = next(slots)
            lines += [f"a=msid:slot{number} slot{number}", f"a=ssrc:{ssrc} cname:slots"]
            lines.append("a=sendonly")
        else:
            if offer.level_extension:
                lines.append(f"a=extmap:{offer.level_extension} {AUDIO_LEVEL}")
            lines.append("a=inactive" if section.direction == "inactive" else "a=recvonly")
        for rank, address in enumerate(addresses):
            # RFC 8445 §5.1.2.1: type preference 126 of a host, then ours, then component 1.
            priority = (126 << 24) | ((65_535 - rank) << 8) | 255
            lines.append(f"a=candidate:{rank + 1} 1 udp {priority} {address} {port} typ host")
        lines.append("a=end-of-candidates")
    return "\r\n".join(lines) + "\r\n"


# --- checks of a way ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """A page's check of the way to the forwarder, not yet believed."""

    ufrag: str
    """The forwarder's half of the name, by which it knows who asks."""
    is_chosen: bool
    """The page has chosen this way."""
    transaction: bytes
    _signed: bytes
    _digest: bytes

    def is_by(self, password: str) -> bool:
        """Whether who asks knows the password."""
        expected = hmac.new(password.encode(), self._signed, hashlib.sha1).digest()
        return hmac.compare_digest(expected, self._digest)


def is_check(data: bytes) -> bool:
    """Whether a datagram may be of STUN, as told from its first bytes (RFC 7983)."""
    return len(data) >= 20 and data[0] < 4 and data[4:8] == b"\x21\x12\xa4\x42"


def read_check(data: bytes) -> Check:
    """Reads a binding request (RFC 8489).

    Raises:
        ValueError: it is none, or it is not signed.
    """
    kind, length, _, transaction = _HEAD.unpack_from(data)
    if kind != _REQUEST or length != len(data) - 20 or length % 4 or length > 1_000:
        raise ValueError("no binding request")
    at, name, is_chosen = 20, "", False
    while at + 4 <= len(data):
        kind, size = struct.unpack_from("!HH", data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) != size:
            break
        if kind == _USERNAME:
            name = value.decode("ascii", "replace")
        elif kind == _USE:
            is_chosen = True
        elif kind == _INTEGRITY and size == 20:
            # Signed is what stands before, with a length that ends with the signature itself.
            signed = data[:2] + struct.pack("!H", at + 24 - 20) + data[4:at]
            return Check(name.partition(":")[0], is_chosen, transaction, signed, value)
        at += 4 + (size + 3 & ~3)
    raise ValueError("a binding request that is not signed")


def answer_check(check: Check, password: str, host: str, port: int) -> bytes:
    """The answer: from where the check came, as seen from here."""
    address = ipaddress.ip_address(host)
    mask = struct.pack("!I", _MAGIC) + check.transaction
    packed = bytes(a ^ b for a, b in zip(address.packed, mask, strict=False))
    family = 1 if address.version == 4 else 2
    body = struct.pack("!HHBBH", _XOR_ADDRESS, 4 + len(packed), 0, family, port ^ _MAGIC >> 16)
    body += packed
    head = _HEAD.pack(_SUCCESS, len(body) + 24, _MAGIC, check.transaction)
    digest = hmac.new(password.encode(), head + body, hashlib.sha1).digest()
    body += struct.pack("!HH", _INTEGRITY, 20) + digest
    head = _HEAD.pack(_SUCCESS, len(body) + 8, _MAGIC, check.transaction)
    return head + body + struct.pack("!HHI", _FINGERPRINT, 4, zlib.crc32(head + body) ^ 0x5354554E)


# --- packets of sound -----------------------------------------------------------------------

RTP: Final = struct.Struct("!BBHII")
"""RFC 3550 §5.1: version and flags, marker and type, sequence, time, source."""


def read_sound(packet: bytes, level_extension: int) -> tuple[bytes, int | None]:
    """The coded sound of an RTP packet, and how loud it is in −dBov (127 is silence); None: it does
    not say.

    Raises:
        ValueError: it ends too early.
    """
    first = packet[0]
    at = 12 + 4 * (first & 15)
    level: int | None = None
    if first & 16:
        if len(packet) < at + 4:
            raise ValueError("an extension that is cut off")
        profile, words = struct.unpack_from("!HH", packet, at)
        at += 4
        end = at + 4 * words
        if level_extension:
            level = _level(packet[at:end], profile, level_extension)
        at = end
    end = len(packet) - (packet[-1] if first & 32 else 0)
    if at >= end:
        raise ValueError("a packet without sound")
    return packet[at:end], level


def _level(extension: bytes, profile: int, wanted: int) -> int | None:
    """RFC 8285 §4.2 and §4.3: elements with heads of one byte or of two."""
    at = 0
    while at < len(extension):
        if extension[at] == 0:
            at += 1
            continue
        if profile == 0xBEDE:
            number, size, at = extension[at] >> 4, (extension[at] & 15) + 1, at + 1
        elif profile & 0xFFF0 == 0x1000 and at + 1 < len(extension):
            number, size, at = extension[at], extension[at + 1], at + 2
        else:
            return None
        if number == wanted and size >= 1 and at < len(extension):
            return extension[at] & 127
        at += size
    return None
