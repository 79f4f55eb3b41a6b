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
type Limits = readonly [items: number, characters: number, levels: number];

/** The last attempts, which omit levels. */
const shallow: readonly Limits[] = [...[6, 4, 3, 2, 1].map((levels): Limits => [5, 100, levels]), [1, 20, 1]];

/**
 * Serialises a value as JSON text within a limit: with fewer rows, shorter strings and fewer levels, each with a count
 * of the omissions.
 */
export function shortenJson(value: ExactJson, limit: TextLimit): string {
  const keysOf = new Map<object, readonly string[]>();
  for (const [items, characters, levels] of attemptsFor(limit.max)) {
    const attempt = { items, characters, keysOf, room: limit.max };
    const shrunk = shrink(value, levels, attempt);
    if (attempt.room < 0) continue;
    const shorter = JSON.stringify(shrunk);
    if (fits(shorter, limit)) return shorter;
  }
  return '"…"';
}

function* attemptsFor(max: number): Generator<Limits> {
  for (let room = max; room >= 1; room = Math.floor(room * 0.75)) {
    yield [Math.ceil(room / 4), Math.max(room, 12), maxLevels];
  }
  yield* shallow;
}

interface Attempt {
  readonly items: number;
  readonly characters: number;
  /** The property names of each object: listing those of a large one takes longer than an attempt. */
  readonly keysOf: Map<object, readonly string[]>;
  /**
   * What is left of the limit if each part of the text has its minimum length. Below zero the attempt has failed, and
   * its value is incomplete: values of many small parts would otherwise be copied in full by each attempt.
   */
  room: number;
}

function shrink(value: ExactJson, levels: number, attempt: Attempt): ExactJson {
  if (typeof value === "string") {
    const shortened = shrinkString(value, attempt.characters);
    attempt.room -= minimumLength(shortened);
    return shortened;
  }
  attempt.room -= 1;
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return value;
  if (levels === 0) return "…";
  return Array.isArray(value) ? shrinkList(value, levels - 1, attempt) : shrinkObject(value, levels - 1, attempt);
}

function shrinkList(list: readonly ExactJson[], levels: number, attempt: Attempt): ExactJson {
  const shortened: ExactJson[] = [];
  const count = Math.min(list.length, attempt.items);
  for (let index = 0; index < count && attempt.room >= 0; index++) {
    // The bracket or comma in front of the item.
    attempt.room -= 1;
    shortened.push(shrink(list[index] as ExactJson, levels, attempt));
  }
  if (list.length > count) shortened.push(`… ${list.length - count} more left out`);
  return shortened;
}

function shrinkObject(object: { readonly [key: string]: ExactJson }, levels: number, attempt: Attempt): ExactJson {
  const keys = attempt.keysOf.get(object) ?? Object.keys(object);
  attempt.keysOf.set(object, keys);
  // An object's properties are its structure, so more of them are kept than of an array's rows.
  const count = Math.min(keys.length, Math.max(attempt.items, 8));
  const entries: [string, ExactJson][] = [];
  for (let index = 0; index < count && attempt.room >= 0; index++) {
    const key = keys[index] as string;
    attempt.room -= 2 + minimumLength(key);
    entries.push([key, shrink(object[key] as ExactJson, levels, attempt)]);
  }
  if (keys.length > count) entries.push(["…", `${keys.length - count} more left out`]);
  return Object.fromEntries(entries);
}

/** Returns the least length that a text can have in JSON: its quotes, and a code point for every two code units. */
function minimumLength(text: string): number {
  return 2 + text.length / 2;
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
