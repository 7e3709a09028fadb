/** Asking the server for what the stream does not bring. Knows addresses and errors, no meaning. */

import type { Problem } from "./protocol.ts";
import { t } from "./words.ts";

/** A request that was not done; the message is the server's own, `mend` what to do about it. */
export class RestError extends Error {
  readonly status: number;
  readonly place: string;
  readonly mend: string;

  constructor(status: number, problem: Partial<Problem>) {
    super(problem.detail || `the server answered ${status}`);
    this.name = "RestError";
    this.status = status;
    this.place = problem.place ?? "";
    this.mend = problem.mend ?? "";
  }
}

type Parameter = string | number | boolean | null | undefined | readonly (string | number)[];
export type Parameters = Record<string, Parameter>;

/** An address below api/, wherever the page itself is served from. */
export function apiUrl(path: string, parameters: Parameters = {}): URL {
  const url = new URL(`api/${path.replace(/^\//, "")}`, document.baseURI);
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === undefined) continue;
    const values = Array.isArray(value) ? (value as readonly (string | number)[]) : [value];
    for (const item of values) url.searchParams.append(name, String(item));
  }
  return url;
}

/** A twin's id as part of a path: its slashes stay, so that addresses can be read. */
export function idPath(id: string): string {
  return id.split("/").map(encodeURIComponent).join("/");
}

/** What is the same whichever branch is shown: branches, plans, accounts, files. */
const OF_ALL = /^(branches|plans|sessions?|accounts|reach|assets|blobs|connectors|meet|discovered|invitations|audit|access|people|passkeys|password|tokens)\b/;
/** What can be asked of a branch as of the world. */
const IN_BRANCH = /^(edits|undo)$/;

const UNREACHED: Partial<Problem> = {
  detail: "The server cannot be reached.",
  mend: "Check that it is running; the page reconnects by itself.",
};

export class Rest {
  /** The branch that is asked in place of the world; null: the world itself is asked. */
  branch: string | null = null;

  get<T>(path: string, parameters?: Parameters, signal?: AbortSignal): Promise<T> {
    return this.#ask<T>("GET", path, parameters, undefined, signal);
  }

  /** Asks the world itself, whichever branch is shown. */
  ofWorld<T>(path: string, parameters?: Parameters): Promise<T> {
    return this.#ask<T>("GET", path, parameters, undefined, undefined, true);
  }

  post<T>(path: string, body: unknown = {}, parameters?: Parameters): Promise<T> {
    return this.#ask<T>("POST", path, parameters, body);
  }

  put<T>(path: string, body: unknown, parameters?: Parameters): Promise<T> {
    return this.#ask<T>("PUT", path, parameters, body);
  }

  /** Sends a file as it is. */
  upload<T>(path: string, file: Blob): Promise<T> {
    return this.#ask<T>("PUT", path, undefined, file);
  }

  /**
   * Sends a large file and tells how far it has come, 0 to 1. Rejects as the others do, with
   * status 0 where it was given up.
   */
  send<T>(path: string, parameters: Parameters, file: Blob, onProgress: (part: number) => void, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
      request.open("POST", apiUrl(path, parameters));
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("X-Mirrorworld", "1");
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.addEventListener("progress", (event) => onProgress(event.lengthComputable ? event.loaded / event.total : 0));
      request.addEventListener("load", () => {
        let answer: unknown = null;
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          // Not the server's own answer; its status says enough.
        }
        if (request.status < 300) resolve(answer as T);
        else reject(new RestError(request.status, (answer ?? {}) as Partial<Problem>));
      });
      request.addEventListener("error", () => reject(new RestError(0, UNREACHED)));
      request.addEventListener("abort", () => reject(new RestError(0, { detail: "Given up." })));
      signal?.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.#ask<T>("PATCH", path, undefined, body);
  }

  delete<T>(path: string, parameters?: Parameters): Promise<T> {
    return this.#ask<T>("DELETE", path, parameters);
  }

  /**
   * The path that asks the branch that is shown. A branch has no way to the plant, so whatever
   * would change the world itself is refused here, before it is sent.
   */
  #placed(method: string, path: string): string {
    if (this.branch === null || OF_ALL.test(path)) return path;
    const branch = `branches/${encodeURIComponent(this.branch)}`;
    if (method === "GET") return `${branch}/world/${path}`;
    if (method === "POST" && IN_BRANCH.test(path)) return `${branch}/${path}`;
    throw new RestError(0, { detail: t("You are in a branch: this would change the world itself."), mend: t("Leave the branch first."), place: path });
  }

  async #ask<T>(
    method: string,
    path: string,
    parameters?: Parameters,
    body?: unknown,
    signal?: AbortSignal,
    isOfWorld = false,
  ): Promise<T> {
    const headers: Record<string, string> = { Accept: "application/json" };
    // A page of another origin cannot set this header without the server's leave: the CSRF check.
    if (method !== "GET") headers["X-Mirrorworld"] = "1";
    if (body !== undefined) headers["Content-Type"] = body instanceof Blob ? "application/octet-stream" : "application/json";
    const request: RequestInit = { method, headers, credentials: "same-origin" };
    if (body !== undefined) request.body = body instanceof Blob ? body : JSON.stringify(body);
    if (signal !== undefined) request.signal = signal;
    const url = apiUrl(isOfWorld ? path : this.#placed(method, path), parameters);
    let response: Response;
    try {
      response = await fetch(url, request);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new RestError(0, { ...UNREACHED, place: path });
    }
    const answer: unknown = response.status === 204 ? null : await response.json().catch(() => null);
    if (!response.ok) throw new RestError(response.status, (answer ?? {}) as Partial<Problem>);
    return answer as T;
  }
}
