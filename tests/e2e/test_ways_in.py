"""People come in by passkey and by a provider of another make, in a real browser."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from mirrorworld.live.guard import RoleGuard
from mirrorworld.server import serve
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.oidc import Provider
from mirrorworld.trust.policy import GrantGuard
from tests.server.stand_in import TOKEN, line

PASSWORD = "correct horse battery"


@dataclass
class Here:
    url: str
    accounts: Accounts


@contextmanager
def world(port: int, *providers: Provider) -> Iterator[Here]:
    """A served world in a loop of its own, since the browser is driven without one."""
    accounts = Accounts()
    accounts.add_person("ada", PASSWORD, [Grant("owner")])
    started, loops = threading.Event(), []
    stop = asyncio.Event()

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        mirror = line()
        mirror.guard = GrantGuard(RoleGuard(), accounts, lambda _: ())  # pyright: ignore
        await serve(
            mirror,  # pyright: ignore[reportArgumentType]
            token=TOKEN,
            port=port,
            accounts=accounts,
            providers=providers,
            on_ready=lambda _: started.set(),
            stop=stop,
        )

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(20)
    try:
        yield Here(f"http://localhost:{port}", accounts)
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(20)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    yield context.new_page()
    context.close()


def me(page: Page) -> dict:
    """Who the page's session speaks for, once it has one."""
    page.wait_for_function(
        "() => document.title !== '' && !document.title.startsWith('Mirrorworld: ')"
    )
    return page.evaluate("async () => (await fetch('/api/session')).json()")


@pytest.mark.browser
def test_a_passkey_is_made_and_opens(page: Page, free_port: Callable[[], int]):
    with world(free_port()) as here:
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        devices.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        page.goto(here.url)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        assert me(page)["name"] == "ada"
        made = page.evaluate(
            """async () => {
              const headers = { "X-Mirrorworld": "1", "Content-Type": "application/json" };
              const ask = async (path, body) =>
                (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
              const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
                await ask("/api/passkeys/options", {}));
              const credential = await navigator.credentials.create({ publicKey });
              return ask("/api/passkeys?label=laptop", credential.toJSON());
            }"""
        )
        assert [each["label"] for each in made["passkeys"]] == ["laptop"]
        page.context.clear_cookies()
        page.goto(here.url)
        page.get_by_role("button", name="Sign in with a passkey").click()
        assert me(page)["name"] == "ada"
        assert here.accounts.sessions("ada")[0]["way"] == "passkey"
        # The answer to one challenge opens nothing a second time, nor does an invented one.
        assert (
            page.evaluate(
                """async () => (await fetch("/api/enter/passkey", {
                  method: "POST",
                  headers: { "X-Mirrorworld": "1", "Content-Type": "application/json" },
                  body: JSON.stringify({ id: "AAAA", response: {} }),
                })).status"""
            )
            == 401
        )


@pytest.fixture
def provider(
    node: str, free_port: Callable[[], int], tmp_path: Path
) -> Iterator[tuple[Provider, int]]:
    """npm oidc-provider on loopback, and the port that it sends people back to."""
    from tests.conftest import PEERS, missing

    if not (PEERS / "node_modules" / "oidc-provider").exists():
        missing("npm oidc-provider", "make test installs it")
    own, back = free_port(), free_port()
    callback = f"http://localhost:{back}/api/enter/oidc/works/callback"
    with open(tmp_path / "provider.log", "wb") as log:
        process = subprocess.Popen(
            [node, "oidc_provider.mjs", str(own), callback],
            cwd=PEERS,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline()
        issuer = f"http://127.0.0.1:{own}"
        roles = {"plant-ops": "operator"}
        yield (
            Provider(
                "works", issuer, "mirrorworld", "a-secret-of-the-test", "Works ID", roles=roles
            ),
            back,
        )
        process.terminate()
        process.wait(10)


@pytest.mark.browser
@pytest.mark.peer
def test_a_provider_vouches_for_people(page: Page, provider: tuple[Provider, int]):
    works, port = provider
    with world(port, works) as here:

        def come(name: str) -> None:
            page.goto("about:blank")
            page.context.clear_cookies()
            page.goto(here.url)
            page.get_by_role("button", name="Sign in with Works ID").click()
            page.locator("input[name=login]").fill(name)
            page.locator("input[name=password]").fill("any")
            page.get_by_role("button", name="Sign-in").click()
            page.get_by_role("button", name="Continue").click()
            page.wait_for_url(f"{here.url}/**")
            # The page in between leads on by itself.
            page.wait_for_function("() => document.title && !document.title.includes('entering')")

        come("ops-kim")
        who = me(page)
        assert (who["name"], who["grants"]) == ("ops-kim", [{"role": "operator", "subtree": ""}])
        come("ops-kim")
        assert [p["name"] for p in here.accounts.people()] == ["ada", "ops-kim"]
        come("visitor")
        assert "no account here" in page.get_by_role("alert").inner_text()
        assert [p["name"] for p in here.accounts.people()] == ["ada", "ops-kim"]
