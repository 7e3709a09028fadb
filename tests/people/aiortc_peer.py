"""A foreign peer at the forwarder: speaks a tone by aiortc, and tells which tone it hears.

`python aiortc_peer.py HZ` prints its offer and reads the answer, each a JSON object a line; later
it prints `{"hears": hz}`, the strongest tone of what came.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import sys
import time

import numpy as np
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame

RATE = 48_000


class Tone(AudioStreamTrack):
    """A tone as one speaks: 20 ms after 20 ms."""

    def __init__(self, hz: float) -> None:
        super().__init__()
        self._hz, self._at, self._start = hz, 0, time.time()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._at / RATE - time.time()))
        phase = 2 * np.pi * self._hz * (self._at + np.arange(960)) / RATE
        samples = (8_000 * np.sin(phase)).astype(np.int16)[None, :]
        frame = AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._at
        frame.time_base = fractions.Fraction(1, RATE)
        self._at += 960
        return frame


async def listen(track: AudioStreamTrack) -> None:
    """Tells the strongest tone of each half second that is not silent."""
    heard = np.zeros(0)
    while True:
        frame = await track.recv()
        assert isinstance(frame, AudioFrame)
        samples = frame.to_ndarray().astype(float).reshape(-1, len(frame.layout.channels))
        heard = np.append(heard, samples[:, 0])
        if len(heard) < RATE // 2:
            continue
        if np.abs(heard).max() > 500:
            strongest = np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard)))))
            print(json.dumps({"hears": strongest * frame.sample_rate / len(heard)}), flush=True)
        heard = heard[:0]


async def main() -> None:
    """Offers, and speaks and hears until it is ended."""
    connection = RTCPeerConnection()
    connection.addTransceiver(Tone(float(sys.argv[1])), direction="sendonly")
    tasks: list[asyncio.Task[None]] = []
    connection.on("track", lambda track: tasks.append(asyncio.create_task(listen(track))))
    for _ in range(2):
        connection.addTransceiver("audio", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    print(json.dumps({"offer": connection.localDescription.sdp}), flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    answer = RTCSessionDescription(json.loads(line)["answer"], "answer")
    await connection.setRemoteDescription(answer)
    await asyncio.Event().wait()


asyncio.run(main())
