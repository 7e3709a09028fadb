"""What finders see around a world: a bounded list, in which one thing seen twice is one entry.

Finders are strangers' mouthpieces: how many things they report, how long their words are and how
long each counts is bounded here. Knows the Finder port; refuses to know how anything is found and
what people decide about it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from mirrorworld.live.sources import name_of, scheme_of
from mirrorworld.world.ports import Finder, Reach, Sighting, SourceConfig, SourceError

log = logging.getLogger(__name__)

SIGHTINGS_MAX: Final = 500
"""Things that are kept at once; a network that announces more is counted, not believed."""
TEXT_MAX: Final = 200
DETAIL_MAX: Final = 1_000
URL_MAX: Final = 500
WAYS_MAX: Final = 8
"""In how many ways one thing may be seen."""
RETRY_S: Final = 60.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(slots=True)
class Entry:
    """One thing that could be mirrored, by whichever finders saw it."""

    key: str
    """Short, of letters and digits: made from its address, so that it outlives restarts."""
    url: str
    seen_by: dict[str, tuple[str, Sighting]] = field(default_factory=dict)
    """Key of the sighting -> (finder, what it saw)."""
    first_ns: int = 0
    seen_ns: int = 0
    expires_ns: dict[str, int] = field(default_factory=dict)
    is_ignored: bool = False
    added_as: str = ""
    """Name of the source that mirrors it now."""

    @property
    def best(self) -> Sighting:
        """What is shown: the sighting that tells most."""
        return max(
            (s for _, s in self.seen_by.values()), key=lambda s: (bool(s.url), len(s.detail))
        )

    @property
    def sightings(self) -> list[Sighting]:
        """All ways in which it was seen."""
        return [sighting for _, sighting in self.seen_by.values()]

    @property
    def state(self) -> str:
        """new, added or ignored."""
        return "added" if self.added_as else "ignored" if self.is_ignored else "new"


class Sightings:
    """What is around now. `start` it on a loop, `stop` it.

    Args:
        finders: what looks.
        mirrored: the sources that are mirrored now.
        now_ns: the clock.
        inbox: where recordings are dropped.
        reach: how far may be looked.
    """

    def __init__(
        self,
        finders: Sequence[Finder],
        mirrored: Callable[[], Sequence[SourceConfig]],
        now_ns: Callable[[], int],
        *,
        inbox: Path | None = None,
        reach: Reach = Reach.NETWORK,
    ) -> None:
        self.mirrored = mirrored
        self.inbox = inbox
        self.reach = reach
        self.ignored: dict[str, str] = {}
        """Key -> name of what nobody wants to hear of."""
        self.counts: Counter[str] = Counter()
        self.failures: dict[str, str] = {}
        """Why a finder does not look, by its name."""
        self._finders = finders
        self._now_ns = now_ns
        self._entries: dict[str, Entry] = {}
        self._tasks: list[asyncio.Task[None]] = []

    # --- life ---

    def start(self) -> None:
        """Lets the finders look, if they may look at all."""
        if self.reach is Reach.OFF:
            return
        for finder in self._finders:
            around = _Around(self, finder.name)
            task = asyncio.create_task(self._keep_looking(finder, around), name=finder.name)
            self._tasks.append(task)

    async def stop(self) -> None:
        """Ends them all; the list stays as it was."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_looking(self, finder: Finder, around: _Around) -> None:
        while True:
            try:
                await finder.run(around)
                return
            except SourceError as error:
                self.failures[finder.name] = _clean(str(error), TEXT_MAX)
                log.info("finder %s: %s", finder.name, error)
                return
            except Exception as error:
                self.failures[finder.name] = _clean(f"{type(error).__name__}: {error}", TEXT_MAX)
                log.warning("finder %s failed and is tried again", finder.name, exc_info=True)
            await asyncio.sleep(RETRY_S * random.uniform(0.8, 1.2))

    # --- the list ---

    def entries(self) -> list[Entry]:
        """What counts now: new ones first, then by name."""
        now_ns = self._now_ns()
        for key, entry in list(self._entries.items()):
            for seen, until_ns in list(entry.expires_ns.items()):
                if until_ns <= now_ns:
                    del entry.expires_ns[seen], entry.seen_by[seen]
            if not entry.seen_by:
                del self._entries[key]
        mirrored = {address_of(s.url): s.name for s in self.mirrored()}
        for entry in self._entries.values():
            entry.is_ignored = entry.key in self.ignored
            entry.added_as = mirrored.get(address_of(entry.url), "") if entry.url else ""
        order = {"new": 0, "added": 1, "ignored": 2}
        return sorted(
            self._entries.values(), key=lambda e: (order[e.state], e.best.name.lower(), e.key)
        )

    def get(self, key: str) -> Entry:
        """The entry of that key; KeyError if it is not around (any more)."""
        entry = self._entries.get(key)
        if entry is None:
            raise KeyError(f"nothing '{key[:40]}' is around now; it may have gone")
        entry.is_ignored = key in self.ignored
        return entry

    def report(self, finder: str, sighting: Sighting) -> None:
        """Takes what a finder saw, within bounds."""
        if len(sighting.url) > URL_MAX or not _is_address(sighting.url):
            self.counts["sightings_bad_address"] += 1
            return
        seen = f"{finder} {_clean(sighting.key, URL_MAX)}"
        url = sighting.url
        key = key_of(url or seen)
        now_ns = self._now_ns()
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= SIGHTINGS_MAX:
                self.entries()  # what has expired makes room
            if len(self._entries) >= SIGHTINGS_MAX:
                self.counts["sightings_too_many"] += 1
                return
            entry = self._entries[key] = Entry(key, url, first_ns=now_ns)
        elif seen not in entry.seen_by and len(entry.seen_by) >= WAYS_MAX:
            self.counts["sightings_too_many"] += 1
            return
        for other in self._entries.values():
            if other is not entry and seen in other.seen_by:
                other.expires_ns[seen] = now_ns  # it is elsewhere now
        bounded = dataclasses.replace(
            sighting,
            key=seen,
            name=_clean(sighting.name, TEXT_MAX),
            what=_clean(sighting.what, TEXT_MAX),
            guessed=_clean(sighting.guessed, TEXT_MAX),
            detail=_clean(sighting.detail, DETAIL_MAX, keeps_lines=True),
        )
        entry.seen_by[seen] = (finder, bounded)
        entry.seen_ns = now_ns
        if sighting.lasts_s > 0:
            entry.expires_ns[seen] = now_ns + int(sighting.lasts_s * 1e9)
        else:
            entry.expires_ns.pop(seen, None)

    def withdraw(self, finder: str, key: str) -> None:
        """Forgets what a finder saw under its key; not when it is only that nobody looks now."""
        if not self._tasks:
            return
        seen = f"{finder} {_clean(key, URL_MAX)}"
        for entry in list(self._entries.values()):
            if entry.seen_by.pop(seen, None) is not None:
                entry.expires_ns.pop(seen, None)
                if not entry.seen_by:
                    del self._entries[entry.key]


@dataclass(frozen=True, slots=True)
class _Around:
    """The surroundings as one finder has them."""

    sightings: Sightings
    finder: str

    @property
    def reach(self) -> Reach:
        return self.sightings.reach

    @property
    def inbox(self) -> Path | None:
        return self.sightings.inbox

    def mirrored(self) -> Sequence[SourceConfig]:
        return self.sightings.mirrored()

    def report(self, sighting: Sighting) -> None:
        self.sightings.report(self.finder, sighting)

    def withdraw(self, key: str) -> None:
        self.sightings.withdraw(self.finder, key)

    def count(self, what: str, n: int = 1) -> None:
        self.sightings.counts[what] += n


# --- addresses and names --------------------------------------------------------------------

_PORTS: Final[Mapping[str, int]] = {
    "opc.tcp": 4840, "mqtt": 1883, "mqtts": 8883, "sparkplug": 1883, "sparkplugs": 8883,
    "modbus": 502, "http": 80, "https": 443, "mtconnect": 5000, "shdr": 7878, "s7": 102,
    "bacnet": 47808,
}  # fmt: skip


def address_of(url: str) -> str:
    """A URL in the form in which two of the same thing are equal: without login, options and
    trailing slash, with its port, and this computer under one name."""
    if scheme_of(url) == "file":
        return "file://" + (urlsplit(url).path if "://" in url else url)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return url
    host = "localhost" if host in _LOOPBACK else host
    place = f"{host}:{port or _PORTS.get(parts.scheme, 0)}"
    return urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))


def key_of(text: str) -> str:
    """A short key of an address, the same after each restart."""
    return hashlib.sha256(address_of(text).encode("utf-8", "replace")).hexdigest()[:16]


def short_name(name: str, url: str, taken: frozenset[str]) -> str:
    """A name for a source, from what the thing calls itself: `Filler 2 (A)` → filler-2-a."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:40].rstrip("-")
    if len(plain) < 2:
        return name_of(url, taken)
    unique, n = plain, 2
    while unique in taken:
        unique, n = f"{plain}-{n}", n + 1
    return unique


def _is_address(url: str) -> bool:
    if not url:
        return True
    if not url.isprintable() or "\\" in url or (" " in url and scheme_of(url) != "file"):
        return False
    if scheme_of(url) == "file":
        return True
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        return False


def _clean(text: str, limit: int, *, keeps_lines: bool = False) -> str:
    """A stranger's text without control and direction signs, and no longer than it may be."""
    kept = "".join(
        c if c.isprintable() or (keeps_lines and c == "\n") else " " for c in text[: limit * 2]
    )
    kept = kept.strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"
