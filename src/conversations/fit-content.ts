import type { JsonValue } from "@bufbuild/protobuf";

/** The length of a text in code points. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Cuts a text to at most `longest` code points, with `...` at the end where something is missing. */
export function cutText(text: string, longest: number): string {
  if (text.length <= longest || codePoints(text) <= longest) return text;
  // No more code units than these can be needed, however long the text is.
  return (
    Array.from(text.slice(0, longest * 2))
      .slice(0, longest - 3)
      .join("") + "..."
  );
}

/**
 * Shortens JSON text to at most `longest` code points and keeps it JSON: fewer rows and shorter strings, each with a count
 * of what was left out. Text that is not JSON is cut.
 */
export function cutJson(text: string, longest: number): string {
  if (text.length <= longest || codePoints(text) <= longest) return text;
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return cutText(text, longest);
  }
  for (let room = longest; room >= 1; room = Math.floor(room * 0.75)) {
    const shorter = JSON.stringify(shrink(value, Math.ceil(room / 4), Math.max(room, 12)));
    if (codePoints(shorter) <= longest) return shorter;
  }
  return '"…"';
}

function shrink(value: JsonValue, items: number, characters: number): JsonValue {
  if (typeof value === "string") {
    const all = [...value];
    if (all.length <= characters) return value;
    return `${all.slice(0, characters).join("")}… (${all.length - characters} more characters)`;
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const kept = value.slice(0, items).map((item) => shrink(item, items, characters));
    return value.length > items ? [...kept, `… ${value.length - items} more left out`] : kept;
  }
  const entries = Object.entries(value);
  // An object's properties are its shape: more of them are kept than of an array's rows.
  const limit = Math.max(items, 8);
  const kept = Object.fromEntries(entries.slice(0, limit).map(([key, item]) => [key, shrink(item, items, characters)]));
  return entries.length > limit ? { ...kept, "…": `${entries.length - limit} more left out` } : kept;
}
