"""The pages before the page: trusting the authority, signing in, accepting an invitation. They work
without script.

Knows HTML and what is said on it; refuses to know who gets in.
"""

from __future__ import annotations

from html import escape
from typing import Final

from mirrorworld.server.words import say

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 10vh auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.1rem; margin-top: 1.75rem; }
label { display: block; margin: 0 0 .9rem; }
input, button, .button { font: inherit; padding: .65rem .75rem; border-radius: .5rem;
  border: 1px solid GrayText; width: 100%; box-sizing: border-box; }
button, .button { cursor: pointer; background: #1c6fd1; border-color: #1c6fd1; color: #fff; }
.button { display: block; text-align: center; text-decoration: none; margin: .5rem 0; }
.button.second { background: none; color: inherit; border-color: GrayText; }
:focus-visible { outline: 3px solid #6fb1ff; outline-offset: 2px; }
.error { border-left: 4px solid #d33; padding: .25rem .75rem; }
.mono { font: .95rem/1.6 ui-monospace, monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; padding: .35rem 0; }
li { margin: .3rem 0; }
details { margin-top: .5rem; }
details.quiet { margin-top: 1.5rem; color: GrayText; }
small { color: GrayText; display: block; }
"""

STEPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "Android",
        (
            "Download the certificate.",
            "Settings › Security & privacy › More security settings › Encryption & credentials ›"
            " Install a certificate › CA certificate.",
            "Install anyway, and choose mirrorworld.crt among the downloads.",
        ),
    ),
    (
        "iPhone, iPad",
        (
            "Download the profile, in Safari, and allow it.",
            "Settings › General › VPN & Device Management: install the profile.",
            "Settings › General › About › Certificate Trust Settings: switch it on.",
        ),
    ),
    (
        "Meta Quest",
        (
            "Headsets take authorities from a computer: turn on developer mode, connect the cable,"
            " copy mirrorworld.crt with adb push to /sdcard/Download/.",
            "adb shell am start -a android.settings.SECURITY_SETTINGS opens the settings; install"
            " it there as on Android.",
            "Where that is locked, give the server a certificate that the headset trusts already:"
            " mirrorworld up --certificate … --key …",
        ),
    ),
    (
        "Windows",
        (
            "Download the certificate and open it: Install Certificate › Local Machine.",
            "Place all certificates in the following store: Trusted Root Certification"
            " Authorities.",
        ),
    ),
    (
        "macOS",
        (
            "Download the certificate and open it; Keychain Access takes it.",
            "Open it there, and under Trust choose Always Trust.",
        ),
    ),
    (
        "Linux",
        (
            "Download the certificate, then: sudo cp mirrorworld.crt"
            " /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
            "Chrome and Chromium: Settings › Privacy and security › Security › Manage certificates"
            " › Authorities › Import.",
        ),
    ),
    (
        "Firefox",
        (
            "Firefox has a list of its own: Settings › Privacy & Security › Certificates › View"
            " Certificates › Authorities › Import.",
            "Tick: trust this authority to identify websites.",
        ),
    ),
)
"""What to do on each kind of device, so that it trusts the world's authority."""


def _page(language: str, title: str, body: str) -> bytes:
    return f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>Mirrorworld: {escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_STYLE}</style></head><body><main>
{body}
</main></body></html>
""".encode()


def _error(language: str, complaint: str) -> str:
    said = escape(say(language, complaint)) if complaint else ""
    return f'<p class="error" role="alert"><strong>{said}</strong></p>' if complaint else ""


def sign_in(language: str, complaint: str, *, has_accounts: bool) -> bytes:
    """Where a visitor without a session is asked who they are."""
    t = _speaker(language)
    token = f"""<form method="post" action="/api/session">
<label>{t("Token")} <input name="token" type="password" autocomplete="off" required></label>
<button>{t("Enter")}</button>
</form>"""
    if not has_accounts:
        return _page(
            language,
            say(language, "token needed"),
            f"""<h1>{t("This world is its owner's")}</h1>
<p>{
                t(
                    "Open the address that mirrorworld up printed when it started (it ends in"
                    " ?token=…), or paste the token here. It is also in the file token in the"
                    " world's folder, and opens from this machine only."
                )
            }</p>
{_error(language, complaint)}
{token}""",
        )
    return _page(
        language,
        say(language, "sign in"),
        f"""<h1>{t("Sign in")}</h1>
{_error(language, complaint)}
<form method="post" action="/api/session">
<label>{t("Name")} <input name="name" autocomplete="username webauthn" autocapitalize="none"
 spellcheck="false" autofocus required></label>
<label>{t("Password")} <input name="password" type="password" autocomplete="current-password"
 required></label>
<button>{t("Sign in")}</button>
</form>
<div id="ways" data-by="{t("Sign in with {way}")}" data-passkey="{t("a passkey")}"></div>
<script type="module" src="/api/enter/ways.js"></script>
<details class="quiet"><summary>{t("I have the owner's token")}</summary>
<p>{t("It opens from the machine that the world runs on; mirrorworld up printed it.")}</p>
{token}</details>""",
    )


def welcome(
    language: str, secret: str, role: str, subtree: str, complaint: str, name: str
) -> bytes:
    """Where an invitation leads."""
    t = _speaker(language)
    what = say(language, role) + (f" · {subtree}" if subtree else "")
    return _page(
        language,
        say(language, "welcome"),
        f"""<h1>{t("Welcome")}</h1>
<p>{t("You are invited as:")} <strong>{escape(what)}</strong></p>
<p>{
            t(
                "Choose how you are called here, and a password of 12 characters or more; a few"
                " words in a row are good."
            )
        }</p>
{_error(language, complaint)}
<form method="post" action="/welcome">
<input type="hidden" name="invitation" value="{escape(secret)}">
<label>{t("Name")} <input name="name" value="{escape(name)}" autocomplete="username"
 autocapitalize="none" spellcheck="false" maxlength="64" autofocus required></label>
<label>{t("Password")} <input name="password" type="password" autocomplete="new-password"
 minlength="12" maxlength="256" required></label>
<button>{t("Enter the world")}</button>
</form>""",
    )


def guest(language: str, secret: str, role: str, complaint: str, name: str) -> bytes:
    """Where a link for guests leads."""
    t = _speaker(language)
    return _page(
        language,
        say(language, "welcome"),
        f"""<h1>{t("Welcome")}</h1>
<p>{t("You are asked to a meeting in this world, as a guest:")} <strong>{t(role)}</strong></p>
<p>{t("The others see your name, where you are and what you select. None of it is kept.")}</p>
{_error(language, complaint)}
<form method="post" action="/welcome">
<input type="hidden" name="guest" value="{escape(secret)}">
<label>{t("Your name")} <input name="name" value="{escape(name)}" autocomplete="nickname"
 spellcheck="false" maxlength="40" autofocus required></label>
<button>{t("Join the meeting")}</button>
</form>""",
    )


def entered(language: str) -> bytes:
    """Leads into the world after a provider has vouched."""
    return _page(
        language,
        say(language, "entering"),
        '<meta http-equiv="refresh" content="0;url=/">'
        f'<p><a href="/">{escape(say(language, "Into the world"))}</a></p>',
    )


def no_entry(language: str, complaint: str) -> bytes:
    """What a frame in another page says where its key opens nothing."""
    return _page(language, complaint, _error(language, complaint))


def no_invitation(language: str) -> bytes:
    """Where a used, old or invented invitation leads."""
    t = _speaker(language)
    said = t("Each one is used once and holds for a few days. Ask who sent it for another.")
    return _page(
        language,
        say(language, "no invitation"),
        f"<h1>{t('This invitation is no longer good')}</h1><p>{said}</p>",
    )


def first_steps(language: str, fingerprint: str, address: str) -> bytes:
    """How a device comes to trust the world's authority. The page at the plain door."""
    t = _speaker(language)
    steps = "\n".join(
        f"<details><summary>{t(system)}</summary><ol>"
        + "".join(f"<li>{t(step)}</li>" for step in lines)
        + "</ol></details>"
        for system, lines in STEPS
    )
    return _page(
        language,
        say(language, "trust this world"),
        f"""<h1>{t("Trust this world once")}</h1>
<p>{
            t(
                "Microphones, headsets and notifications work only on pages that the device trusts."
                " This world has an authority of its own; it can vouch for private addresses only."
            )
        }</p>
<h2>1. {t("Get its certificate")}</h2>
<a class="button" href="/mirrorworld.crt" download="mirrorworld.crt">{t("Certificate")}</a>
<a class="button second" href="/mirrorworld.mobileconfig">{t("Profile for iPhone and iPad")}</a>
<h2>2. {t("Compare the fingerprint")}</h2>
<p>{
            t(
                "This page comes without encryption. Compare with what the owner sees before you"
                " install anything (SHA-256):"
            )
        }</p>
<p class="mono">{escape(fingerprint)}</p>
<h2>3. {t("Install it")}</h2>
{steps}
<h2>4. {t("Come in")}</h2>
<p><a class="mono" href="{escape(address)}">{escape(address)}</a></p>""",
    )


def _speaker(language: str):
    def t(english: str) -> str:
        return escape(say(language, english))

    return t
