import type { Json, JsonObject, SanitizeMode } from "../plugin/tool.ts";
import { plainText, strictText } from "./clean-text.ts";

const noLiterals: ReadonlySet<string> = new Set();

/**
 * Cleans every string of the arguments, nested ones too, by `strictText` or `plainText`; `off` keeps everything. Property
 * names stay, and so do texts in `literals`: the values that the schema's `enum` and `const` ask for. Returns the same
 * object where nothing had to change.
 */
export function sanitize(
  value: JsonObject,
  mode: SanitizeMode,
  literals: ReadonlySet<string> = noLiterals,
): JsonObject {
  if (mode === "off") return value;
  const cleanText = mode === "strict" ? strictText : plainText;
  return clean(value, (text) => (literals.has(text) ? text : cleanText(text))) as JsonObject;
}

function clean(value: Json, cleanText: (text: string) => string): Json {
  if (typeof value === "string") return cleanText(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    const cleaned = value.map((item) => clean(item, cleanText));
    return cleaned.some((item, index) => item !== value[index]) ? cleaned : value;
  }
  let changed: JsonObject | undefined;
  for (const key of Object.keys(value)) {
    const member = value[key] as Json;
    const cleaned = clean(member, cleanText);
    if (cleaned !== member) (changed ??= { ...value })[key] = cleaned;
  }
  return changed ?? value;
}

/** The texts that a schema's `enum` and `const` ask for and that cleaning would change. */
export function textLiterals(schema: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  collectLiterals(schema, false, found);
  return found;
}

function collectLiterals(node: unknown, isLiteral: boolean, found: Set<string>): void {
  if (typeof node === "string") {
    if (isLiteral && strictText(node) !== node) found.add(node);
  } else if (Array.isArray(node)) {
    for (const item of node) collectLiterals(item, isLiteral, found);
  } else if (typeof node === "object" && node !== null) {
    for (const [key, member] of Object.entries(node)) {
      collectLiterals(member, isLiteral || key === "enum" || key === "const", found);
    }
  }
}
