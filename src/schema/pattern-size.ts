/** Weights of pattern elements that are larger than one instruction of a compiled program. */
const weights = { property: 8, charactersPerClass: 4 };

/** An element of a pattern: an escape, a class, a group's start or end, an alternative, or any other character. */
const element = /\\[pP]\{[^}]*\}|\\u\{[^}]*\}|\\.|\[(?:\\.|[^\\\]])*\]|\((?:\?(?:<?[=!]|:|<[^>]*>))?|[)|]|[^]/gsu;

const quantifier = /[*+?]\??|\{(\d+)(?:,(\d*))?\}\??/suy;

/**
 * Estimates the size of a pattern's compiled program, in instructions, without compiling it. Quantifiers multiply what
 * they repeat, so nested ones can make megabytes from a single line.
 */
export function estimatePatternSize(pattern: string): number {
  const outer: number[] = [];
  let size = 0;
  let end = 0;
  element.lastIndex = 0;
  for (let found = next(pattern, 0); found !== undefined; found = next(pattern, end)) {
    end = found.end;
    if (found.text.startsWith("(")) {
      outer.push(size);
      size = 0;
      continue;
    }
    const isGroupEnd = found.text === ")" && outer.length > 0;
    const own = isGroupEnd ? size + 2 : weightOf(found.text);
    quantifier.lastIndex = end;
    const count = quantifier.exec(pattern);
    if (count !== null) end += count[0].length;
    const times = Math.max(1, Number(count?.[1] ?? 1), Number(count?.[2] || 1));
    size = (isGroupEnd ? (outer.pop() ?? 0) : size) + (own + (count === null ? 0 : 1)) * times;
  }
  return outer.reduce((sum, part) => sum + part, size);
}

function next(pattern: string, from: number): { text: string; end: number } | undefined {
  element.lastIndex = from;
  const text = element.exec(pattern)?.[0];
  return text === undefined ? undefined : { text, end: from + text.length };
}

function weightOf(text: string): number {
  if (/^\\[pP]\{/.test(text)) return weights.property;
  if (text.startsWith("[")) return 1 + Math.floor(text.length / weights.charactersPerClass);
  return 1;
}
