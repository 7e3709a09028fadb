/**
 * Streams of strangers, unpacked aside: in a worker, one at a time, within a time.
 *
 * A worker that fails or takes too long is ended with all that it holds, and so is one that nothing
 * waits for: the memory of WebAssembly only grows. Knows no format.
 */

/** What a worker answers to a job. */
export type Answer<T> = { result: T } | { error: string };

/** What is asked of a `Worker`; a test stands in for it. */
export type Aside = Pick<Worker, "postMessage" | "terminate" | "onmessage" | "onerror">;

export const TIME_MAX_S = 30;

export class Decoder {
  readonly #make: () => Promise<Aside>;
  readonly #time_max_s: number;
  #before: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #worker: Aside | null = null;

  /** @param make a worker that answers each message with one `Answer` */
  constructor(make: () => Promise<Aside>, time_max_s = TIME_MAX_S) {
    this.#make = make;
    this.#time_max_s = time_max_s;
  }

  /** @throws Error with one sentence that says what is wrong, or that it took too long */
  decode<T>(job: unknown, transfer: Transferable[] = []): Promise<T> {
    this.#waiting++;
    const done = this.#before.then(() => this.#one<T>(job, transfer));
    this.#before = done
      .catch(() => {})
      .then(() => {
        if (--this.#waiting === 0) this.#end();
      });
    return done;
  }

  async #one<T>(job: unknown, transfer: Transferable[]): Promise<T> {
    const worker = (this.#worker ??= await this.#make());
    let timer: ReturnType<typeof setTimeout> | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`it takes longer than ${this.#time_max_s} s to unpack`)), this.#time_max_s * 1000);
        worker.onmessage = ({ data }: MessageEvent<Answer<T>>) => {
          if ("error" in data) reject(new Error(data.error));
          else resolve(data.result);
        };
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(`its decoder stopped: ${event.message.slice(0, 100)}`));
        };
        worker.postMessage(job, transfer);
      });
    } catch (error) {
      this.#end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #end(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }
}
