import { rawJson } from "../../json/exact-number.ts";

/** Stands for an object that is nested too deeply to be written out: it is refused for the same reason. */
const tooDeep = "[".repeat(1000) + "]".repeat(1000);

/** Arguments as JSON text, whichever way the platform sent them. Nothing that ought to be refused becomes acceptable. */
export function argumentsText(input: unknown): string {
  if (typeof input === "string") return input;
  try {
    return JSON.stringify(input, keepInfinite);
  } catch (error) {
    if (error instanceof RangeError) return tooDeep;
    throw error;
  }
}

/** A number too large for a double was read as infinite and would be written as null, silently another argument. */
function keepInfinite(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  return rawJson(value > 0 ? "1e999" : "-1e999");
}
