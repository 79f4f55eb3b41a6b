import type { ExactJson } from "./exact-number.ts";
import { ExactNumber } from "./exact-number.ts";

/** JSON text with the keys of every object sorted, so that equal values have equal texts. */
export function canonicalJson(value: ExactJson): string {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as ExactJson)}`);
  return `{${members.join(",")}}`;
}
