import type { Json, JsonObject, SanitizeMode } from "../plugin/tool.ts";

/** Longest text that `strict` leaves, in characters. */
const strictLength = 250;

const notStrict = /[^a-zA-Z0-9@._\- ]/g;
// Control, format, surrogate, line and paragraph separator characters, and whatever else is drawn as nothing.
const invisible = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const plain = /^(?:[!-~](?:[ -~]*[!-~])?)?$/;

/**
 * Stage 3. Cleans every string of the arguments, nested ones too; property names stay. Returns the same object where
 * nothing had to change. `strict` keeps `[a-zA-Z0-9@._\- ]`, trims and cuts at 250 characters; `text` keeps Unicode in
 * NFC without control and invisible characters, trimmed; `off` keeps everything.
 */
export function sanitize(value: JsonObject, mode: SanitizeMode): JsonObject {
  if (mode === "off") return value;
  return clean(value, mode === "strict" ? strictText : visibleText) as JsonObject;
}

function strictText(text: string): string {
  return text.replace(notStrict, "").trim().slice(0, strictLength).trimEnd();
}

function visibleText(text: string): string {
  return plain.test(text) ? text : text.replace(invisible, "").normalize("NFC").trim();
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
