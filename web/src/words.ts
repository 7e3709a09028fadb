/**
 * What the page says, in the reader's language.
 *
 * The English sentence is the key, so that code reads as the page does; `words/LANGUAGE/AREA.json`
 * map it to other languages. A sentence without a translation is shown in English.
 */

type Words = Record<string, string>;
type Arguments = Record<string, string | number>;

const FILES = import.meta.glob<Words>("./words/*/*.json", { eager: true, import: "default" });
const KEY = "mirrorworld.language";

/** Languages that the page speaks, by BCP 47 tag. */
export const LANGUAGES: Readonly<Record<string, string>> = { en: "English", de: "Deutsch" };

/** The language that is spoken: chosen before, else the browser's, else English. */
export const language: string = chosen();

const words: Words = {};
for (const [path, file] of Object.entries(FILES)) {
  if (path.startsWith(`./words/${language}/`)) Object.assign(words, file);
}

/** A sentence in the reader's language; `{name}` in it is replaced by an argument. */
export function t(english: string, values: Arguments = {}): string {
  const sentence = words[english] ?? english;
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Speaks another language from now on: remembers it, and loads the page again. False: the browser
 * lets this page remember nothing. */
export function speak(tag: string): boolean {
  try {
    localStorage.setItem(KEY, tag);
  } catch {
    return false;
  }
  location.reload();
  return true;
}

function chosen(): string {
  let wanted: readonly string[] = navigator.languages;
  try {
    const kept = localStorage.getItem(KEY);
    if (kept !== null) wanted = [kept, ...wanted];
  } catch {
    // Storage may be forbidden; then the browser's own wish counts.
  }
  for (const tag of wanted) {
    const short = tag.toLowerCase().split("-")[0] ?? "";
    if (short in LANGUAGES) return short;
  }
  return "en";
}
