"""One session with an OPC UA server: how it is entered, and its services in gentle batches.

Knows asyncua, endpoints, logins and OperationLimits. Refuses to know twins and worlds. Every
failure leaves here as `Refused` (someone must act) or `Lost` (it is worth trying again), with
a sentence that says what to do.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportReturnType=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from asyncua import Client, ua
from asyncua.common.utils import Buffer
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

from mirrorworld.connectors.opcua_failures import (
    THEY_DISTRUST,
    TIMEOUT_S,
    Lost,
    Refused,
    explained,
    status_name,
)
from mirrorworld.connectors.opcua_trust import Certificate, Trust, first_of_chain

T = TypeVar("T")
R = TypeVar("R")

SESSION_TIMEOUT_MS: Final = 60_000
"""How long a server keeps the session of a client that fell silent."""

REFERENCES_MAX: Final = 100_000
"""References that are taken of a batch of nodes where nothing else is said."""

POLICIES: Final = (
    "Aes256Sha256RsaPss",
    "Aes128Sha256RsaOaep",
    "Basic256Sha256",
)
"""Security policies that are chosen by themselves, strongest first. Older ones are broken and
must be named."""

OLD_POLICIES: Final = ("Basic256", "Basic128Rsa15")
MODES: Final = {"SignAndEncrypt": 3, "Sign": 2}
_POLICY_PREFIX: Final = "http://opcfoundation.org/UA/SecurityPolicy#"

# asyncua logs whole requests at DEBUG, passwords among them, and every lost connection with a
# traceback at ERROR. What matters of it is told through links and events instead.
_asyncua_log = logging.getLogger("asyncua")
if _asyncua_log.level == logging.NOTSET:
    _asyncua_log.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Login:
    """How a session is entered."""

    url: str
    security: str = "auto"
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Login({self.url!r}, {self.security!r}, {self.username!r})"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may ask for: the server's limits and this house's own."""

    browse: int = 200
    read: int = 500
    items: int = 500
    history: int = 20


@dataclass(frozen=True, slots=True)
class Server:
    """What a server says of itself."""

    namespaces: tuple[str, ...]
    started_ns: int
    product: str
    manufacturer: str
    version: str
    application_uri: str
    security: str
    """Policy and mode in use, as a person reads it."""


class Session:
    """An entered session. `lost` is set when the connection is found dead."""

    def __init__(self, client: Client, security: str) -> None:
        self.client = client
        self.limits = Limits()
        self.lost = asyncio.Event()
        self.server = Server((), 0, "", "", "", "", security)

        async def on_lost(error: Exception) -> None:
            self.lost.set()

        client.connection_lost_callback = on_lost

    @staticmethod
    async def open(login: Login, trust: Trust, now: datetime.datetime) -> Session:
        """Connects, chooses an endpoint, checks trust, logs in and reads the server's limits.

        Raises:
            Refused, Lost: with a sentence that names the mend.
        """
        try:
            async with asyncio.timeout(4 * TIMEOUT_S):
                client, security = await _enter(login, trust, now)
                session = Session(client, security)
                try:
                    await session._learn()
                except BaseException:
                    await session.close()
                    raise
                return session
        except (Refused, Lost):
            raise
        except Exception as error:
            raise explained(error, login.url) from error

    async def close(self, *, is_lost: bool = False) -> None:
        """Leaves. With `is_lost`, the server is left to keep the subscriptions for later."""
        if is_lost:
            with contextlib.suppress(Exception):
                self.client.uaclient.disconnect_socket()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(3):
                await self.client.disconnect()
        with contextlib.suppress(Exception):
            self.client.uaclient.disconnect_socket()

    # --- services

    async def ask(self, request: Any, timeout_s: float = TIMEOUT_S) -> tuple[bytes, int]:
        """Sends a request; returns the answer's bytes and where its parameters begin.

        Raises:
            ua.UaStatusCodeError: the service failed as a whole.
            ConnectionError, TimeoutError: there is no connection, or no answer in time.
        """
        protocol = self.client.uaclient.protocol
        if protocol is None:
            raise ConnectionError("the connection is closed")
        data = bytes(await protocol.send_request(request, timeout_s))
        if data[0] == 1 and data[_RESULT] == _GOOD and data[_REST] in _NOTHING_MORE:
            return data, _REST.stop
        buffer = Buffer(data)
        nodeid_from_binary(buffer)
        header = struct_from_binary(ua.ResponseHeader, buffer)
        header.ServiceResult.check()
        return data, buffer.cur_pos

    async def service(self, request: Any, answer: type[R], timeout_s: float = TIMEOUT_S) -> R:
        """Sends a request; returns the answer as an object of asyncua's."""
        protocol = self.client.uaclient.protocol
        if protocol is None:
            raise ConnectionError("the connection is closed")
        response: Any = struct_from_binary(answer, await protocol.send_request(request, timeout_s))
        response.ResponseHeader.ServiceResult.check()
        return response

    async def read(
        self, nodes: Sequence[tuple[ua.NodeId, ua.AttributeIds]], pause_s: float = 0.0
    ) -> list[ua.DataValue]:
        """Attributes of nodes, in order. One that cannot be read has a bad status."""

        async def some(part: Sequence[tuple[ua.NodeId, ua.AttributeIds]]) -> list[ua.DataValue]:
            request = ua.ReadRequest()
            request.Parameters.NodesToRead = [
                ua.ReadValueId(NodeId=node, AttributeId=attribute) for node, attribute in part
            ]
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            return (await self.service(request, ua.ReadResponse)).Results

        return await in_batches(nodes, self.limits.read, some, pause_s)

    async def values(self, nodes: Sequence[ua.NodeId], pause_s: float = 0.0) -> list[Any]:
        """Values of variables; None where one cannot be read."""
        found = await self.read([(n, ua.AttributeIds.Value) for n in nodes], pause_s)
        return [
            v.Value.Value if v.Value is not None and _is_good(v.StatusCode) else None for v in found
        ]

    async def browse(
        self,
        nodes: Sequence[ua.NodeId],
        *,
        reference: int = ua.ObjectIds.HierarchicalReferences,
        is_inverse: bool = False,
        classes: int = 0,
        pause_s: float = 0.0,
        most: int = REFERENCES_MAX,
    ) -> list[list[ua.ReferenceDescription]]:
        """References of nodes, with those behind continuation points (OPC 10000-4 §5.9.2).

        Of each batch of nodes no more than about `most`: a server may go on for ever. Who has as
        many has not seen all.
        """
        direction = ua.BrowseDirection.Inverse if is_inverse else ua.BrowseDirection.Forward

        async def some(part: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
            request = ua.BrowseRequest()
            request.Parameters.NodesToBrowse = [
                ua.BrowseDescription(
                    NodeId=node,
                    BrowseDirection=direction,
                    ReferenceTypeId=ua.NodeId(reference),
                    IncludeSubtypes=True,
                    NodeClassMask=classes,
                    ResultMask=ua.BrowseResultMask.All,
                )
                for node in part
            ]
            results = (await self.service(request, ua.BrowseResponse)).Results
            if any(r.StatusCode.value == ua.StatusCodes.BadNoContinuationPoints for r in results):
                if len(part) == 1:
                    raise Lost(
                        "the server has no continuation points left; too many clients browse"
                    )
                raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManyOperations)
            found = [list(r.References or ()) for r in results]
            open_ = {i: r.ContinuationPoint for i, r in enumerate(results) if r.ContinuationPoint}
            while open_:
                await asyncio.sleep(pause_s)
                is_enough = sum(map(len, found)) >= most
                more = ua.BrowseNextRequest()
                more.Parameters.ReleaseContinuationPoints = is_enough
                more.Parameters.ContinuationPoints = list(open_.values())
                rest = (await self.service(more, ua.BrowseNextResponse)).Parameters.Results
                if is_enough:
                    break
                for i, result in zip(list(open_), rest, strict=True):
                    found[i].extend(result.References or ())
                    open_[i] = result.ContinuationPoint
                open_ = {i: point for i, point in open_.items() if point}
            return found

        return await in_batches(nodes, self.limits.browse, some, pause_s)

    async def _learn(self) -> None:
        """Reads the server's limits, its namespaces and when it was started."""
        ids = ua.ObjectIds
        wanted = (
            ids.Server_NamespaceArray,
            ids.Server_ServerStatus,
            ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
            ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            ids.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
            ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
            ids.Server_ServerArray,
        )
        spaces, status, *limits, servers = await self.values([ua.NodeId(i) for i in wanted])
        own = Limits()
        self.limits = Limits(
            *(
                min(mine, int(theirs)) if isinstance(theirs, int) and theirs > 0 else mine
                for mine, theirs in zip(
                    (own.browse, own.read, own.items, own.history), limits, strict=True
                )
            )
        )
        build = getattr(status, "BuildInfo", None)
        started = getattr(status, "StartTime", None)
        self.server = Server(
            tuple(str(s) for s in spaces or ()),
            datetime_ns(started) if started is not None else 0,
            str(getattr(build, "ProductName", "") or ""),
            str(getattr(build, "ManufacturerName", "") or ""),
            str(getattr(build, "SoftwareVersion", "") or ""),
            str((servers or [""])[0] or ""),
            self.server.security,
        )


async def fetch_certificate(login: Login, now: datetime.datetime) -> Certificate | None:
    """The certificate of the endpoint that would be used, or None if it needs none.

    Raises:
        Refused, Lost: there is no such endpoint, or nobody answers.
    """
    try:
        endpoint = choose(await _endpoints(login), login, lambda _: True, now)
    except (Refused, Lost):
        raise
    except Exception as error:
        raise explained(error, login.url) from error
    if endpoint.SecurityMode == ua.MessageSecurityMode.None_ or not endpoint.ServerCertificate:
        return None
    return Certificate.of(endpoint.ServerCertificate, now)


# --- entering -------------------------------------------------------------------------------


async def _endpoints(login: Login) -> list[ua.EndpointDescription]:
    client = Client(login.url, timeout=TIMEOUT_S)
    found = await client.connect_and_get_server_endpoints()
    return [e for e in found if (e.EndpointUrl or "").startswith("opc.tcp")]


def choose(
    endpoints: Sequence[ua.EndpointDescription],
    login: Login,
    is_trusted: Callable[[bytes], bool],
    now: datetime.datetime,
) -> ua.EndpointDescription:
    """The endpoint to use.

    `auto` takes an open endpoint where the server itself offers one, no password would travel
    over it and no certificate of the server has been accepted before; else the strongest.

    Raises:
        Refused: none fits; the message says what the server offers.
    """

    def rank(e: ua.EndpointDescription) -> int:
        policy = (e.SecurityPolicyUri or "").removeprefix(_POLICY_PREFIX)
        strength = len(POLICIES) - POLICIES.index(policy) if policy in POLICIES else 0
        return 10 * strength + int(e.SecurityMode) if strength else 0

    def is_open(e: ua.EndpointDescription) -> bool:
        return e.SecurityMode == ua.MessageSecurityMode.None_

    offered = ", ".join(sorted({_describe(e) for e in endpoints})) or "nothing"
    wanted, _, mode = login.security.partition(",")
    if wanted == "none":
        fitting = [e for e in endpoints if is_open(e)]
    elif wanted == "auto":
        secure = sorted((e for e in endpoints if rank(e)), key=rank, reverse=True)
        free = [e for e in endpoints if is_open(e)]
        knows = any(is_trusted(e.ServerCertificate or b"") for e in secure)
        fitting = secure if login.username or knows or not free else free
        fitting = fitting or free
    else:
        number = MODES.get(mode.strip() or "SignAndEncrypt", 0)
        fitting = [
            e
            for e in endpoints
            if e.SecurityPolicyUri == _POLICY_PREFIX + wanted and int(e.SecurityMode) == number
        ]
    if not fitting:
        raise Refused(
            f"{login.url}: the server has no endpoint for security '{login.security}';"
            f" it offers {offered}: set the option 'security' to one of these or to 'auto'"
        )
    kind = ua.UserTokenType.UserName if login.username else ua.UserTokenType.Anonymous
    for endpoint in fitting:
        tokens = [t for t in endpoint.UserIdentityTokens or () if t.TokenType == kind]
        if not tokens:
            continue
        if login.username and wanted != "none":
            policy = tokens[0].SecurityPolicyUri or endpoint.SecurityPolicyUri or ""
            if is_open(endpoint) and policy.endswith("#None"):
                raise Refused(
                    f"{login.url}: the server would take the password over an unencrypted"
                    " connection only; if that is acceptable here, set the option security=none"
                )
        return endpoint
    if login.username:
        raise Refused(f"{login.url}: the server takes no user names; remove the login")
    raise Refused(f"{login.url}: the server takes nobody without a login; give a user name")


async def _enter(login: Login, trust: Trust, now: datetime.datetime) -> tuple[Client, str]:
    endpoints = await _endpoints(login)

    def is_trusted(der: bytes) -> bool:
        with contextlib.suppress(ValueError):
            return bool(der) and trust.is_trusted(Certificate.of(der, now))
        return False

    endpoint = choose(endpoints, login, is_trusted, now)
    client = Client(login.url, timeout=TIMEOUT_S, watchdog_intervall=10.0)
    client.name = client.description = "Mirrorworld"
    client.application_uri = f"urn:{socket.gethostname() or 'localhost'}:mirrorworld"
    client.product_uri = "urn:mirrorworld"
    client.session_timeout = SESSION_TIMEOUT_MS
    if login.username:
        client.set_user(login.username)
        client.set_password(login.password)
    is_open = endpoint.SecurityMode == ua.MessageSecurityMode.None_
    if not is_open or (login.username and login.security != "none"):
        # On an open connection the password alone is encrypted, for whose key this is.
        certificate = Certificate.of(endpoint.ServerCertificate or b"", now)
        if not trust.is_trusted(certificate):
            trust.ask(certificate)
            expired = "" if certificate.is_valid_now else " (it is not valid now)"
            raise Refused(
                f"{login.url}: the server's certificate is not trusted yet{expired}:"
                f" {certificate}; compare the fingerprint and accept it with `mirrorworld trust`"
            )
    if not is_open:
        own = await asyncio.to_thread(trust.identity, now)
        client.application_uri = own.application_uri
        name = (endpoint.SecurityPolicyUri or "").removeprefix(_POLICY_PREFIX)
        await client.set_security(
            getattr(security_policies, f"SecurityPolicy{name}"),
            CertProperties(own.certificate_der, "der"),
            CertProperties(own.key_pem, "pem"),
            server_certificate=CertProperties(
                first_of_chain(endpoint.ServerCertificate or b""), "der"
            ),
            mode=endpoint.SecurityMode,
        )
    try:
        await client.connect()
    except ua.UaStatusCodeError as error:
        if error.code in THEY_DISTRUST and not is_open:
            own = trust.identity(now)
            raise Refused(
                f"{login.url}: the server does not accept this application's certificate"
                f" ({status_name(error.code)}); tell it to trust thumbprint"
                f" {own.thumbprint.upper()} ({own.where})"
            ) from error
        raise
    return client, _describe(endpoint)


def _describe(endpoint: ua.EndpointDescription) -> str:
    policy = (endpoint.SecurityPolicyUri or "").removeprefix(_POLICY_PREFIX)
    if endpoint.SecurityMode == ua.MessageSecurityMode.None_:
        return "none"
    return f"{policy},{ua.MessageSecurityMode(endpoint.SecurityMode).name}"


# A ResponseHeader as it nearly always is, behind a type id of four bytes: time, handle, a good
# result, no diagnostics, no strings, nothing additional (OPC 10000-4 §7.34).
_RESULT: Final = slice(16, 20)
_GOOD: Final = bytes(4)
_REST: Final = slice(20, 28)
_NOTHING_MORE: Final = (bytes(8), b"\0\xff\xff\xff\xff\0\0\0")


def _is_good(status: ua.StatusCode | None) -> bool:
    return status is None or status.value >> 30 == 0


def datetime_ns(at: datetime.datetime) -> int:
    """UTC nanoseconds since 1970 of a date and time (naive ones are UTC), to the microsecond."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=datetime.timezone.utc)  # noqa: UP017
    return (at - _EPOCH) // _MICROSECOND * 1000


_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND: Final = datetime.timedelta(microseconds=1)

_S = ua.StatusCodes
_TOO_MUCH: Final = frozenset(
    {
        _S.BadTooManyOperations,
        _S.BadResponseTooLarge,
        _S.BadRequestTooLarge,
        _S.BadEncodingLimitsExceeded,
        _S.BadTcpMessageTooLarge,
    }
)


async def in_batches(
    items: Sequence[T],
    size: int,
    some: Callable[[Sequence[T]], Awaitable[list[R]]],
    pause_s: float = 0.0,
) -> list[R]:
    """Results of `some` over all items, a batch at a time; a batch that is too much is halved."""
    found: list[R] = []
    at = 0
    size = max(size, 1)
    while at < len(items):
        part = items[at : at + size]
        try:
            results = await some(part)
        except ua.UaStatusCodeError as error:
            if error.code in _TOO_MUCH and len(part) > 1:
                size = (len(part) + 1) // 2
                continue
            raise
        if len(results) != len(part):
            raise Lost(f"the server answered {len(results)} of {len(part)} questions")
        found.extend(results)
        at += len(part)
        if at < len(items):
            await asyncio.sleep(pause_s)
    return found
