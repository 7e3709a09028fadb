"""What goes wrong with an OPC UA server, as sentences that name the mend."""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import socket
from typing import Final

from asyncua import ua
from asyncua.ua.status_codes import get_name_and_doc

TIMEOUT_S: Final = 15.0
"""How long a server may take to answer."""


class Refused(Exception):
    """The server cannot be used until someone acts. It is asked again after `retry_s`."""

    def __init__(self, message: str, retry_s: float = 30.0) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class Lost(Exception):
    """The server is not there now."""


_S = ua.StatusCodes
THEY_DISTRUST: Final = frozenset(
    {
        _S.BadSecurityChecksFailed,
        _S.BadCertificateUntrusted,
        _S.BadCertificateInvalid,
        _S.BadCertificateUseNotAllowed,
        _S.BadCertificateUriInvalid,
        _S.BadCertificateChainIncomplete,
        _S.BadCertificateRevoked,
        _S.BadCertificateTimeInvalid,
        _S.BadConnectionClosed,
    }
)
_REFUSALS: Final = {
    _S.BadUserAccessDenied: "the login was refused; check user name and password",
    _S.BadIdentityTokenRejected: "the login was refused; check user name and password",
    _S.BadIdentityTokenInvalid: "the server cannot read this kind of login; check 'security'",
    _S.BadUserSignatureInvalid: "the login was refused; its signature does not hold",
    _S.BadSecurityModeRejected: "the server rejects this security mode; set 'security' to 'auto'",
    _S.BadSecurityPolicyRejected: "the server rejects this policy; set 'security' to 'auto'",
    _S.BadSecurityChecksFailed: "the server's security checks failed; it may not trust this client",
    _S.BadCertificateUntrusted: "the server does not trust this client's certificate",
}
_LOGINS: Final = frozenset(
    {_S.BadUserAccessDenied, _S.BadIdentityTokenRejected, _S.BadUserSignatureInvalid}
)
_LATER: Final = {
    _S.BadTooManySessions: "the server has no session left; close other clients",
    _S.BadServerHalted: "the server is halted",
    _S.BadShutdown: "the server is shutting down",
    _S.BadTcpNotEnoughResources: "the server has no resources left for a connection",
    _S.BadNotConnected: "the connection was lost",
}


def explained(error: BaseException, url: str) -> Refused | Lost:
    """What went wrong with a server, as a sentence that names the mend."""
    if isinstance(error, Refused | Lost):
        return error
    if isinstance(error, ua.UaStatusCodeError):
        name = status_name(error.code)
        if error.code in _REFUSALS:
            # Wrong logins are not repeated often: servers lock accounts.
            retry_s = 600.0 if error.code in _LOGINS else 30.0
            return Refused(f"{url}: {_REFUSALS[error.code]} ({name})", retry_s)
        return Lost(
            f"{url}: {_LATER.get(error.code, 'the server answered with an error')} ({name})"
        )
    if isinstance(error, socket.gaierror):
        return Refused(f"{url}: there is no such host; check the name and the network")
    if isinstance(error, ConnectionRefusedError):
        return Lost(f"{url}: nothing listens there; is the server running, is the port right?")
    if isinstance(error, TimeoutError):
        return Lost(f"{url}: no answer within {TIMEOUT_S:g} s; a firewall, or a server too busy")
    if isinstance(error, OSError):
        return Lost(f"{url}: {error.strerror or error or 'the connection was lost'}")
    return Lost(f"{url}: {type(error).__name__}: {error}"[:300])


def status_name(code: int) -> str:
    """The symbolic name of a status code."""
    name, _ = get_name_and_doc(code & 0xFFFF_0000)
    return name if name and name != "UnknownUaError" else f"0x{code:08X}"
