import { type ExactJson, ExactNumber, parseJson, withDoubles } from "./exact-number.ts";
import { serializeJson } from "./serialize.ts";
import { fits, shortenJson, shortenText, type TextLimit } from "./shorten.ts";
import type { Json } from "../plugin/tool.ts";

/** The value a tool returned, as JSON. */
export interface JsonOutput {
  /** JSON text, or the string itself, without quotes. */
  readonly text: string;
  readonly json: ExactJson;
  /** Set when the value is known to be plain JSON of doubles that a message can hold. */
  readonly plain?: boolean;
}

/** The output of a call as the model reads it. */
export interface FittedOutput {
  readonly text: string;
  /** A string, JSON text, or JSON text that is nested too deeply for the value of a message. */
  readonly kind: "text" | "json" | "deep";
  readonly truncated: boolean;
}

/** Levels of nesting that the value of a message may have. */
const maxValueLevels = 40;

/** The JSON of a value that a tool returned. Undefined for what cannot be serialised. */
export function jsonFromReturned(returned: unknown): JsonOutput | undefined {
  if (typeof returned === "string") {
    const text = returned.toWellFormed();
    return { text, json: text };
  }
  // The usual case: JSON.stringify is fastest without a replacer.
  if (isPlain(returned, maxValueLevels)) return { text: JSON.stringify(returned), json: returned, plain: true };
  const text = serializeJson(returned);
  return text === undefined ? undefined : { text, json: parseJson(text) };
}

/** The output as a schema sees it: numbers that no double holds are the nearest doubles. */
export function schemaView({ json, plain }: JsonOutput): ExactJson {
  return plain === true ? json : withDoubles(json);
}

/** Replaces secrets inside the strings and numbers of an output, so that JSON stays JSON. */
export function redactOutput(output: JsonOutput, redact: (text: string) => string): JsonOutput {
  const text = redact(output.text);
  if (text === output.text) return output;
  if (isText(output)) return { text, json: text };
  const json = redactJson(output.json, redact);
  return { text: JSON.stringify(json), json };
}

/**
 * Fits an output into `maxBytes` of UTF-8, at least 5. JSON stays valid: rows, characters and levels are left out and
 * counted. Text is cut.
 */
export function fitOutput(output: JsonOutput, maxBytes: number): FittedOutput {
  const { text, json } = output;
  const limit: TextLimit = { max: maxBytes, unit: "bytes" };
  if (isText(output)) return { text: shortenText(text, limit), kind: "text", truncated: !fits(text, limit) };
  if (fits(text, limit)) {
    const shallow = output.plain === true || hasAtMost(maxValueLevels, json);
    return { text, kind: shallow ? "json" : "deep", truncated: false };
  }
  return { text: shortenJson(json, limit), kind: "json", truncated: true };
}

function isText({ text, json }: JsonOutput): boolean {
  return text === json;
}

function redactJson(value: ExactJson, redact: (text: string) => string): ExactJson {
  if (typeof value === "string") return redact(value);
  if (typeof value === "number" || value instanceof ExactNumber) {
    const digits = String(value);
    const redacted = redact(digits);
    return redacted === digits ? value : redacted;
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => redactJson(item, redact));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [redact(key), redactJson(member, redact)]));
}

/** Reports whether a JSON value has at most so many levels of nesting. */
function hasAtMost(levels: number, value: ExactJson): boolean {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return true;
  return levels > 0 && Object.values(value).every((member) => hasAtMost(levels - 1, member));
}

/** Reports whether JSON.stringify writes a value as it is, in Unicode, without running code of its own. */
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
  for (const key in value) {
    if (!key.isWellFormed() || !isPlain((value as Record<string, unknown>)[key], levels - 1)) return false;
  }
  return true;
}
