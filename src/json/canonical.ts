import type { ExactJson } from "./exact-number.ts";
import { ExactNumber } from "./exact-number.ts";

/**
 * Returns canonical JSON text with sorted object keys: equal values have equal texts. A number beyond the range of
 * doubles becomes `1e999`. Takes time proportional to the value's size, whatever its shape.
 */
export function canonicalJson(value: ExactJson): string {
  if (isCanonical(value)) return JSON.stringify(value);
  const unsorted = new Set<ExactJson>();
  collectUnsorted(value, unsorted);
  return textOf(value, unsorted);
}

/** Reports whether all keys are sorted. If so, JSON.stringify writes the canonical text, several times as fast. */
function isCanonical(value: ExactJson): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return true;
  if (Array.isArray(value)) return value.every(isCanonical);
  let previous = "";
  for (const key of Object.keys(value)) {
    if (key < previous || !isCanonical(value[key] as ExactJson)) return false;
    previous = key;
  }
  return true;
}

/**
 * Collects the arrays and objects that JSON.stringify would not write in canonical form. Reports whether this value is
 * one of them.
 */
function collectUnsorted(value: ExactJson, unsorted: Set<ExactJson>): boolean {
  if (typeof value === "number") return !Number.isFinite(value);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return false;
  let found = false;
  if (Array.isArray(value)) {
    for (const item of value) if (collectUnsorted(item, unsorted)) found = true;
  } else {
    let previous = "";
    for (const key of Object.keys(value)) {
      if (key < previous) found = true;
      previous = key;
      if (collectUnsorted(value[key] as ExactJson, unsorted)) found = true;
    }
  }
  if (found) unsorted.add(value);
  return found;
}

function textOf(value: ExactJson, unsorted: ReadonlySet<ExactJson>): string {
  if (typeof value === "number" && !Number.isFinite(value)) return "1e999";
  if (typeof value !== "object" || !unsorted.has(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${listText(value, unsorted)}]`;
  const members = value as { [key: string]: ExactJson };
  const keys = Object.keys(members).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${textOf(members[key] as ExactJson, unsorted)}`).join(",")}}`;
}

/**
 * Returns the texts of the items. Adjacent items that need no sorting are passed to JSON.stringify together, which
 * takes a tenth of the time.
 */
function listText(items: readonly ExactJson[], unsorted: ReadonlySet<ExactJson>): string {
  const texts: string[] = [];
  let from = 0;
  for (const [index, item] of items.entries()) {
    if (typeof item === "number" ? Number.isFinite(item) : typeof item !== "object" || !unsorted.has(item)) continue;
    if (index > from) texts.push(JSON.stringify(items.slice(from, index)).slice(1, -1));
    texts.push(textOf(item, unsorted));
    from = index + 1;
  }
  if (items.length > from) texts.push(JSON.stringify(items.slice(from)).slice(1, -1));
  return texts.join(",");
}
