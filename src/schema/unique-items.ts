import type { Ajv } from "ajv";

/**
 * Replaces the keyword `uniqueItems` by one that takes linear time. DANGER: Ajv's own compares every pair, and 20,000
 * objects keep the process busy for seconds.
 */
export function addUniqueItems(ajv: Ajv): void {
  ajv.removeKeyword("uniqueItems");
  ajv.addKeyword({
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    validate: (unique: boolean, items: readonly unknown[]) =>
      !unique || items.length < 2 || new Set(items.map(canonical)).size === items.length,
    error: { message: "must NOT have duplicate items" },
  });
}

/** A text that equal JSON values have in common. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== "object" || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
