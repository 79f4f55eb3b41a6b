import { RE2JS } from "re2js";

/** A pattern as Ajv uses it. */
export interface LinearPattern {
  test(text: string): boolean;
}

/**
 * Patterns that take linear time on every text. Plain ones run on the platform's own engine, which could not take longer
 * with them; all others on re2, which is linear by construction and knows no look-around and no back-references. Throws
 * on a pattern that neither can run.
 */
export function linearPattern(pattern: string, flags: string): LinearPattern {
  const plain = isPlain(pattern) ? compiled(pattern, flags) : undefined;
  const test = plain === undefined ? withRe2(pattern, flags) : (text: string) => plain.test(text);
  // Ajv tells patterns apart by their text.
  return { test, toString: () => `/${pattern}/${flags}` } as LinearPattern;
}
linearPattern.code = "linearPattern";

function withRe2(pattern: string, flags: string): (text: string) => boolean {
  const expression = RE2JS.compile(RE2JS.translateRegExp(pattern), flags.includes("i") ? RE2JS.CASE_INSENSITIVE : 0);
  return (text) => expression.matcher(text).find();
}

function compiled(pattern: string, flags: string): RegExp | undefined {
  try {
    return new RegExp(pattern, flags);
  } catch {
    return undefined;
  }
}

/** One character or class, and how often it may come. */
const step =
  /(?:\\[dDwWsS./\\-]|\[\^?(?:\\[dws./\\\]-]|[^\\[\]])+\]|[^\\^$|?*+()[\]{}])(?:(?<one>\?)|(?<many>[*+])|\{(?<least>\d{1,4})(?<open>,(?<most>\d{1,4})?)?\})?/y;

/** Ways to match one text that a plain pattern may have: each costs a backtracking engine one try. */
const mostWays = 256;

/**
 * Tells whether a backtracking engine is linear on a pattern: characters and classes in a row, without groups or
 * alternatives, few ways to share a text among them, and at most one that repeats without end, then from the text's start.
 */
export function isPlain(pattern: string): boolean {
  const anchored = pattern.startsWith("^");
  const end = pattern.endsWith("$") && !pattern.endsWith("\\$") ? pattern.length - 1 : pattern.length;
  let ways = 1;
  let endless = 0;
  let at = anchored ? 1 : 0;
  while (at < end) {
    step.lastIndex = at;
    const found = step.exec(pattern);
    if (found === null || at + found[0].length > end) return false;
    at += found[0].length;
    const { one, many, least, open, most } = found.groups!;
    if (one !== undefined) ways *= 2;
    else if (many !== undefined || (open !== undefined && most === undefined)) endless += 1;
    else if (most !== undefined) ways *= Number(most) - Number(least) + 1;
  }
  return ways <= mostWays && ways > 0 && (endless === 0 || (endless === 1 && anchored));
}
