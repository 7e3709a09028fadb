/**
 * Lines that carry voices: straight to each of a few others, or one to the server's forwarder.
 *
 * Of two people the one with the smaller number always makes the offer, and tracks are exchanged
 * without a new one: so offers never cross, and nothing has to be rolled back. Knows WebRTC; refuses to
 * know places, sound and buttons.
 */

/** What two pages tell each other. `session` tells a line from one before it between the same two. */
export interface LineSaid {
  session: string;
  description?: RTCSessionDescriptionInit;
  candidate?: RTCIceCandidateInit;
  /** Asks who makes the offers to try again. */
  again?: true;
}

export type LineState = "connecting" | "connected" | "lost";

/** A line that is lost this long is tried again, ms. */
const LOST_MS = 2500;
const TRY_MS = 6000;

/** Lets the other side leave out silence: somebody who says nothing costs nothing. */
export function sparing(sdp: string): string {
  return sdp.replace(/useinbandfec=1(?!;usedtx)/g, "useinbandfec=1;usedtx=1;maxaveragebitrate=40000");
}

/** A line to one other person. */
export class Straight {
  state: LineState = "connecting";
  readonly session: string;
  readonly #isOffering: boolean;
  readonly #say: (said: LineSaid) => void;
  readonly #told: { heard(stream: MediaStream): void; changed(): void };
  readonly #connection: RTCPeerConnection;
  #sender: RTCRtpSender | null = null;
  #track: MediaStreamTrack | null;
  #waiting: RTCIceCandidateInit[] = [];
  #timer = 0;
  #isClosed = false;
  #making: Promise<void> = Promise.resolve();

  constructor(
    session: string,
    isOffering: boolean,
    ice: RTCIceServer[],
    track: MediaStreamTrack | null,
    say: (said: LineSaid) => void,
    told: { heard(stream: MediaStream): void; changed(): void },
  ) {
    this.session = session;
    this.#isOffering = isOffering;
    this.#track = track;
    this.#say = say;
    this.#told = told;
    const connection = new RTCPeerConnection({ iceServers: ice, bundlePolicy: "max-bundle" });
    this.#connection = connection;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate !== null) say({ session, candidate: candidate.toJSON() });
    };
    connection.ontrack = ({ track: remote }) => told.heard(new MediaStream([remote]));
    connection.onconnectionstatechange = () => this.#look();
    if (isOffering) {
      this.#sender = connection.addTransceiver("audio", { direction: "sendrecv" }).sender;
      void this.#sender.replaceTrack(track);
      this.#offer(false);
    }
    this.#watch(TRY_MS);
  }

  /** Speaks with another track from now on, or with none; no new agreement is needed. */
  setTrack(track: MediaStreamTrack | null): void {
    this.#track = track;
    void this.#sender?.replaceTrack(track);
  }

  /** Takes what the other side said, in the order in which it came. */
  take(said: LineSaid): Promise<void> {
    this.#making = this.#making.then(() => this.#taken(said)).catch((error: unknown) => {
      if (!this.#isClosed) console.warn("voice: a line was not agreed on", error);
    });
    return this.#making;
  }

  close(): void {
    this.#isClosed = true;
    window.clearTimeout(this.#timer);
    this.#connection.close();
  }

  async #taken(said: LineSaid): Promise<void> {
    const connection = this.#connection;
    if (this.#isClosed) return;
    if (said.again && this.#isOffering) this.#offer(true);
    if (said.candidate) {
      if (connection.remoteDescription === null) this.#waiting.push(said.candidate);
      else await connection.addIceCandidate(said.candidate);
    }
    if (said.description === undefined) return;
    if (said.description.type === "answer" && connection.signalingState !== "have-local-offer") return;
    await connection.setRemoteDescription(said.description);
    for (const candidate of this.#waiting.splice(0)) await connection.addIceCandidate(candidate);
    if (said.description.type !== "offer") return;
    const transceiver = connection.getTransceivers()[0];
    if (transceiver !== undefined) {
      transceiver.direction = "sendrecv";
      this.#sender = transceiver.sender;
      await this.#sender.replaceTrack(this.#track);
    }
    await connection.setLocalDescription();
    this.#describe();
  }

  #offer(isAgain: boolean): void {
    const connection = this.#connection;
    if (isAgain && connection.signalingState === "stable") connection.restartIce();
    void connection
      .setLocalDescription()
      .then(() => this.#describe())
      .catch((error: unknown) => this.#isClosed || console.warn("voice: no offer", error));
  }

  #describe(): void {
    const { type, sdp } = this.#connection.localDescription!;
    this.#say({ session: this.session, description: { type, sdp: sparing(sdp) } });
  }

  #look(): void {
    if (this.#isClosed) return;
    const { connectionState } = this.#connection;
    const state = connectionState === "connected" ? "connected" : connectionState === "failed" || connectionState === "disconnected" ? "lost" : this.state === "lost" ? "lost" : "connecting";
    if (state !== this.state) {
      this.state = state;
      this.#told.changed();
    }
    window.clearTimeout(this.#timer);
    if (state !== "connected") this.#watch(connectionState === "failed" ? 0 : LOST_MS);
  }

  /** Tries again after a while, for as long as both are there. */
  #watch(wait_ms: number): void {
    this.#timer = window.setTimeout(() => {
      if (this.#isClosed || this.#connection.connectionState === "connected") return;
      if (this.#isOffering) this.#offer(true);
      else this.#say({ session: this.session, again: true });
      this.#watch(TRY_MS);
    }, wait_ms);
  }
}

/** The line to the server's forwarder: one voice goes up, and the nearest few come down in slots. */
export class Forwarded {
  readonly #connection: RTCPeerConnection;
  readonly #sender: RTCRtpSender;
  readonly #lost: () => void;
  /** One stream for each slot; who speaks in it changes without a new agreement. */
  readonly slots: MediaStream[] = [];
  #isClosed = false;
  #timer = 0;

  /**
   * @param offer Called once with what to tell the forwarder.
   * @param lost Called once if the line is lost: it is then made anew.
   */
  constructor(nSlots: number, track: MediaStreamTrack | null, offer: (sdp: string) => void, lost: () => void) {
    this.#lost = lost;
    // The forwarder's own address comes with its answer; nothing is gathered from elsewhere.
    const connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.#connection = connection;
    this.#sender = connection.addTransceiver("audio", { direction: "sendonly" }).sender;
    void this.#sender.replaceTrack(track);
    for (let i = 0; i < nSlots; i++) {
      const { receiver } = connection.addTransceiver("audio", { direction: "recvonly" });
      this.slots.push(new MediaStream([receiver.track]));
    }
    connection.onconnectionstatechange = () => {
      const { connectionState } = connection;
      window.clearTimeout(this.#timer);
      if (connectionState === "failed") this.#end();
      else if (connectionState === "disconnected") this.#timer = window.setTimeout(() => this.#end(), LOST_MS);
    };
    this.#timer = window.setTimeout(() => this.#end(), 2 * TRY_MS);
    void connection.setLocalDescription().then(() => offer(connection.localDescription!.sdp));
  }

  get state(): LineState {
    const { connectionState } = this.#connection;
    return connectionState === "connected" ? "connected" : connectionState === "new" || connectionState === "connecting" ? "connecting" : "lost";
  }

  async answer(sdp: string): Promise<void> {
    if (this.#isClosed || this.#connection.signalingState !== "have-local-offer") return;
    await this.#connection.setRemoteDescription({ type: "answer", sdp });
  }

  setTrack(track: MediaStreamTrack | null): void {
    void this.#sender.replaceTrack(track);
  }

  close(): void {
    this.#isClosed = true;
    window.clearTimeout(this.#timer);
    this.#connection.close();
  }

  #end(): void {
    if (this.#isClosed) return;
    this.close();
    this.#lost();
  }
}
