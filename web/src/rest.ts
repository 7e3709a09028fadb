/** Asking the server for what the stream does not bring. Knows addresses and errors, no meaning. */

import type { Problem } from "./protocol.ts";

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

export class Rest {
  get<T>(path: string, parameters?: Parameters, signal?: AbortSignal): Promise<T> {
    return this.#ask<T>("GET", path, parameters, undefined, signal);
  }

  post<T>(path: string, body: unknown = {}, parameters?: Parameters): Promise<T> {
    return this.#ask<T>("POST", path, parameters, body);
  }

  put<T>(path: string, body: unknown, parameters?: Parameters): Promise<T> {
    return this.#ask<T>("PUT", path, parameters, body);
  }

  delete<T>(path: string, parameters?: Parameters): Promise<T> {
    return this.#ask<T>("DELETE", path, parameters);
  }

  async #ask<T>(
    method: string,
    path: string,
    parameters?: Parameters,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<T> {
    const headers: Record<string, string> = { Accept: "application/json" };
    // A page of another origin cannot set this header without the server's leave: the CSRF check.
    if (method !== "GET") headers["X-Mirrorworld"] = "1";
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const request: RequestInit = { method, headers, credentials: "same-origin" };
    if (body !== undefined) request.body = JSON.stringify(body);
    if (signal !== undefined) request.signal = signal;
    let response: Response;
    try {
      response = await fetch(apiUrl(path, parameters), request);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new RestError(0, {
        detail: "The server cannot be reached.",
        place: path,
        mend: "Check that it is running; the page reconnects by itself.",
      });
    }
    const answer: unknown = response.status === 204 ? null : await response.json().catch(() => null);
    if (!response.ok) throw new RestError(response.status, (answer ?? {}) as Partial<Problem>);
    return answer as T;
  }
}
