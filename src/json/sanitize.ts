import type { Json, JsonObject, SanitizeMode } from "../plugin/tool.ts";

const noLiterals: ReadonlySet<string> = new Set();

/**
 * Cleans every string in the arguments, including nested ones, with `strictText` or `plainText`; `off` changes nothing.
 * Property names and texts in `literals`, the values of the schema's `enum` and `const`, stay unchanged. Returns the
 * same object if nothing changed.
 */
export function sanitize(
  value: JsonObject,
  mode: SanitizeMode,
  literals: ReadonlySet<string> = noLiterals,
): JsonObject {
  if (mode === "off") return value;
  const cleanText = mode === "strict" ? strictText : plainText;
  // Most schemas have no such texts. To look for one takes as long as cleaning a short text.
  const cleanOne = literals.size === 0 ? cleanText : (text: string) => (literals.has(text) ? text : cleanText(text));
  return clean(value, cleanOne) as JsonObject;
}

function clean(value: Json, cleanText: (text: string) => string): Json {
  if (typeof value === "string") return cleanText(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const cleaned = value.map((item) => clean(item, cleanText));
    return cleaned.some((item, index) => item !== value[index]) ? cleaned : value;
  }
  let changed: JsonObject | undefined;
  for (const key of Object.keys(value)) {
    const member = value[key] as Json;
    const cleaned = clean(member, cleanText);
    if (cleaned !== member) (changed ??= { ...value })[key] = cleaned;
  }
  return changed ?? value;
}

/** Returns the texts in a schema's `enum` and `const` that cleaning would change. */
export function textLiterals(schema: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  collectLiterals(schema, false, found);
  return found.size === 0 ? noLiterals : found;
}

function collectLiterals(node: unknown, isLiteral: boolean, found: Set<string>): void {
  if (typeof node === "string") {
    if (isLiteral && strictText(node) !== node) found.add(node);
  } else if (Array.isArray(node)) {
    for (const item of node) collectLiterals(item, isLiteral, found);
  } else if (typeof node === "object" && node !== null) {
    for (const [key, member] of Object.entries(node)) {
      collectLiterals(member, isLiteral || key === "enum" || key === "const", found);
    }
  }
}

/** Maximum length of a text after `strictText`, in characters. */
const maxStrictCharacters = 250;

const notStrict = /[^a-zA-Z0-9@._\- ]/g;

/** Control characters but line feeds and tabs, bidirectional embeddings, overrides and isolates, BOM, lone surrogates. */
const unwanted = /(?![\n\t])[\p{Cc}\p{Cs}\u202A-\u202E\u2066-\u2069\uFEFF]/gu;

/** Texts that `plainText` leaves unchanged: a fast check for the common case. */
const ordinary = /^(?:[!-~](?:[ -~\n\t]*[!-~])?)?$/;

/**
 * Cleans an argument in the mode `text`: NFC, line breaks as `\n`, no control characters, bidirectional overrides or
 * BOM, and trimmed unless nothing would be left. Line breaks, tabs, joiners and variation selectors stay.
 */
function plainText(text: string): string {
  if (ordinary.test(text)) return text;
  const visible = composed(text.replaceAll(/\r\n?/g, "\n").replace(unwanted, ""));
  return visible.trim() || visible;
}

/** Cleans an argument in the mode `strict`: keeps `[a-zA-Z0-9@._\- ]`, trims, and truncates to 250 characters. */
function strictText(text: string): string {
  return text.replace(notStrict, "").trim().slice(0, maxStrictCharacters).trimEnd();
}

/** A character with more combining marks than any script uses (UAX #15 allows 30 in stream-safe text). */
const manyMarks = /\P{M}?\p{M}{31,}/gu;

/**
 * Returns the text in NFC. DANGER: sorting combining marks takes quadratic time, so runs that no script uses stay
 * unchanged.
 */
function composed(text: string): string {
  let result = "";
  let end = 0;
  for (const { 0: run, index } of text.matchAll(manyMarks)) {
    result += text.slice(end, index).normalize("NFC") + run;
    end = index + run.length;
  }
  return result + text.slice(end).normalize("NFC");
}
