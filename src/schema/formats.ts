import type { Ajv, FormatDefinition } from "ajv";
import * as formats from "ajv-formats";
import type { StepMeter } from "./step-meter.ts";

/** Cost of checking one character, in steps. */
const stepsPerCharacter = 15;

/** Maximum length of a text that is checked as a regular expression, in characters. */
const maxRegexCharacters = 4096;

/**
 * Adds the formats of ajv-formats, each reporting its steps to the meter. `url` is our own, because theirs takes
 * quadratic time.
 */
export function addFormats(ajv: Ajv, meter: StepMeter): void {
  formats.default.default(ajv);
  for (const [name, format] of Object.entries(ajv.formats)) {
    const test = testOf(name, format);
    if (test === undefined) continue;
    const validate = (text: string): boolean => {
      meter.charge(text.length * stepsPerCharacter);
      return test(text);
    };
    const compare = typeof format === "object" && "compare" in format ? format.compare : undefined;
    ajv.addFormat(name, { type: "string", validate, ...(compare && { compare }) } as FormatDefinition<string>);
  }
}

/** Returns a format's check of strings; undefined for formats of numbers and those that accept everything. */
function testOf(name: string, format: unknown): ((text: string) => boolean) | undefined {
  if (name === "url") return isUrl;
  const validate: unknown =
    typeof format === "object" && format !== null && "validate" in format ? format.validate : format;
  if (typeof format === "object" && format !== null && "type" in format && format.type === "number") return undefined;
  if (validate instanceof RegExp) return (text) => validate.test(text);
  if (typeof validate !== "function") return undefined;
  const check = validate as (text: string) => boolean;
  return name === "regex" ? (text) => text.length <= maxRegexCharacters && check(text) : check;
}

const scheme = /^(?:https?|ftp):\/\//i;

/** A public IPv4 address, or a host name with a top-level domain, and an optional port. */
const host =
  /^(?:(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})(?!172\.(?:1[6-9]|2\d|3[0-1])(?:\.\d{1,3}){2})(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}(?:\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4]))|(?:(?:[a-z0-9\u{00a1}-\u{ffff}]+-)*[a-z0-9\u{00a1}-\u{ffff}]+)(?:\.(?:[a-z0-9\u{00a1}-\u{ffff}]+-)*[a-z0-9\u{00a1}-\u{ffff}]+)*(?:\.(?:[a-z\u{00a1}-\u{ffff}]{2,})))(?::\d{2,5})?$/iu;

/**
 * Matches the same texts as the `url` pattern of ajv-formats, in linear time: a scheme, optionally anything up to an
 * `@`, a host, and optionally a path, without white space. Inspects every part between slashes once.
 */
export function isUrl(text: string): boolean {
  const start = scheme.exec(text)?.[0];
  if (start === undefined) return false;
  const rest = text.slice(start.length);
  if (/\s/.test(rest)) return false;
  return rest.split("/").some((part, index) => {
    const at = part.lastIndexOf("@");
    if (at < 0) return index === 0 && host.test(part);
    return (index > 0 || at > 0) && host.test(part.slice(at + 1));
  });
}
