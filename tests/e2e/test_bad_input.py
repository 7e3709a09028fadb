"""What goes wrong is said in a line that names the place and the mend, and nothing crashes.

Where the program cannot go on it ends with a status that is not 0; where it can, as when a source
cannot be reached, the page is there and says so.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Broker, Certificates
from tests.connectors.opcua_peer import NodeOpcua
from tests.e2e.conftest import Up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def refused(run: Up, *arguments: str, says: tuple[str, ...], status: int = 1) -> None:
    """Runs `mirrorworld up`, which must end by itself with a short message."""
    ended = run("up", "--no-browser", *arguments)
    assert ended.until_ended() == status, ended.said
    message = "".join(ended.err)
    assert "Traceback" not in message, message
    assert len(message.strip().splitlines()) <= 2, message
    for words in says:
        assert words in message, message
    assert not ended.out, ended.said


# --- it cannot go on -------------------------------------------------------------------------


def test_what_was_asked_for_makes_no_sense(run: Up, tmp_path: Path) -> None:
    refused(run, "fax://plant", says=("fax://plant", "speaks 'fax'", "opc.tcp"))
    refused(run, "--world", "nowhere", says=("nowhere", "no such world", "bottling_line"))
    refused(run, "--option", "nonsense", says=("--option nonsense", "KEY=VALUE"))
    refused(run, "--option", "colour=red", says=("colour", "no such option", "jam_after_s"))
    refused(run, "--name", "x", "mqtt://a", "mqtt://b", says=("--name",))
    assert not list(tmp_path.iterdir())


def test_directory_that_cannot_be_written(run: Up, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    refused(run, "mqtt://a", "--dir", str(file / "world"), says=(str(file), "--dir"))
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() != 0:  # root may write there
        refused(run, "mqtt://a", "--dir", str(locked / "world"), says=(str(locked), "--dir"))


def test_port_in_use(run: Up, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        arguments = ("mqtt://127.0.0.1:1", "--port", str(port), "--dir", str(tmp_path))
        refused(run, *arguments, says=(f"port {port}", "in use", "--port"))


def test_world_that_is_open_already(run: Up, up: Up, tmp_path: Path) -> None:
    first = up("mqtt://127.0.0.1:1", directory=tmp_path)
    refused(run, "--port", "0", "--dir", str(tmp_path), says=(str(first.process.pid),))
    assert first.get("world")["id"]


# --- a record that was damaged ----------------------------------------------------------------


@pytest.fixture
def recorded(up: Up, tmp_path: Path) -> Iterator[Path]:
    """The directory of a world with a few thousand samples, cut off by a power cut."""
    rows = "\n".join(f"{1_700_000_000_000 + i},{i * i % 997}" for i in range(20_000))
    table = tmp_path / "oven.csv"
    table.write_text(f"ts,temperature\n{rows}\n")
    directory = tmp_path / "world"
    world = up(str(table), directory=directory)
    world.until_source("oven", "ended")
    for number in range(3):
        edit = {"@": "PutProperty", "twin": "oven", "property": {"name": f"n{number}", "value": 1}}
        assert world.post("edits", {"edits": [edit]}).status_code == 200
    world.kill()
    yield directory


def log_of(directory: Path) -> Path:
    (path,) = sorted((directory / "record" / "log").glob("*.mwlog"))
    return path


def test_corrupt_log_is_refused_by_name(run: Up, recorded: Path) -> None:
    path = log_of(recorded)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    path.write_bytes(raw)
    refused(run, "--port", "0", "--dir", str(recorded), says=(path.name,))
    assert path.read_bytes() == raw, "what is damaged is left for who can mend it"


def test_log_that_does_not_follow_is_refused(run: Up, recorded: Path) -> None:
    path = log_of(recorded)
    raw = path.read_bytes()
    # Whole blocks that were there before, as a restored file system may bring them back.
    path.write_bytes(raw + raw[64:])
    refused(run, "--port", "0", "--dir", str(recorded), says=(str(recorded), "backup"))


def test_torn_tail_is_cut_and_told(up: Up, recorded: Path) -> None:
    path = log_of(recorded)
    raw = path.read_bytes()
    # As if the power had gone while the next block was being written.
    path.write_bytes(raw + raw[64:164])
    world = up(directory=recorded)
    told = world.until("it is told", lambda: "".join(world.err))
    assert path.name in told and "Traceback" not in told, told
    kept = {p["name"] for p in world.get("twins/oven")["twin"]["properties"]}
    assert {"n0", "n1", "n2"} <= kept
    table = world.history("oven.temperature")["oven.temperature"]
    assert table["value"].to_pylist() == [i * i % 997 for i in range(20_000)]
    assert world.stop() == 0


# --- it can go on -----------------------------------------------------------------------------


@pytest.fixture
def locked_server(node: str, peers_dir: Path, tmp_path: Path) -> Iterator[NodeOpcua]:
    peer = NodeOpcua(node, peers_dir, tmp_path / "pki", secure=True, users={"ann": "secret"})
    yield peer.start()
    peer.kill()


@pytest.mark.peer
def test_sources_that_cannot_be_had(
    locked_server: NodeOpcua,
    start_mosquitto: Callable[..., Broker],
    certificates: Certificates,
    free_port: Callable[[], int],
    up: Up,
    tmp_path: Path,
) -> None:
    private = start_mosquitto(
        f"cafile {certificates.authority}",
        f"certfile {certificates.certificate}",
        f"keyfile {certificates.key}",
    )
    nobody = free_port()
    world = up("opc.tcp://nowhere.invalid:4840", "--name", "typo")

    def add(name: str, url: str, **more: object) -> None:
        answer = world.post("sources", {"name": name, "url": url, **more})
        assert answer.status_code == 201, answer.text

    def stands(name: str, *words: str) -> dict:
        """The source, once it says all the words."""

        def look() -> dict | None:
            found = world.source(name)
            says = found.get("detail", "")
            return found if all(word in says for word in words) else None

        found = world.until(f"{name} says {words}; {world.source(name)}", look, 40)
        assert found["state"] != "live"
        return found

    add("closed", f"opc.tcp://127.0.0.1:{nobody}")
    add("silent", f"mqtt://127.0.0.1:{nobody}")
    add("foreign", f"mqtts://127.0.0.1:{private.port}")
    add("misspelt", f"mqtt://127.0.0.1:{nobody}", options={"quos": 1})
    add("absent", str(tmp_path / "absent.csv"))
    add("secret", locked_server.url, username="ann", password="wrong")
    stands("typo", "nowhere.invalid", "no such host")
    stands("closed", str(nobody))
    stands("silent", str(nobody), "broker running")
    assert stands("foreign", "tls_ca")["state"] in ("refused", "lost")
    assert stands("misspelt", "quos")["state"] == "refused"
    assert stands("absent", "absent.csv", "no such file")["state"] == "refused"

    # A certificate that nobody has compared yet: asked about, and not used before.
    def asks() -> list[dict]:
        return world.source("secret").get("pending", [])

    (pending,) = world.until("the certificate is asked about", asks, 40)
    wrong = world.post("sources/secret/trust", {"fingerprint": "00:11"})
    assert wrong.status_code == 422, wrong.text
    trusted = world.post("sources/secret/trust", {"fingerprint": pending["fingerprint"]})
    assert trusted.status_code == 200, trusted.text
    stands("secret", "password")

    # What cannot even be tried is answered at once.
    for url, word in (("fax://plant", "fax"), ("", "")):
        answer = world.post("sources", {"url": url, "name": "x"})
        assert answer.status_code in (400, 422), answer.text
        assert word in answer.json()["detail"]
    assert "Traceback" not in world.said
    assert world.client.get("/healthz").status_code == 200
    assert world.stop() == 0


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    """`mirrorworld worlds | head -0` ends without a traceback."""
    program = str(Path(sys.executable).parent / "mirrorworld")
    done = subprocess.run(
        f'"{program}" worlds --help | head -c 1 > /dev/null',
        shell=True, capture_output=True, text=True, timeout=60,
        env={**os.environ, "MIRRORWORLD_HOME": str(tmp_path)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
