"""What arrives at a listener's ears in a real page, and where it seems to come from.

The browser's own HRTF, rendered beforehand for known directions, is the ruler: the two ears' levels
by band and their lag are compared with what each direction would have made of the same voice.
"""

from __future__ import annotations

import base64
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from playwright.sync_api import Page

RATE_HZ: Final = 48_000
STEP_DEG: Final = 5
FAKE_DEVICES: Final = ("--use-fake-device-for-media-stream",)
_BANDS_HZ: Final = np.geomspace(300, 9_000, 16)
_BLOCK: Final = 4_096
_SETTLES: Final = 6
"""So many blocks of what is played first may still be of the direction before."""
_LAG_DB: Final = 0.5
"""A sample of lag between the ears weighs as much as this difference in level."""


def microphone(path: Path) -> str:
    """The argument by which Chromium takes a file for what is spoken."""
    return f"--use-file-for-fake-audio-capture={path}"


def write_speech(path: Path, seconds: float = 4.0) -> None:
    """Something like speech: syllables with many harmonics, so that all bands have something."""
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    pitch_hz = 120 + 25 * np.sin(2 * np.pi * 0.9 * t) + 12 * np.sin(2 * np.pi * 2.3 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    sound = sum(np.sin(k * phase + k * k) / k**0.35 for k in range(1, 70))
    sound *= np.clip(np.sin(2 * np.pi * 1.9 * t), 0, None) ** 0.6
    samples = (0.35 * 32_767 * sound / np.abs(sound).max()).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())


_PACK: Final = """
const pack = (chunks) => {
  const all = new Float32Array(chunks.reduce((n, c) => n + c.length, 0));
  let at = 0;
  for (const c of chunks) { all.set(c, at); at += c.length; }
  let text = "";
  const bytes = new Uint8Array(all.buffer);
  for (let i = 0; i < bytes.length; i += 32768)
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  return btoa(text);
};
"""

_RULER: Final = (
    "async ([step, rate]) => {"
    + _PACK
    + """
  const made = [];
  for (let deg = 0; deg < 360; deg += step) {
    const context = new OfflineAudioContext(2, 1024, rate);
    const buffer = context.createBuffer(1, 1, rate);
    buffer.getChannelData(0)[0] = 1;
    const a = (deg * Math.PI) / 180;
    const panner = new PannerNode(context, { panningModel: "HRTF", rolloffFactor: 0,
      positionX: 3 * Math.sin(a), positionY: 0, positionZ: -3 * Math.cos(a) });
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(panner).connect(context.destination);
    source.start();
    const done = await context.startRendering();
    made.push(done.getChannelData(0), done.getChannelData(1));
  }
  return pack(made);
}"""
)

_RECORD: Final = (
    "async ([seconds, id, skip]) => {"
    + _PACK
    + """
  const { ears } = __mirrorworld.people.voice;
  const context = ears.context;
  const split = context.createChannelSplitter(2);
  const merge = context.createChannelMerger(3);
  ears.out.connect(split);
  split.connect(merge, 0, 0);
  split.connect(merge, 1, 1);
  const voice = ears.heard.get(id).level.node;
  voice.connect(merge, 0, 2);
  const tap = context.createScriptProcessor(4096, 3, 1);
  const chunks = [];
  let skipped = 0;
  await new Promise((resolve) => {
    tap.onaudioprocess = ({ inputBuffer }) => {
      // Breaks between words, and what a busy machine leaves out, tell nothing.
      const voice = inputBuffer.getChannelData(2);
      if (voice.reduce((sum, sample) => sum + sample * sample, 0) < 0.1) return;
      if (skipped++ < skip) return;
      for (let c = 0; c < 3; c++) chunks.push(inputBuffer.getChannelData(c).slice());
      if (chunks.length >= (3 * seconds * context.sampleRate) / 4096) resolve();
    };
    merge.connect(tap).connect(context.destination);
  });
  tap.disconnect();
  merge.disconnect();
  voice.disconnect(merge);
  ears.out.disconnect(split);
  return { rate: context.sampleRate, data: pack(chunks) };
}"""
)

Signal = NDArray[np.float64]


class Ears:
    """A page's ears, once somebody is heard in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        rate = page.evaluate("__mirrorworld.people.voice.ears.context.sampleRate")
        flat = _unpacked(page.evaluate(_RULER, [STEP_DEG, rate]))
        self._ruler = np.fft.rfft(flat.reshape(-1, 2, 1_024), _BLOCK, axis=2)
        self._hz = np.fft.rfftfreq(_BLOCK, 1 / rate)

    def record(self, id: int, seconds: float) -> Signal:
        """What comes: blocks × (left, right, the voice before walls and head) × samples.

        Only blocks in which there is a voice count towards the seconds.
        """
        got: dict[str, Any] = self.page.evaluate(_RECORD, [seconds, id, _SETTLES])
        return _unpacked(got["data"]).reshape(-1, 3, _BLOCK)

    def powers(self, blocks: Signal) -> Signal:
        """Power by frequency of left, right and voice, 3 × bins."""
        return (np.abs(_spectra(blocks)) ** 2).sum(axis=0)

    def band_db(self, blocks: Signal, low_hz: float, high_hz: float) -> float:
        """How much louder a band is at the ears than in the voice itself, dB."""
        inside = (self._hz >= low_hz) & (self._hz < high_hz)
        left, right, voice = self.powers(blocks)[:, inside].sum(axis=1)
        return float(10 * np.log10((left + right) / voice))

    def side_db(self, blocks: Signal) -> float:
        """How much louder the right ear is than the left, dB."""
        left, right, _ = self.powers(blocks).sum(axis=1)
        return float(10 * np.log10(right / left))

    def direction_deg(self, blocks: Signal) -> float:
        """Where the voice seems to come from: 0 is in front, 90 to the right."""
        spectra = _spectra(blocks)
        voice = (np.abs(spectra[:, 2]) ** 2).sum(axis=0)
        heard = self._cues(
            (np.abs(spectra[:, 0]) ** 2).sum(axis=0),
            (np.abs(spectra[:, 1]) ** 2).sum(axis=0),
            (spectra[:, 0] * spectra[:, 1].conj()).sum(axis=0),
        )
        costs: list[float] = []
        for left, right in self._ruler:
            cross = voice * left * right.conj()
            cues = self._cues(voice * np.abs(left) ** 2, voice * np.abs(right) ** 2, cross)
            lag = _LAG_DB * (heard[1] - cues[1])
            costs.append(float(np.mean((heard[0] - cues[0]) ** 2) + lag**2))
        return float(int(np.argmin(costs)) * STEP_DEG)

    def _cues(self, left: Signal, right: Signal, cross: Any) -> tuple[Signal, float]:
        """Levels between the ears by band, dB, and their lag in samples."""
        band = np.digitize(self._hz, _BANDS_HZ)
        inside = (band > 0) & (band < len(_BANDS_HZ))
        n = len(_BANDS_HZ)
        sums = [np.bincount(band[inside], each[inside], n)[1:] for each in (left, right)]
        weight = np.where(self._hz < 2_000, 1.0, 0.0)  # above, a lag is not told from a turn
        lags = np.fft.fftshift(np.fft.irfft(cross * weight))
        middle = len(lags) // 2
        near = lags[middle - 60 : middle + 61]
        return 10 * np.log10(sums[0] / sums[1]), float(np.argmax(near) - 60)


def _spectra(blocks: Signal) -> Any:
    return np.fft.rfft(blocks * np.hanning(_BLOCK), axis=2)


def _unpacked(text: str) -> Signal:
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float64)
