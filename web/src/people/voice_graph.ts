/**
 * Voices as sound: each remote stream through walls, distance and a head into the two ears.
 *
 *     stream → level → volume → muffler → panner → ears
 *
 * The listener stays at the origin and voices are placed as seen from their head (`seenFrom`): it
 * needs nothing of the browser's listener, which they do not agree on. Loudness is a gain of ours, so
 * that it glides; the panner gives direction alone.
 */

import { loudnessAt, through, type Treatment } from "./voice_place.ts";

/** How fast gains and filters follow, s. */
const GLIDE_S = 0.06;
/** Root mean square from which somebody is taken to speak, of 1. */
const SPEAKING = 0.012;
/** They are, too, in the breaks between words, ms. */
const HANGOVER_MS = 350;

/** How loud a signal is right now. */
export class Level {
  readonly node: AnalyserNode;
  readonly #samples: Float32Array<ArrayBuffer>;
  #spokeMs = -Infinity;

  constructor(context: BaseAudioContext) {
    this.node = context.createAnalyser();
    this.node.fftSize = 1024;
    this.#samples = new Float32Array(this.node.fftSize);
  }

  /** Root mean square of the last 20 ms or so, of 1. */
  read(): number {
    this.node.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const level = Math.sqrt(sum / this.#samples.length);
    if (level > SPEAKING) this.#spokeMs = performance.now();
    return level;
  }

  /** Whether somebody speaks, as of the last readings. */
  get isSpeaking(): boolean {
    return performance.now() - this.#spokeMs < HANGOVER_MS;
  }
}

/** One voice that is heard. */
export class Heard {
  readonly level: Level;
  readonly stream: MediaStream;
  treatment: Treatment = "silent";
  walls = 0;
  /** Where it comes from, as seen from the listener's head, m; null: from nowhere. */
  seen: readonly [number, number, number] | null = null;
  readonly #context: AudioContext;
  readonly #source: MediaStreamAudioSourceNode;
  readonly #volume: GainNode;
  readonly #muffler: BiquadFilterNode;
  readonly #panner: PannerNode;
  readonly #out: AudioNode;
  /** Without an element that plays it, Chromium lets a remote stream be silent in Web Audio. */
  readonly #element = new Audio();
  #isJoined = false;

  constructor(context: AudioContext, stream: MediaStream, out: AudioNode) {
    this.stream = stream;
    this.#context = context;
    this.#out = out;
    this.#element.muted = true;
    this.#element.srcObject = stream;
    void this.#element.play().catch(() => undefined);
    this.level = new Level(context);
    this.#source = context.createMediaStreamSource(stream);
    this.#volume = context.createGain();
    this.#volume.gain.value = 0;
    this.#muffler = context.createBiquadFilter();
    this.#muffler.type = "lowpass";
    this.#muffler.frequency.value = 20_000;
    this.#panner = context.createPanner();
    this.#panner.panningModel = "equalpower";
    this.#panner.rolloffFactor = 0;
    this.#source.connect(this.level.node).connect(this.#volume).connect(this.#muffler).connect(this.#panner);
  }

  /**
   * Puts the voice where it comes from.
   *
   * @param seen Its place as seen from the listener's head, m; null: in the middle of the head, as loud
   *   as it was spoken.
   * @param volume What the listener set for this person, of 1.
   */
  place(seen: readonly [number, number, number] | null, treatment: Treatment, walls: number, volume: number): void {
    const now = this.#context.currentTime;
    this.treatment = treatment;
    this.walls = walls;
    this.seen = seen;
    if (treatment !== "silent" && !this.#isJoined) {
      this.#panner.connect(this.#out);
      this.#isJoined = true;
    }
    const model = treatment === "hrtf" ? "HRTF" : "equalpower";
    if (this.#panner.panningModel !== model) this.#panner.panningModel = model;
    const { gain, cutoff_hz } = through(walls);
    let loudness = 1;
    if (seen !== null) {
      const distance_m = Math.hypot(...seen);
      loudness = loudnessAt(distance_m) * gain;
      // Who stands where one stands oneself is heard from in front.
      const [x, y, z] = distance_m > 0.05 ? seen : [0, 0, -1];
      this.#panner.positionX.value = x;
      this.#panner.positionY.value = y;
      this.#panner.positionZ.value = z;
    } else {
      this.#panner.positionX.value = this.#panner.positionY.value = 0;
      this.#panner.positionZ.value = -1;
    }
    this.#volume.gain.setTargetAtTime(treatment === "silent" ? 0 : loudness * volume, now, GLIDE_S);
    this.#muffler.frequency.setTargetAtTime(cutoff_hz, now, GLIDE_S);
    if (treatment === "silent" && this.#isJoined) {
      // A panner that is joined costs its convolution even for silence.
      this.#panner.disconnect();
      this.#isJoined = false;
    }
  }

  close(): void {
    this.#source.disconnect();
    this.#panner.disconnect();
    this.#element.srcObject = null;
  }
}

/** All voices of one listener, and their microphone's level. */
export class Ears {
  readonly context: AudioContext;
  /** What goes to the ears; also a place to listen in for tests. */
  readonly out: GainNode;
  readonly heard = new Map<number, Heard>();
  #own: { source: MediaStreamAudioSourceNode; level: Level } | null = null;

  constructor() {
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.out = this.context.createGain();
    this.out.connect(this.context.destination);
    void this.context.resume();
  }

  /** Hears a person by a stream, in place of one before. */
  hear(id: number, stream: MediaStream): void {
    if (this.heard.get(id)?.stream === stream) return;
    this.drop(id);
    this.heard.set(id, new Heard(this.context, stream, this.out));
  }

  drop(id: number): void {
    this.heard.get(id)?.close();
    this.heard.delete(id);
  }

  /** The microphone whose level is shown; it is not heard here. */
  watchOwn(stream: MediaStream | null): void {
    this.#own?.source.disconnect();
    this.#own = null;
    if (stream === null) return;
    const level = new Level(this.context);
    const source = this.context.createMediaStreamSource(stream);
    source.connect(level.node);
    this.#own = { source, level };
  }

  get own(): Level | null {
    return this.#own?.level ?? null;
  }

  /** Two short tones, left then right: whether the right ears are where one thinks. */
  test(): void {
    for (const [i, x] of [-1, 1].entries()) {
      const at = this.context.currentTime + 0.05 + i * 0.45;
      const tone = new OscillatorNode(this.context, { frequency: 440 + 220 * i });
      const gain = new GainNode(this.context, { gain: 0 });
      const panner = new PannerNode(this.context, { panningModel: "HRTF", positionX: x, rolloffFactor: 0 });
      gain.gain.setTargetAtTime(0.25, at, 0.02);
      gain.gain.setTargetAtTime(0, at + 0.25, 0.03);
      tone.connect(gain).connect(panner).connect(this.out);
      tone.start(at);
      tone.stop(at + 0.4);
      tone.onended = () => panner.disconnect();
    }
  }

  /** Plays on another device, where the browser lets a page choose; "": the usual one. */
  async setDevice(id: string): Promise<void> {
    const context = this.context as AudioContext & { setSinkId?(id: string): Promise<void> };
    await context.setSinkId?.(id);
  }

  close(): void {
    for (const id of [...this.heard.keys()]) this.drop(id);
    this.watchOwn(null);
    void this.context.close();
  }
}
