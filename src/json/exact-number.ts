/** A number of a JSON text that a double cannot hold. It computes as the nearest double and is written as it was read. */
export class ExactNumber extends Number {
  /** The number as it stands in the JSON text. */
  readonly text: string;

  constructor(text: string) {
    super(text);
    this.text = text;
  }

  override toString(radix?: number): string {
    return radix === undefined ? this.text : super.toString(radix);
  }

  /** JSON.stringify writes the number as it was read. */
  toJSON(): unknown {
    return rawJson(this.text);
  }
}

/** A JSON value in which every number is as it was written. */
export type ExactJson = null | boolean | number | string | ExactNumber | ExactJson[] | { [key: string]: ExactJson };

/** Makes a value that JSON.stringify writes as the given JSON text of a primitive. */
// TypeScript does not know JSON.rawJSON yet.
export const rawJson = (JSON as JSON & { rawJSON(text: string): object }).rawJSON;

/**
 * Parses JSON text. A number beyond ±(2^53 − 1), or with more digits than a double holds, becomes an ExactNumber. Throws
 * a SyntaxError.
 */
export function parseJson(text: string): ExactJson {
  if (!mayLoseDigits.test(text)) return JSON.parse(text) as ExactJson;
  try {
    return parseWithSource(text, (_key, value, { source }) =>
      typeof value === "number" && source !== undefined && !isHeld(source, value) ? new ExactNumber(source) : value,
    );
  } catch (error) {
    // Nested too deeply for a reviver. Nothing this deep can be written again either.
    if (error instanceof RangeError) return JSON.parse(text) as ExactJson;
    throw error;
  }
}

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => ExactJson;

/** Sixteen digits in a row, or an exponent: fewer digits always fit. */
const mayLoseDigits = /[\d.]{16}|\d[eE][+-]?\d/;

/** Reports whether a double holds the number of a JSON text: it is a safe size, and no digit is lost. */
export function isHeld(source: string, value: number): boolean {
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return false;
  const written = String(value);
  return written === source || decimalOf(written) === decimalOf(source);
}

/** The significant digits of a number and the power of ten of the last one: equal for equal numbers. */
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

/** The value with every ExactNumber replaced by the nearest finite double, for checks against a schema. */
export function withDoubles(value: ExactJson): ExactJson {
  return mapExact(value, (exact) => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, Number(exact.text))));
}

/** The value with every ExactNumber replaced by its text: protobuf's Value holds doubles only. */
export function withNumberTexts(value: ExactJson): ExactJson {
  return mapExact(value, ({ text }) => text);
}

/** Returns the same object where it holds no ExactNumber. */
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
