import type { ExactJson } from "./exact-number.ts";
import { ExactNumber } from "./exact-number.ts";

/** JSON text with the keys of every object sorted, so that equal values have equal texts. */
export function canonicalJson(value: ExactJson): string {
  if (isCanonical(value)) return JSON.stringify(value);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as ExactJson)}`);
  return `{${members.join(",")}}`;
}

/** Reports whether all keys stand in order: then JSON.stringify writes the canonical text, several times as fast. */
function isCanonical(value: ExactJson): boolean {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return true;
  if (Array.isArray(value)) return value.every(isCanonical);
  let previous = "";
  for (const key of Object.keys(value)) {
    if (key < previous || !isCanonical(value[key] as ExactJson)) return false;
    previous = key;
  }
  return true;
}
