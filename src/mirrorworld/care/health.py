"""A look at a world from all sides: disk, clock, certificates, secrets, accounts, sources, record.

Each finding says how it stands and, where it does not stand well, what to do. Changes nothing.
"""

from __future__ import annotations

import datetime
import enum
import os
import shutil
import socket
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from cryptography import x509

from mirrorworld.care.clock import is_synchronised
from mirrorworld.record.doctor import examine
from mirrorworld.record.store import UnknownWorldError
from mirrorworld.trust.accounts import AccountError, Accounts, Grant
from mirrorworld.world.ports import SourceConfig

FREE_BYTES_BAD: Final = 256 << 20
FREE_BYTES_LOW: Final = 2 << 30
FREE_SHARE_LOW: Final = 0.05
SYNC_S_SLOW: Final = 0.05
SYNC_ROUNDS: Final = 7
EXPIRES_SOON: Final = datetime.timedelta(days=30)
CERTIFICATES_MAX: Final = 1_000
REACH_S: Final = 3.0
DAY_S: Final = 86_400


class Standing(enum.Enum):
    """How well something stands."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding."""

    what: str
    standing: Standing
    said: str
    mend: str = ""


class SourceSeen(Protocol):
    """A source of a running world, as its server tells."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def tally(self) -> Mapping[str, int]: ...


def examine_world(
    directory: Path,
    configs: Sequence[SourceConfig],
    schemes: frozenset[str],
    *,
    running: Sequence[SourceSeen] | None = None,
    accounts: str | Path | None = None,
) -> Iterator[Check]:
    """Looks at everything, and tells as it goes.

    Args:
        directory: the world's.
        configs: its sources, as they are remembered.
        schemes: URL schemes that are spoken here.
        running: its sources as its server sees them; None: it is not running, so their
            addresses are tried (one connection each, nothing is said).
        accounts: where they are kept; None: there are none yet.
    """
    yield from _disk(directory)
    yield from _clock()
    yield from _certificates(directory)
    yield from _secrets(directory)
    if accounts is not None:
        yield from _accounts(accounts)
    if running is None:
        for config in configs:
            yield _configured(config, schemes)
    else:
        for source in running:
            yield from _alive(source)
    yield from _record(directory / "record", is_growing=running is not None)


# --- disk -------------------------------------------------------------------------------------


def _disk(directory: Path) -> Iterator[Check]:
    usage = shutil.disk_usage(directory)
    said = f"{usage.free / 1e9:.1f} GB of {usage.total / 1e9:.0f} GB free"
    mend = "free space, or keep the past for a shorter time (docs: retention)"
    if usage.free < FREE_BYTES_BAD:
        yield Check("disk", Standing.BAD, said, mend)
    elif usage.free < max(FREE_BYTES_LOW, FREE_SHARE_LOW * usage.total):
        yield Check("disk", Standing.WARNING, said, mend)
    else:
        yield Check("disk", Standing.GOOD, said)
    yield from _growth(directory, usage.free)
    if not os.access(directory, os.W_OK | os.X_OK):
        user = "this user"
        mend = f"give it to {user}: chown -R, or start as the user whose it is"
        yield Check("disk", Standing.BAD, f"{directory} cannot be written by {user}", mend)
        return
    yield _syncing(directory)


def _growth(directory: Path, free: int) -> Iterator[Check]:
    """When the disk is full if the record grows as it has."""
    files = [p.stat() for p in (directory / "record").rglob("*") if p.is_file()]
    if not files:
        return
    size = sum(file.st_size for file in files)
    age_s = time.time() - min(file.st_mtime for file in files)
    if age_s < DAY_S / 24 or not size:
        return
    days = free / (size / age_s) / DAY_S
    said = f"the record has {size / 1e6:.0f} MB; at this pace the disk is full in {days:.0f} days"
    standing = Standing.GOOD if days > 30 else Standing.WARNING if days > 3 else Standing.BAD
    mend = "" if standing is Standing.GOOD else "keep the past for a shorter time, or add disk"
    yield Check("disk", standing, said, mend)


def _syncing(directory: Path) -> Check:
    path = directory / ".doctor.tmp"
    times: list[float] = []
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for _ in range(SYNC_ROUNDS):
                began = time.monotonic()
                os.write(descriptor, b"\0" * 4096)
                os.fsync(descriptor)
                times.append(time.monotonic() - began)
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
    except OSError as error:
        mend = "look at the disk: full, read-only, or failing"
        return Check("disk", Standing.BAD, f"{path}: {error.strerror}", mend)
    slow = statistics.median(times)
    said = f"a write is on disk after {slow * 1000:.1f} ms"
    if slow > SYNC_S_SLOW:
        mend = "network disks and memory cards are too slow for many sources; use a local SSD"
        return Check("disk", Standing.WARNING, said, mend)
    return Check("disk", Standing.GOOD, said)


# --- clock and certificates -------------------------------------------------------------------


def _clock() -> Iterator[Check]:
    match is_synchronised():
        case True:
            yield Check("clock", Standing.GOOD, "follows a time source")
        case False:
            mend = "turn on time synchronisation: timedatectl set-ntp true, or chrony"
            said = "follows no time source, so it drifts away from those of the sources"
            yield Check("clock", Standing.WARNING, said, mend)
        case None:
            yield Check("clock", Standing.GOOD, "this system does not say whether it is kept right")


def _certificates(directory: Path) -> Iterator[Check]:
    now = datetime.datetime.now(datetime.UTC)
    paths = [
        path
        for suffix in ("pem", "crt", "der")
        for path in sorted(directory.rglob(f"*.{suffix}"))
        if "record" not in path.relative_to(directory).parts[:1]
    ]
    good = 0
    for path in paths[:CERTIFICATES_MAX]:
        try:
            data = path.read_bytes()
            is_text = b"-----BEGIN" in data
            if is_text and b"BEGIN CERTIFICATE" not in data:
                continue
            load = x509.load_pem_x509_certificate if is_text else x509.load_der_x509_certificate
            certificate = load(data)
        except (OSError, ValueError) as error:
            if path.suffix != ".der":
                name = path.relative_to(directory)
                yield Check("certificates", Standing.WARNING, f"{name}: {error}", "look at it")
            continue
        name = path.relative_to(directory).as_posix()
        ends = certificate.not_valid_after_utc
        if ends < now:
            mend = "make or fetch a new one; our own are made anew at a start, and while serving"
            yield Check("certificates", Standing.BAD, f"{name} ended on {ends:%Y-%m-%d}", mend)
        elif certificate.not_valid_before_utc > now:
            said = f"{name} begins on {certificate.not_valid_before_utc:%Y-%m-%d}, in the future"
            yield Check("certificates", Standing.BAD, said, "this computer's clock is wrong")
        elif ends - now < EXPIRES_SOON:
            mend = "renew it before; our own are renewed at a start, and while serving"
            yield Check("certificates", Standing.WARNING, f"{name} ends on {ends:%Y-%m-%d}", mend)
        else:
            good += 1
    if good:
        yield Check("certificates", Standing.GOOD, f"{good} are valid for more than 30 days")


# --- secrets and accounts ---------------------------------------------------------------------

SECRETS: Final = (
    "token", "secrets.key", "accounts.db", "sources.json", "mail.json", "providers.json",
    "authority/authority.key", "authority/server.key",
)  # fmt: skip
"""What only the owner of the world may read."""


def _secrets(directory: Path) -> Iterator[Check]:
    if os.name != "posix":
        return
    found = [path for name in SECRETS if (path := directory / name).exists()]
    open_ = [path for path in found if path.stat().st_mode & 0o077]
    for path in open_:
        said = f"{path.relative_to(directory)} can be read by others"
        yield Check("secrets", Standing.BAD, said, f"chmod 600 {path}")
    if found and not open_:
        yield Check("secrets", Standing.GOOD, f"{len(found)} files are their owner's alone")


def _accounts(url: str | Path) -> Iterator[Check]:
    try:
        accounts = Accounts(url)
    except AccountError as error:
        mend = "nobody can sign in before it answers; the owner's token opens on this machine"
        yield Check("accounts", Standing.BAD, str(error), mend)
        return
    try:
        people = accounts.people()
        owners = [p for p in people if Grant("owner") in p["grants"] and not p["is_disabled"]]
        yield Check("accounts", Standing.GOOD, f"{len(people)} accounts, {len(owners)} owners")
        broken = accounts.check_audit()
        if broken is None:
            yield Check("audit trail", Standing.GOOD, "every line follows from the one before")
        else:
            said = f"line {broken} does not follow from the one before: something was changed"
            mend = "compare with a backup (mirrorworld restore --dir); ask who had the machine"
            yield Check("audit trail", Standing.BAD, said, mend)
    finally:
        accounts.close()


# --- sources ----------------------------------------------------------------------------------


def _configured(config: SourceConfig, schemes: frozenset[str]) -> Check:
    what = f"source {config.name}"
    parts = urlsplit(config.url)
    scheme = parts.scheme.lower() if "://" in config.url else "file"
    if scheme not in schemes:
        mend = "pip install 'mirrorworld[plant]' brings the connectors of ordinary plants"
        return Check(what, Standing.BAD, f"nothing here speaks '{scheme}'", mend)
    if scheme == "file":
        path = Path(config.url.removeprefix("file://"))
        if not path.exists():
            return Check(what, Standing.BAD, f"{path} is not there", "put it back, or remove it")
        return Check(what, Standing.GOOD, f"{path} is there")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return Check(what, Standing.BAD, f"its address: {error}", "remove it and add it again")
    if not host or not port:
        return Check(what, Standing.GOOD, "known; its address names no port to try")
    try:
        with socket.create_connection((host, port), REACH_S):
            return Check(what, Standing.GOOD, f"{host}:{port} answers")
    except OSError as error:
        mend = (
            "is it switched on, and is the way to it open? It is tried again while the world runs"
        )
        return Check(what, Standing.WARNING, f"{host}:{port}: {error.strerror or error}", mend)


def _alive(source: SourceSeen) -> Iterator[Check]:
    what = f"source {source.name}"
    said = f"{source.state}{f': {source.detail}' if source.detail else ''}"
    match source.state:
        case "live" | "ended":
            yield Check(what, Standing.GOOD, said)
        case "refused":
            mend = "needs you: login, certificate (`mirrorworld trust`), or address"
            yield Check(what, Standing.BAD, said, mend)
        case _:
            mend = "it is being tried again; is it switched on, and is the way to it open?"
            yield Check(what, Standing.WARNING, said, mend)
    if ahead := source.tally.get("future", 0):
        said = f"{ahead} samples were stamped later than they came: its clock is ahead of ours"
        yield Check(what, Standing.WARNING, said, "set the clock of the device, or ours")
    if refused := source.tally.get("unknown", 0):
        said = f"{refused} samples were of points that it never declared"
        yield Check(what, Standing.WARNING, said, "its configuration has changed; restart it")


# --- record -----------------------------------------------------------------------------------


def _record(directory: Path, *, is_growing: bool) -> Iterator[Check]:
    try:
        found = examine(directory, is_growing=is_growing)
    except UnknownWorldError as error:
        yield Check("record", Standing.WARNING, str(error), "start the world once")
        return
    said = (
        f"{found.segments} segments with {found.changes} changes and {found.rows} samples,"
        f" {found.keyframes} keyframes, {found.files} files of history, {found.blobs} blobs"
        f" ({found.unreferred_blobs} of the past or nobody's)"
    )
    for missing in found.missing_blobs:
        mend = "copy record/blobs from a backup, or remove it from the twin"
        yield Check("attached file", Standing.WARNING, missing, mend)
    yield Check("record", Standing.BAD if found.damage else Standing.GOOD, said)
    for damage in found.damage:
        mend = "restore a backup, or go on without it: mirrorworld doctor WORLD --salvage"
        yield Check("record", Standing.BAD, damage, mend)
