/**
 * A number from JSON text that a double cannot represent exactly. It computes as the nearest double, and is written
 * with its original digits.
 */
export class ExactNumber extends Number {
  /** The number as written in the JSON text. */
  readonly text: string;

  constructor(text: string) {
    super(text);
    this.text = text;
  }

  override toString(radix?: number): string {
    return radix === undefined ? this.text : super.toString(radix);
  }

  /** Makes JSON.stringify write the number as it was read. */
  toJSON(): unknown {
    return rawJson(this.text);
  }
}

/** A JSON value whose numbers keep their original digits. */
export type ExactJson = null | boolean | number | string | ExactNumber | ExactJson[] | { [key: string]: ExactJson };

/** Creates a value that JSON.stringify writes as the given JSON text of a primitive. */
// TypeScript's library does not declare JSON.rawJSON yet.
export const rawJson = (JSON as JSON & { rawJSON(text: string): object }).rawJSON;

/**
 * Parses JSON text. A number beyond ±(2^53 − 1), or with more digits than a double can represent, becomes an
 * ExactNumber. Throws a SyntaxError.
 */
export function parseJson(text: string): ExactJson {
  if (!mayLoseDigits.test(text)) return JSON.parse(text) as ExactJson;
  try {
    return parseWithSource(text, (_key, value, { source }) =>
      typeof value === "number" && source !== undefined && !isExact(source, value) ? new ExactNumber(source) : value,
    );
  } catch (error) {
    // Nested too deeply for a reviver. Such a value cannot be serialised again anyway.
    if (error instanceof RangeError) return JSON.parse(text) as ExactJson;
    throw error;
  }
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => ExactJson;

/**
 * A number of sixteen digits, or one with an exponent of two digits or after seven digits: all others are exact, and the
 * slow parser is for these. What is before a number keeps most strings out, for example hexadecimal ids.
 */
const mayLoseDigits = /(?:^|[[:, \t\n\r])-?(?:[\d.]{16}|[\d.]{7,}[eE]|[\d.]+[eE][+-]?\d\d)/;

/** A number whose digits are all zero. */
const zero = /^-?[0.]+(?:[eE]|$)/;

/** Doubles of this magnitude hold 15 digits; much smaller ones hold fewer. */
const minFull = 1e-300;

/**
 * Reports whether a double represents the number of a JSON text exactly: it is in the safe range and no digit is lost.
 */
export function isExact(source: string, value: number): boolean {
  const magnitude = Math.abs(value);
  if (magnitude > Number.MAX_SAFE_INTEGER) return false;
  // A double holds any 15 digits.
  if (source.length <= 15 && (magnitude >= minFull || zero.test(source))) return true;
  const written = String(value);
  return written === source || decimalOf(written) === decimalOf(source);
}

/** Returns a number's significant digits and the power of ten of the last one: equal for equal numbers. */
function decimalOf(text: string): string {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = (whole + fraction).replace(/^-?0*/, "");
  const significant = withoutTrailingZeros(digits);
  if (significant === "") return "0";
  const power = Number(exponent) - fraction.length + digits.length - significant.length;
  return `${mantissa.startsWith("-") ? "-" : ""}${significant}e${power}`;
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === "0") end--;
  return digits.slice(0, end);
}

/** Returns the value with every ExactNumber replaced by the nearest finite double, for schema validation. */
export function withDoubles(value: ExactJson): ExactJson {
  return mapExact(value, (exact) => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, Number(exact.text))));
}

/** Returns the value with every ExactNumber replaced by its text, because protobuf's Value holds doubles only. */
export function withNumberTexts(value: ExactJson): ExactJson {
  return mapExact(value, ({ text }) => text);
}

/** Returns the same object if it contains no ExactNumber. */
function mapExact(value: ExactJson, change: (exact: ExactNumber) => ExactJson): ExactJson {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof ExactNumber) return change(value);
  if (Array.isArray(value)) {
    const items = value.map((item) => mapExact(item, change));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  const entries = Object.entries(value).map(([key, member]): [string, ExactJson] => [key, mapExact(member, change)]);
  return entries.some(([key, member]) => member !== value[key]) ? Object.fromEntries(entries) : value;
}
