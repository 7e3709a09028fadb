"""One page at the forwarder: DTLS that agrees on keys, SRTP that hides sound, and the slots in
which the page hears others.

Knows datagrams, one at a time, and refuses to know sockets, rooms and places.
"""

from __future__ import annotations

import contextlib
import datetime
import random
import secrets
from collections.abc import Callable
from typing import Final

import pylibsrtp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from mirrorworld.people.voice_wire import RTP, Offer, read_sound

PACKETS_A_S: Final = 150
"""A page sends 50 to 100; what is more is dropped."""
SOUND_BYTES_MAX: Final = 1_200
MTU_BYTES: Final = 1_200
_SAMPLES: Final = 960
"""Of 20 ms: as far as a slot's time goes on when another voice takes it."""

# RFC 7714 before RFC 3711: a cipher that signs as it hides costs half.
_PROFILES: Final = {
    b"SRTP_AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
    b"SRTP_AES128_CM_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
}


def _supported() -> list[bytes]:
    found: list[bytes] = []
    for name, (profile, *_) in _PROFILES.items():
        with contextlib.suppress(pylibsrtp.Error):
            Policy(srtp_profile=profile)
            found.append(name)
    return found


class Passport:
    """The forwarder's own certificate, made when it starts; pages know it by its fingerprint, which
    comes to them over the server's own line."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "voices")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=90))
            .sign(key, hashes.SHA256())
        )
        self.fingerprint = _colons(certificate.fingerprint(hashes.SHA256()))
        self._context = SSL.Context(SSL.DTLS_METHOD)
        # Who the page is says the fingerprint in its offer, not an authority.
        self._context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self._context.use_certificate(certificate)
        self._context.use_privatekey(key)
        self._context.set_tlsext_use_srtp(b":".join(_supported()))

    def side(self, *, is_server: bool = True) -> SSL.Connection:
        """One end of an agreement on keys."""
        connection = SSL.Connection(self._context, None)
        connection.set_ciphertext_mtu(MTU_BYTES)
        if is_server:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        return connection


class Slot:
    """One voice that a page hears: whoever speaks in it, to the page it is one stream."""

    __slots__ = ("_next_seq", "_next_time", "_seq_off", "_time_off", "source", "ssrc")

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self.source = -1
        """Whose voice it is; -1: nobody's yet."""
        self._next_seq = random.getrandbits(15)
        self._next_time = random.getrandbits(31)
        self._seq_off = self._time_off = 0

    def packet(self, source: int, kind: int, seq: int, time: int, sound: bytes) -> bytes:
        """The packet by which the page hears this sound.

        Args:
            kind: the payload type that the page knows Opus by.
            seq: of the packet as it came; gaps are kept, since they are losses.
            time: of it, in samples at 48 kHz.
        """
        marker = 0
        if source != self.source:
            self.source, marker = source, 128
            self._seq_off = self._next_seq - seq
            self._time_off = self._next_time + _SAMPLES - time
        seq = seq + self._seq_off & 0xFFFF
        time = time + self._time_off & 0xFFFFFFFF
        if seq - self._next_seq & 0x8000 == 0:  # not one that came late
            self._next_seq = seq + 1 & 0xFFFF
            self._next_time = time
        return RTP.pack(128, kind | marker, seq, time, self.ssrc) + sound


class Peer:
    """One page."""

    def __init__(
        self,
        offer: Offer,
        passport: Passport,
        send: Callable[[bytes], None],
        *,
        is_server: bool = True,
    ) -> None:
        self.offer = offer
        self.ufrag = secrets.token_hex(4)
        self.password = secrets.token_hex(16)
        self.slots = [
            Slot(random.getrandbits(32) | 1)
            for section in offer.sections
            if section.direction == "recvonly"
        ]
        self.is_ready = False
        self.dropped = 0
        self._send = send
        self._is_server = is_server
        self._tls: SSL.Connection | None = passport.side(is_server=is_server)
        self._in: Session | None = None
        self._out: Session | None = None
        self._ssrc = 0
        self._allowance = float(PACKETS_A_S)
        self._allowed_s = 0.0

    # --- keys ---

    def agree(self, data: bytes = b"") -> None:
        """Takes a datagram of DTLS; answers it, and has the keys in the end.

        Raises:
            ConnectionError: this is not who made the offer, or they hang up.
        """
        tls = self._tls
        if tls is None:
            return
        if data:
            tls.bio_write(data)
        if self.is_ready:
            self._look_for_end(tls)
            return
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            self._flush(tls)
            return
        except SSL.Error as error:
            self._flush(tls)
            raise ConnectionError(f"no agreement on keys: {error}") from error
        self._flush(tls)
        certificate = tls.get_peer_certificate(as_cryptography=True)
        if certificate is None or not secrets.compare_digest(
            _colons(certificate.fingerprint(hashes.SHA256())), self.offer.fingerprint
        ):
            raise ConnectionError("another certificate than the offer named")
        self._take_keys(tls)

    def again(self) -> None:
        """Repeats what was not answered in time."""
        tls = self._tls
        if tls is not None and tls.DTLSv1_get_timeout() == 0:
            with contextlib.suppress(SSL.Error):
                tls.DTLSv1_handle_timeout()
            self._flush(tls)

    def _look_for_end(self, tls: SSL.Connection) -> None:
        try:
            tls.recv(MTU_BYTES)
        except SSL.ZeroReturnError:
            raise ConnectionError("they hung up") from None
        except SSL.Error:
            pass
        self._flush(tls)

    def _flush(self, tls: SSL.Connection) -> None:
        # Records of one flight may share a datagram; a longer flight goes in several.
        with contextlib.suppress(SSL.Error):
            while True:
                self._send(tls.bio_read(MTU_BYTES + 100))

    def _take_keys(self, tls: SSL.Connection) -> None:
        """RFC 5764 §4.2: the client's key, the server's, then both salts."""
        name = tls.get_selected_srtp_profile()
        if name not in _PROFILES:
            raise ConnectionError("no way to hide sound that both know")
        profile, key, salt = _PROFILES[name]
        made = tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        client = made[:key] + made[2 * key : 2 * key + salt]
        server = made[key : 2 * key] + made[2 * key + salt :]
        theirs, ours = (client, server) if self._is_server else (server, client)
        hears = Policy(key=theirs, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        hears.window_size = 1024
        speaks = Policy(key=ours, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        speaks.window_size = 1024
        speaks.allow_repeat_tx = True
        self._in, self._out = Session(hears), Session(speaks)
        self.is_ready = True

    # --- sound ---

    def hear(self, data: bytes, now_s: float) -> tuple[int, int, bytes, int | None] | None:
        """Takes a datagram of sound: sequence, time in samples, the sound, and how loud it is
        (−dBov); None: it is nothing to be forwarded."""
        if self._in is None or not self._may_speak(now_s):
            return None
        if 64 <= data[1] & 127 <= 95:  # RFC 5761 §4: reports, of which nothing is needed here
            return None
        try:
            packet = self._in.unprotect(data)
            _, kind, seq, time, ssrc = RTP.unpack_from(packet)
            if kind & 127 != self.offer.opus:
                return None
            sound, level = read_sound(packet, self.offer.level_extension)
        except (pylibsrtp.Error, ValueError, IndexError):
            self.dropped += 1
            return None
        self._ssrc = self._ssrc or ssrc
        # One page has one microphone; more sources would only eat memory here.
        if ssrc != self._ssrc or len(sound) > SOUND_BYTES_MAX:
            self.dropped += 1
            return None
        return seq, time, sound, level

    def speak(self, slot: int, source: int, seq: int, time: int, sound: bytes) -> None:
        """Lets the page hear a sound in a slot."""
        if self._out is None:
            return
        packet = self.slots[slot].packet(source, self.offer.opus, seq, time, sound)
        self._send(self._out.protect(packet))

    def send_sound(self, packet: bytes) -> None:
        """Sends an RTP packet as it is; for peers that play a page."""
        if self._out is not None:
            self._send(self._out.protect(packet))

    def open_sound(self, data: bytes) -> bytes:
        """The RTP packet in a datagram; for peers that play a page."""
        if self._in is None:
            raise ConnectionError("there are no keys yet")
        return self._in.unprotect(data)

    def _may_speak(self, now_s: float) -> bool:
        gained = (now_s - self._allowed_s) * PACKETS_A_S
        self._allowance = min(float(PACKETS_A_S), self._allowance + gained)
        self._allowed_s = now_s
        if self._allowance < 1.0:
            self.dropped += 1
            return False
        self._allowance -= 1.0
        return True

    def close(self) -> None:
        """Says goodbye."""
        tls, self._tls = self._tls, None
        self._in = self._out = None
        if tls is not None:
            with contextlib.suppress(SSL.Error):
                tls.shutdown()
            self._flush(tls)


def _colons(digest: bytes) -> str:
    text = digest.hex().upper()
    return ":".join(text[i : i + 2] for i in range(0, len(text), 2))
