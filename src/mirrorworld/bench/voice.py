"""Voice: from where it seems to come, how late it is heard, and what forwarding it costs.

Two real Chromium pages meet in a world that `mirrorworld up` serves; they draw no scene, so that
sound has the machine. Directions are told from recorded stereo by the browser's own HRTF. A mouth
is the stream of a page's microphone and an ear what the listener's page plays: sound cards are not
in it. People at the forwarder are bots with sound that was coded before, on lines of their own; CPU
time is the forwarder's.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from mirrorworld.bench import city_browser
from mirrorworld.bench.serving import Serving, serving
from mirrorworld.bench.voice_bots import Bot
from mirrorworld.bench.voice_ears import FAKE_DEVICES, Ears, microphone, write_speech

WITHIN_MS: Final = 180_000
_VOICE: Final = "__mirrorworld.people.voice"
_STAND: Final = """
([x, z, deg]) => {
  const half = (-deg * Math.PI) / 360;
  const head = { position: [x, 1.7, z], rotation: [0, Math.sin(half), 0, Math.cos(half)] };
  __mirrorworld.scene.body = () => ({ head, left: null, right: null, pointer: null });
}
"""

# The time of a sample is that of its rendering, on the one clock of the machine: the least that was
# seen between a context's time and the clock is the one that no scheduling has delayed.
_CLOCK: Final = """
const clockOf = (context) => {
  let offset = Infinity;
  setInterval(() => {
    const now = performance.timeOrigin + performance.now();
    offset = Math.min(offset, now - context.currentTime * 1000);
  }, 5);
  return (s) => offset + s * 1000;
};
"""
_MOUTH: Final = (
    "() => {"
    + _CLOCK
    + """
  const context = new AudioContext({ latencyHint: "interactive" });
  const to = context.createMediaStreamDestination();
  const gain = new GainNode(context, { gain: 0 });
  new OscillatorNode(context, { frequency: 1000 }).connect(gain).connect(to);
  const tone = new OscillatorNode(context, { frequency: 1000 });
  tone.connect(gain);
  tone.start();
  const at = clockOf(context);
  window.__bursts = [];
  navigator.mediaDevices.getUserMedia = async () => {
    await context.resume();
    let next = context.currentTime + 0.5;
    setInterval(() => {
      while (next < context.currentTime + 1) {
        gain.gain.setValueAtTime(0.5, next);
        gain.gain.setValueAtTime(0, next + 0.08);
        window.__bursts.push(next);
        next += 0.6;
      }
    }, 100);
    window.__spoken = () => window.__bursts.map(at);
    return to.stream;
  };
}"""
)
_EAR: Final = (
    "async () => {"
    + _CLOCK
    + """
  const { ears } = __mirrorworld.people.voice;
  const code = `registerProcessor("onsets", class extends AudioWorkletProcessor {
    constructor() { super(); this.quiet = 0; }
    process([[left]]) {
      if (left === undefined) return true;
      for (let i = 0; i < left.length; i++) {
        if (Math.abs(left[i]) < 0.02) { this.quiet++; continue; }
        if (this.quiet > sampleRate / 5) this.port.postMessage(currentTime + i / sampleRate);
        this.quiet = 0;
      }
      return true;
    }
  })`;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  await ears.context.audioWorklet.addModule(url);
  const node = new AudioWorkletNode(ears.context, "onsets");
  const times = [];
  node.port.onmessage = ({ data }) => times.push(data);
  ears.out.connect(node);
  const at = clockOf(ears.context);
  window.__heard = () => times.map(at);
}"""
)


def run(
    directions: int = 12,
    bursts: int = 60,
    people: int = 30,
    speaking: int = 8,
    seconds: float = 10.0,
    pages: int = 2,
) -> dict[str, Any]:
    """Figures: `direction_error_deg`, `mouth_to_ear_ms_p95`, `forwarder_cpu_share`,
    `forwarder_cpu_share_per_stream`, `people`.

    Args:
        directions: from how many sides a voice comes, round the head.
        bursts: how many sounds are timed.
        people, speaking: at the forwarder, and how many of them speak.
        seconds: how long the forwarder is watched.
        pages: 0: without a browser, the forwarder alone.
    """
    figures: dict[str, Any] = {}
    if pages:
        with tempfile.TemporaryDirectory() as folder:
            speech = Path(folder) / "speech.wav"
            write_speech(speech)
            with serving(Path(folder) / "world") as served:
                figures |= _directions(served, speech, directions)
                figures |= _mouth_to_ear(served, bursts)
    return figures | asyncio.run(_forwarder(people, speaking, seconds))


# -- pages -----------------------------------------------------------------------------------------


def _pages(stack: ExitStack, served: Serving, *arguments: str, mouth: str = "") -> list[Any]:
    """A listener and a speaker in voice with each other."""
    browser = city_browser.chromium(stack, "page", *FAKE_DEVICES, *arguments)
    pages: list[Any] = []
    for name in ("listener", "speaker"):
        context = browser.new_context(bypass_csp=True)
        stack.callback(context.close)
        context.grant_permissions(["microphone"])
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        page.goto(f"{served.url}/?token={served.token}")
        page.wait_for_function("window.__mirrorworld?.mirror.link.state === 'live'")
        if mouth and name == "speaker":
            page.evaluate(mouth)
        page.evaluate(f"__mirrorworld.people.meeting.join('{name}')")
        page.wait_for_function("__mirrorworld.people.meeting.isIn")
        page.evaluate(f"void {_VOICE}.join()")
        pages.append(page)
    for page in pages:
        page.wait_for_function(f"[...({_VOICE}.ears?.heard.keys() ?? [])].length === 1")
    return pages


def _other(page: Any) -> int:
    return page.evaluate(f"[...{_VOICE}.ears.heard.keys()][0]")


def _directions(served: Serving, speech: Path, directions: int) -> dict[str, Any]:
    errors: list[float] = []
    with ExitStack() as stack:
        listener, speaker = _pages(stack, served, microphone(speech))
        id = _other(listener)
        speaker.evaluate(_STAND, [0, -3, 0])
        ears = Ears(listener)
        for number in range(directions):
            # Between the steps of the ruler, too.
            deg = number * 360 / directions + 7 * (number % 3 - 1)
            listener.evaluate(_STAND, [0, 0, -deg])
            a = math.radians(deg)
            listener.wait_for_function(
                f"(() => {{ const h = {_VOICE}.heardAs({id}); if (!h?.seen) return false;"
                f" return h.treatment === 'hrtf' && Math.abs(h.seen[0] - {3 * math.sin(a)}) < 0.1"
                f" && Math.abs(h.seen[2] + {3 * math.cos(a)}) < 0.1; }})()"
            )
            listener.wait_for_function(f"{_VOICE}.ears.heard.get({id}).level.read() > 0.01")
            found = ears.direction_deg(ears.record(id, 2.0))
            errors.append(abs((found - deg + 180) % 360 - 180))
    return {
        "direction_error_deg": round(max(errors), 1),
        "direction_error_deg_median": round(float(np.median(errors)), 1),
        "directions": directions,
    }


def _mouth_to_ear(served: Serving, bursts: int) -> dict[str, Any]:
    with ExitStack() as stack:
        listener, speaker = _pages(stack, served, mouth=_MOUTH)
        for page in (listener, speaker):
            page.evaluate(_STAND, [0, 0, 0])
        listener.evaluate(_EAR)
        listener.wait_for_function(f"__heard().length >= {bursts + 8}")
        heard = np.array(listener.evaluate("__heard()"))[8:]  # the first ones find the way
        spoken = np.array(speaker.evaluate("__spoken()"))
        playing_ms = listener.evaluate(f"{_VOICE}.ears.context.outputLatency * 1000")
    before = spoken[np.searchsorted(spoken, heard) - 1]
    ages = heard - before
    return {
        "mouth_to_ear_ms_p50": round(float(np.percentile(ages, 50)), 1),
        "mouth_to_ear_ms_p95": round(float(np.percentile(ages, 95)), 1),
        "bursts": len(ages),
        "output_latency_ms": round(playing_ms, 1),
    }


# -- the forwarder ---------------------------------------------------------------------------------


async def _forwarder(people: int, speaking: int, seconds: float) -> dict[str, Any]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mirrorworld.people.voice_forwarder",
        stdin=pipe, stdout=pipe, limit=1 << 20,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    bots = {number: Bot() for number in range(1, people + 1)}
    counts: list[tuple[float, dict[str, Any]]] = []

    def say(message: dict[str, Any]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(message).encode() + b"\n")

    async def hear() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            message = json.loads(line)
            match message["@"]:
                case "answer":
                    await bots[message["person"]].answer(message["sdp"])
                case "slots":
                    for person, slots in message["of"]:
                        bots[person].slots = slots
                case "counts":
                    counts.append((time.monotonic(), message))

    hearing = asyncio.create_task(hear())
    for number, bot in bots.items():
        say({"@": "offer", "person": number, "room": 1, "sdp": bot.offer})
    async with asyncio.timeout(120):
        await asyncio.gather(*(bot.ready.wait() for bot in bots.values()))
    say({"@": "places", "of": [[number, 3.0 * number, 1.7, 0.0] for number in bots]})
    for number in range(1, speaking + 1):
        bots[number].is_speaking = True
    await asyncio.sleep(4)
    for bot in bots.values():
        bot.delays_s.clear()
    first = len(counts)
    await asyncio.sleep(seconds)
    seen = counts[first:]
    delays = np.array([delay for bot in bots.values() for delay in bot.delays_s]) * 1e3
    for bot in bots.values():
        bot.close()
    process.stdin.close()
    await process.wait()
    hearing.cancel()
    took_s = seen[-1][0] - seen[0][0]
    out = seen[-1][1]["of"]["packets_out"] - seen[0][1]["of"]["packets_out"]
    share = float(np.mean([message["cpu_share"] for _, message in seen]))
    streams = out / took_s * 0.02  # fifty packets a second are one stream
    return {
        "forwarder_cpu_share": round(share, 4),
        "forwarder_cpu_share_per_person": round(share / people, 5),
        "forwarder_cpu_share_per_stream": round(share / max(streams, 1e-9), 6),
        "forwarded_streams": round(streams, 1),
        "forwarding_ms_p50": round(float(np.percentile(delays, 50)), 2),
        "forwarding_ms_p95": round(float(np.percentile(delays, 95)), 2),
        "people": people,
        "speaking": speaking,
    }
