import { stripVTControlCharacters } from "node:util";

/** Longest text that `strictText` leaves, in characters. */
const maxStrictCharacters = 250;

const notStrict = /[^a-zA-Z0-9@._\- ]/g;

/** Control characters but line feeds and tabs, bidirectional embeddings, overrides and isolates, BOM, lone surrogates. */
const unwanted = /(?![\n\t])[\p{Cc}\p{Cs}\u202A-\u202E\u2066-\u2069\uFEFF]/gu;

/** Texts that `plainText` leaves as they are: the usual case, told quickly. */
const clean = /^(?:[!-~](?:[ -~\n\t]*[!-~])?)?$/;

/**
 * Cleans an argument in the mode `text`: NFC, line breaks as `\n`, without control characters, bidirectional overrides
 * and BOM, its ends trimmed unless nothing would be left. Line breaks, tabs, joiners and variation selectors stay.
 */
export function plainText(text: string): string {
  if (clean.test(text)) return text;
  const visible = composed(text.replaceAll(/\r\n?/g, "\n").replace(unwanted, ""));
  return visible.trim() || visible;
}

/** Cleans an argument in the mode `strict`: keeps `[a-zA-Z0-9@._\- ]`, trims, and cuts at 250 characters. */
export function strictText(text: string): string {
  return text.replace(notStrict, "").trim().slice(0, maxStrictCharacters).trimEnd();
}

/** A character with more combining marks than any script writes (UAX #15 allows 30 in stream-safe text). */
const manyMarks = /\P{M}?\p{M}{31,}/gu;

/** The text in NFC. DANGER: sorting combining marks takes quadratic time; runs that no script writes stay as they are. */
function composed(text: string): string {
  let result = "";
  let end = 0;
  for (const { 0: run, index } of text.matchAll(manyMarks)) {
    result += text.slice(end, index).normalize("NFC") + run;
    end = index + run.length;
  }
  return result + text.slice(end).normalize("NFC");
}

// Control, format, surrogate, line and paragraph separator characters, and whatever else is drawn as nothing.
const invisible = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/**
 * A text for people and models, such as a description, without anything that is not seen: terminal codes, control,
 * format and zero-width characters.
 */
export function visibleText(text: string): string {
  return stripVTControlCharacters(text.replaceAll("\r\n", "\n")).replace(invisible, "").trim();
}
