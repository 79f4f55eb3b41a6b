import type { Json } from "../plugin/tool.ts";

/** What a tool returned, as JSON. */
export interface JsonOutput {
  /** Its JSON text; a string stands as it is, without quotes. */
  readonly text: string;
  readonly json: Json;
  /** Whether it can travel as a value in a message; undefined where nobody has looked. */
  readonly shallow?: boolean;
}

/** What the model reads. */
export interface FittedOutput {
  readonly text: string;
  /** A string as it is, JSON text, or JSON text that is nested too deeply to travel as a value in a message. */
  readonly kind: "text" | "json" | "deep";
  readonly truncated: boolean;
}

/** Levels of nesting that a value may have in a message. */
const deepestValue = 40;

/** The JSON that a tool's answer stands for. Undefined where it cannot be serialised. */
export function jsonFromReturned(returned: unknown): JsonOutput | undefined {
  if (typeof returned === "string") {
    const text = returned.toWellFormed();
    return { text, json: text };
  }
  // Plain JSON, the usual case, needs nobody to look at each value while it is written.
  if (isPlain(returned, deepestValue)) return { text: JSON.stringify(returned), json: returned, shallow: true };
  const text = serialize(returned);
  return text === undefined ? undefined : { text, json: JSON.parse(text) as Json };
}

/** The output with every secret replaced, inside its strings and numbers, so that JSON stays JSON. */
export function redactOutput(output: JsonOutput, redact: (text: string) => string): JsonOutput {
  const text = redact(output.text);
  if (text === output.text) return output;
  if (isText(output)) return { text, json: text };
  const json = redactJson(output.json, redact);
  return { text: JSON.stringify(json), json };
}

/**
 * Stage 9. Turns an answer into what the model reads, at most `maxBytes` of UTF-8 (from 5). JSON stays valid: rows,
 * characters and levels are left out and counted; text is cut.
 */
export function fitOutput(output: JsonOutput, maxBytes: number): FittedOutput {
  const { text, json } = output;
  if (isText(output)) return { text: fitText(text, maxBytes), kind: "text", truncated: !fits(text, maxBytes) };
  if (fits(text, maxBytes)) {
    const shallow = output.shallow ?? isPlain(json, deepestValue);
    return { text, kind: shallow ? "json" : "deep", truncated: false };
  }
  for (const [items, characters, levels] of roughness) {
    const shorter = JSON.stringify(shrink(json, items, characters, levels));
    if (fits(shorter, maxBytes)) return { text: shorter, kind: "json", truncated: true };
  }
  return { text: '"…"', kind: "json", truncated: true };
}

function isText({ text, json }: JsonOutput): boolean {
  return text === json;
}

/** Tells whether a text is at most so many bytes of UTF-8 long. */
export function fits(text: string, maxBytes: number): boolean {
  return text.length * 3 <= maxBytes || (text.length <= maxBytes && Buffer.byteLength(text) <= maxBytes);
}

/** How many items, characters and levels are left at each try, from gentle to rough. */
const roughness: readonly (readonly [number, number, number])[] = [
  ...[
    [5000, 20_000],
    [2000, 8000],
    [1000, 4000],
    [500, 2000],
    [200, 1000],
    [100, 500],
    [50, 300],
    [20, 200],
    [10, 150],
    [5, 100],
    [3, 80],
    [2, 60],
    [1, 40],
    [1, 20],
  ].map(([items, characters]) => [items as number, characters as number, deepestValue] as const),
  ...[6, 4, 3, 2, 1].map((levels) => [5, 100, levels] as const),
  [1, 20, 1],
];

/** The text, cut on a whole character with `...` where it is longer than `maxBytes` of UTF-8. */
export function fitText(text: string, maxBytes: number): string {
  if (fits(text, maxBytes)) return text;
  const ellipsis = "...";
  // A cut between bytes of one character leaves replacement characters: they go.
  const cut = Buffer.from(text.slice(0, maxBytes))
    .subarray(0, Math.max(0, maxBytes - ellipsis.length))
    .toString();
  return cut.replace(/\uFFFD{1,3}$/u, "") + ellipsis;
}

function redactJson(value: Json, redact: (text: string) => string): Json {
  if (typeof value === "string") return redact(value);
  if (typeof value === "number") {
    const digits = String(value);
    const redacted = redact(digits);
    return redacted === digits ? value : redacted;
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => redactJson(item, redact));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [redact(key), redactJson(member, redact)]));
}

function serialize(value: unknown): string | undefined {
  try {
    return JSON.stringify(value === undefined ? null : value, portable) ?? "null";
  } catch {
    return undefined;
  }
}

/** Gives the kinds that JSON does not know a meaning: big integers as digits, maps as objects, sets as arrays. */
function portable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return value.isWellFormed() ? value : value.toWellFormed();
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value;
}

function isPlain(value: unknown, levels: number): value is Json {
  if (value === null || typeof value === "boolean") return true;
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || levels === 0) return false;
  if (Array.isArray(value)) {
    // By index: a hole is no JSON, and `every` would not see it.
    for (let index = 0; index < value.length; index++) if (!isPlain(value[index], levels - 1)) return false;
    return true;
  }
  const prototype = Object.getPrototypeOf(value) as unknown;
  if ((prototype !== Object.prototype && prototype !== null) || "toJSON" in value) return false;
  for (const key in value) if (!isPlain((value as Record<string, unknown>)[key], levels - 1)) return false;
  return true;
}

function shrink(value: Json, items: number, characters: number, levels: number): Json {
  if (typeof value === "string") {
    if (value.length <= characters) return value;
    // Not between the two halves of a character.
    const end = /[\uD800-\uDBFF]/.test(value.charAt(characters - 1)) ? characters - 1 : characters;
    const kept = value.slice(0, end);
    return `${kept}… (${value.length - kept.length} more characters)`;
  }
  if (typeof value !== "object" || value === null) return value;
  if (levels === 0) return "…";
  if (Array.isArray(value)) {
    const kept = value.slice(0, items).map((item) => shrink(item, items, characters, levels - 1));
    if (value.length > items) kept.push(`… ${value.length - items} more left out`);
    return kept;
  }
  const keys = Object.keys(value);
  // An object's properties are its shape: more of them are kept than of an array's rows.
  const limit = Math.max(items * 2, 8);
  const kept = Object.fromEntries(
    keys.slice(0, limit).map((key) => [key, shrink(value[key] as Json, items, characters, levels - 1)]),
  );
  if (keys.length > limit) kept["…"] = `${keys.length - limit} more left out`;
  return kept;
}
