import type { ExactJson } from "./exact-number.ts";
import { ExactNumber } from "./exact-number.ts";

/** A reader's maximum text length, in bytes of UTF-8 or in code points. At least 5. */
export interface TextLimit {
  readonly max: number;
  readonly unit: "bytes" | "characters";
}

/** Returns the length of a text in code points. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Reports whether a text is within a limit. */
export function fits(text: string, { max, unit }: TextLimit): boolean {
  if (unit === "characters") return text.length <= max || (text.length <= max * 2 && codePoints(text) <= max);
  return text.length * 3 <= max || (text.length <= max && Buffer.byteLength(text) <= max);
}

/** Truncates a text to a limit, at a character boundary, with `...` at the end if anything is missing. */
export function shortenText(text: string, limit: TextLimit): string {
  if (fits(text, limit)) return text;
  const ellipsis = "...";
  const room = Math.max(0, limit.max - ellipsis.length);
  if (limit.unit === "characters") {
    // Each character has at most two code units, so no more than these are needed.
    return (
      Array.from(text.slice(0, limit.max * 2))
        .slice(0, room)
        .join("") + ellipsis
    );
  }
  // A cut within a character's bytes leaves replacement characters, which are removed.
  const cut = Buffer.from(text.slice(0, limit.max)).subarray(0, room).toString();
  return cut.replace(/\uFFFD{1,3}$/u, "") + ellipsis;
}

/** Maximum nesting of a shortened value. */
const maxLevels = 40;

/** The limits of one attempt: items per array, characters per string, levels of nesting. */
type Attempt = readonly [items: number, characters: number, levels: number];

/** The last attempts, which omit levels. */
const shallow: readonly Attempt[] = [...[6, 4, 3, 2, 1].map((levels): Attempt => [5, 100, levels]), [1, 20, 1]];

/**
 * Serialises a value as JSON text within a limit: with fewer rows, shorter strings and fewer levels, each with a count
 * of the omissions.
 */
export function shortenJson(value: ExactJson, limit: TextLimit): string {
  for (const attempt of attemptsFor(limit.max)) {
    const shorter = JSON.stringify(shrink(value, attempt));
    if (fits(shorter, limit)) return shorter;
  }
  return '"…"';
}

function* attemptsFor(max: number): Generator<Attempt> {
  for (let room = max; room >= 1; room = Math.floor(room * 0.75)) {
    yield [Math.ceil(room / 4), Math.max(room, 12), maxLevels];
  }
  yield* shallow;
}

function shrink(value: ExactJson, attempt: Attempt): ExactJson {
  const [items, characters, levels] = attempt;
  if (typeof value === "string") return shrinkString(value, characters);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return value;
  if (levels === 0) return "…";
  const inner: Attempt = [items, characters, levels - 1];
  if (Array.isArray(value)) {
    const shortened = value.slice(0, items).map((item) => shrink(item, inner));
    return value.length > items ? [...shortened, `… ${value.length - items} more left out`] : shortened;
  }
  const keys = Object.keys(value);
  // An object's properties are its structure, so more of them are kept than of an array's rows.
  const limit = Math.max(items, 8);
  const shortened = Object.fromEntries(
    keys.slice(0, limit).map((key) => [key, shrink(value[key] as ExactJson, inner)]),
  );
  return keys.length > limit ? { ...shortened, "…": `${keys.length - limit} more left out` } : shortened;
}

function shrinkString(text: string, characters: number): string {
  if (text.length <= characters) return text;
  // No more code units than these can be needed, however long the text is.
  const start = Array.from(text.slice(0, characters * 2))
    .slice(0, characters)
    .join("");
  if (start.length >= text.length) return text;
  return `${start}… (${codePoints(text) - codePoints(start)} more characters)`;
}
