/**
 * Writes any value as JSON text, by the rules that hold for the answers of tools: `undefined` is null, big integers are
 * strings of digits, maps are objects, sets are arrays, errors their name and message, and lone surrogates are replaced.
 * Returns undefined for what cannot be serialised. Errors of getters and `toJSON` count as that.
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

/** Tells the objects of JSON.rawJSON, which a copy would no longer be. */
const isRaw = (JSON as JSON & { isRawJSON(value: unknown): boolean }).isRawJSON;

/** A copy with property names that are Unicode text, or the same object where they are. */
function wellFormedKeys(value: object): object {
  if (Object.keys(value).every((key) => key.isWellFormed())) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key.toWellFormed(), member as unknown]));
}
