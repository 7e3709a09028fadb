/** Dark or light: what the person chose, else what their system prefers. Knows no scene. */

export type Mode = "dark" | "light";
export type Choice = "auto" | Mode;

const STORED = "mirrorworld.theme";

class Theme {
  #choice: Choice = "auto";
  #listeners = new Set<(mode: Mode) => void>();
  #prefersLight = window.matchMedia("(prefers-color-scheme: light)");

  constructor() {
    const stored = read();
    if (stored === "dark" || stored === "light") this.#choice = stored;
    this.#prefersLight.addEventListener("change", () => this.#apply());
    this.#apply();
  }

  get choice(): Choice {
    return this.#choice;
  }

  get mode(): Mode {
    if (this.#choice !== "auto") return this.#choice;
    return this.#prefersLight.matches ? "light" : "dark";
  }

  set(choice: Choice): void {
    this.#choice = choice;
    write(choice);
    this.#apply();
  }

  /** Calls `listener` at each change of mode, until the returned function is called. */
  on(listener: (mode: Mode) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #apply(): void {
    const mode = this.mode;
    if (document.documentElement.dataset["theme"] === mode) return;
    document.documentElement.dataset["theme"] = mode;
    for (const listener of this.#listeners) listener(mode);
  }
}

/** Storage may be forbidden (private windows); the theme then lasts as long as the page. */
function read(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

function write(choice: Choice): void {
  try {
    localStorage.setItem(STORED, choice);
  } catch {
    // Nothing to mend: the choice still holds for this page.
  }
}

export const theme = new Theme();
