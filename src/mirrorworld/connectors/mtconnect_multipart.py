"""An agent's stream of documents: `multipart/x-mixed-replace` in bounded pieces (RFC 2046 §5.1).

A part says how long it is; one that does not is read to the next boundary. What a part says and
what follows must agree, or the stream is not read further.

Knows bytes; refuses to know documents.
"""

from __future__ import annotations

import re
from typing import Final

HEAD_BYTES_MAX: Final = 8 << 10
_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]{1,200})"?', re.IGNORECASE)


class BadMultipart(ValueError):
    """A stream that is not what it says."""


def boundary_of(content_type: str) -> str:
    """The boundary of a content type; "" if it is no multipart."""
    if not content_type.lower().startswith("multipart/"):
        return ""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise BadMultipart("the stream names no boundary")
    return found[1]


class Multipart:
    """Bytes as they come, to the bodies of parts.

    Args:
        part_bytes_max: largest body; a larger one ends the stream.
    """

    def __init__(self, boundary: str, part_bytes_max: int) -> None:
        # Some agents announce the boundary with its two hyphens.
        self._mark = b"--" + boundary.encode("latin-1", "replace").removeprefix(b"--")
        self._max = part_bytes_max
        self._data = bytearray()
        self._length = -1
        self._is_in_body = False
        self._seen = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are whole now.

        Raises:
            BadMultipart: the stream is not what it says, or too large.
        """
        self._data += data
        found: list[bytes] = []
        while True:
            body = self._body() if self._is_in_body else None
            if body is not None:
                found.append(body)
            elif self._is_in_body or not self._head():
                return found

    def _head(self) -> bool:
        """Reads up to the body of the next part; False if that is not all there yet."""
        at = self._data.find(self._mark)
        if at < 0 or (end := self._data.find(b"\r\n\r\n", at)) < 0:
            if len(self._data) > HEAD_BYTES_MAX:
                raise BadMultipart("a part has no head, or one without an end")
            return False
        if end - at > HEAD_BYTES_MAX:
            raise BadMultipart("a part's head is too long")
        self._length = -1
        for line in bytes(self._data[at:end]).split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                text = value.strip()
                if not text.isdigit() or len(text) > 12 or int(text) > self._max:
                    raise BadMultipart(f"a part of {text[:20]!r} bytes is not read")
                self._length = int(text)
        del self._data[: end + 4]
        self._is_in_body, self._seen = True, 0
        return True

    def _body(self) -> bytes | None:
        data = self._data
        if self._length >= 0:
            # The line end and the first of the next boundary must follow what was promised.
            if len(data) < self._length:
                return None
            follows = bytes(data[self._length : self._length + 4]).lstrip(b"\r\n")
            if follows and not self._mark.startswith(follows[: len(self._mark)]):
                raise BadMultipart("a part is longer than it says")
            end = self._length
        else:
            end = data.find(b"\r\n" + self._mark, max(0, self._seen - len(self._mark) - 2))
            if end < 0:
                self._seen = len(data)
                if len(data) > self._max:
                    raise BadMultipart("a part without a length has no end")
                return None
        body = bytes(data[:end])
        del data[:end]
        self._is_in_body = False
        return body
