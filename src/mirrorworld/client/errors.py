"""What can go wrong, as exceptions that also are the standard's own where one fits."""

from __future__ import annotations

from mirrorworld.protocol.rest import Problem


class ClientError(Exception):
    """A request was not done; `problem` says what, where and how to mend it."""

    def __init__(self, problem: Problem) -> None:
        parts = (f"{problem.place}: {problem.detail}" if problem.place else problem.detail,)
        super().__init__("; ".join((*parts, problem.mend) if problem.mend else parts))
        self.problem = problem


class NotFoundError(ClientError, LookupError):
    """There is no such twin, point, command or place in the log."""


class NotAllowedError(ClientError, PermissionError):
    """There is no session, or the guard says no."""


class InvalidError(ClientError, ValueError):
    """The request makes no sense."""


class UnreachableError(ClientError, ConnectionError):
    """No server answers, or it went away."""


class NotConfirmedError(ClientError):
    """A command was refused, failed or expired."""


_BY_STATUS = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError, 422: InvalidError}


def of_status(status: int, problem: Problem) -> ClientError:
    """The exception for an answer of a server."""
    return _BY_STATUS.get(status, ClientError)(problem)


def of_exception(error: Exception) -> ClientError:
    """The exception for what a world of one's own raised."""
    detail = str(error.args[0]) if error.args and not isinstance(error, OSError) else str(error)
    problem = Problem(detail or type(error).__name__)
    if isinstance(error, PermissionError):
        return NotAllowedError(problem)
    if isinstance(error, LookupError):
        return NotFoundError(problem)
    return InvalidError(problem) if isinstance(error, ValueError) else ClientError(problem)
