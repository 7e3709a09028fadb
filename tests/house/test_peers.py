"""The fixtures themselves: a broker that answers, a browser that draws, a Node that runs."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

# MQTT 3.1.1 §3.1: CONNECT, protocol level 4, clean session, keep-alive 60 s, client id "t".
CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01t"
CONNACK_ACCEPTED = b"\x20\x02\x00\x00"
CONNACK_NOT_AUTHORISED = b"\x20\x02\x00\x05"


@pytest.mark.peer
def test_broker_answers_and_survives_a_restart_on_its_port(mosquitto) -> None:
    for _ in range(2):
        with socket.create_connection((mosquitto.host, mosquitto.port), timeout=5) as client:
            client.sendall(CONNECT)
            assert client.recv(4) == CONNACK_ACCEPTED
        mosquitto.kill()
        mosquitto.start()


@pytest.mark.peer
def test_broker_with_tls_and_without_anonymous_clients(
    start_mosquitto: Callable, certificates
) -> None:
    broker = start_mosquitto(
        "allow_anonymous false",
        f"cafile {certificates.authority}",
        f"certfile {certificates.certificate}",
        f"keyfile {certificates.key}",
    )
    trust = ssl.create_default_context(cafile=str(certificates.authority))
    with (
        socket.create_connection((broker.host, broker.port), timeout=5) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(CONNECT)
        assert client.recv(4) == CONNACK_NOT_AUTHORISED


@pytest.mark.peer
def test_broker_that_cannot_start_shows_its_configuration(start_mosquitto: Callable) -> None:
    with pytest.raises(RuntimeError, match="no_such_setting"):
        start_mosquitto("no_such_setting true")


@pytest.mark.peer
def test_node_reaches_its_peers(node: str, peers_dir: Path) -> None:
    script = "console.log(typeof require('node-opcua').OPCUAServer)"
    done = subprocess.run(
        [node, "-e", script], cwd=peers_dir, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "function"


@pytest.mark.browser
def test_browser_draws_with_webgl2(chromium_page: Page) -> None:
    pixel = chromium_page.evaluate(
        """() => {
            const gl = document.createElement("canvas").getContext("webgl2");
            gl.clearColor(1, 0.5, 0, 1);
            gl.clear(gl.COLOR_BUFFER_BIT);
            const rgba = new Uint8Array(4);
            gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, rgba);
            return Array.from(rgba);
        }"""
    )
    assert pixel == [255, 128, 0, 255]
