"""The Python side: a world as objects, here or on a server, in a script or a notebook.

`mirrorworld.connect(url)` and `mirrorworld.open(directory)` give a `World` that answers to the
same calls. Knows the wire's shapes and the kernel; refuses to know routes' insides and the record
on disk, which is handed to it.
"""

from mirrorworld.client.acts import Command, Subscription
from mirrorworld.client.branches import Branch, Plan
from mirrorworld.client.errors import (
    ClientError,
    NotAllowedError,
    NotConfirmedError,
    NotFoundError,
    UnreachableError,
)
from mirrorworld.client.local import LocalAccess
from mirrorworld.client.remote import connect
from mirrorworld.client.things import Point, Twin, Twins
from mirrorworld.client.values import Values
from mirrorworld.client.world import World

__all__ = [
    "Branch",
    "ClientError",
    "Command",
    "LocalAccess",
    "NotAllowedError",
    "NotConfirmedError",
    "NotFoundError",
    "Plan",
    "Point",
    "Subscription",
    "Twin",
    "Twins",
    "UnreachableError",
    "Values",
    "World",
    "connect",
]
