/**
 * Serialises any value as JSON text, by the rules for tool outputs: `undefined` becomes null, big integers strings of
 * digits, maps objects, sets arrays, errors their name and message; lone surrogates are replaced. Returns undefined if
 * the value cannot be serialised, for example because a getter or `toJSON` throws.
 */
export function serializeJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value === undefined ? null : value, portable) ?? "null";
  } catch {
    return undefined;
  }
}

function portable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Map) return wellFormedKeys(Object.fromEntries(value));
  if (value instanceof Set) return [...value];
  if (value instanceof Error) return { name: String(value.name), message: String(value.message) };
  return Array.isArray(value) || isRaw(value) ? value : wellFormedKeys(value);
}

/** Detects JSON.rawJSON objects, which must not be copied. */
const isRaw = (JSON as JSON & { isRawJSON(value: unknown): boolean }).isRawJSON;

/** Returns a copy with well-formed property names, or the same object if they already are. */
function wellFormedKeys(value: object): object {
  if (Object.keys(value).every((key) => key.isWellFormed())) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toWellFormed(), member as unknown]));
}
