"""A world as a service of the system: its systemd unit, and what systemd is told meanwhile."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

UNIT = """\
# Written by `mirrorworld service`; see systemd.service(5) and systemd.exec(5).
[Unit]
Description=Mirrorworld: {world}
Documentation=man:systemd.service(5)
After=network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
Restart=on-failure
RestartSec=5
# A clean end commits and writes a snapshot; that takes seconds, not minutes.
TimeoutStopSec=60
KillSignal=SIGTERM
WatchdogSec=60
{user}Environment=MIRRORWORLD_HOME={home}
UMask=0077
NoNewPrivileges=yes
PrivateTmp=yes
PrivateDevices={devices}
ProtectSystem=strict
ReadWritePaths={home}
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
LimitNOFILE=65536

[Install]
WantedBy={target}
"""


def unit(
    world: str,
    command: Sequence[str],
    home: str,
    *,
    user: str = "",
    is_of_user: bool = False,
) -> str:
    """The text of a systemd unit that runs a world.

    Args:
        command: what starts it, with absolute path.
        home: where worlds are kept, absolute; the only place that it may write.
        user: the account to run as; "" where it is a unit of the user's own.
        is_of_user: for `systemctl --user`.

    Raises:
        ValueError: a word has a line break or a quote in it, which a unit cannot carry.
    """
    for word in (world, *command, home, user):
        if any(character in word for character in "\n\r\"'\\"):
            raise ValueError(f"{word!r} cannot stand in a systemd unit; choose another name")
    return UNIT.format(
        world=_escaped(world),
        command=" ".join(f'"{_escaped(w)}"' if " " in w else _escaped(w) for w in command),
        home=_escaped(home),
        user=f"User={user}\n" if user else "",
        devices="no" if is_of_user else "yes",
        target="default.target" if is_of_user else "multi-user.target",
    )


def _escaped(word: str) -> str:
    return word.replace("%", "%%").replace("$", "$$")


def notify(state: str) -> bool:
    """Tells systemd how the service stands (`READY=1`, `STOPPING=1`, `WATCHDOG=1`).

    Returns whether there was anyone to tell. The protocol is that of sd_notify(3): one datagram
    to the socket that `$NOTIFY_SOCKET` names.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.settimeout(1)
            sending.sendto(state.encode(), address)
    except OSError:
        return False
    return True


def watchdog_s() -> float | None:
    """How often systemd wants to hear from the service: half its limit; None: not at all."""
    limit = os.environ.get("WATCHDOG_USEC", "")
    owner = os.environ.get("WATCHDOG_PID", "")
    if not limit.isdigit() or not int(limit) or (owner and owner != str(os.getpid())):
        return None
    return int(limit) / 2e6
