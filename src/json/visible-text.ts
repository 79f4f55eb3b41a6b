import { stripVTControlCharacters } from "node:util";

// Control, format, surrogate, line and paragraph separator characters, and all others without a visible glyph.
const invisible = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * Removes invisible characters from a text for people and models, such as a description: terminal escapes, control,
 * format and zero-width characters.
 */
export function visibleText(text: string): string {
  return stripVTControlCharacters(text.replaceAll("\r\n", "\n")).replace(invisible, "").trim();
}
