import { stripVTControlCharacters } from "node:util";

// Control, format, surrogate, line and paragraph separator characters, and whatever else is drawn as nothing.
const invisible = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * A text for people and models, such as a description, without anything that is not seen: terminal codes, control,
 * format and zero-width characters.
 */
export function visibleText(text: string): string {
  return stripVTControlCharacters(text.replaceAll("\r\n", "\n")).replace(invisible, "").trim();
}
