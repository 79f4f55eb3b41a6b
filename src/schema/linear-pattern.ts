import { RE2JS } from "re2js";
import type { StepMeter } from "./step-meter.ts";

/** A compiled pattern as Ajv uses it. */
export interface LinearPattern {
  test(text: string): boolean;
}

/** Makes the patterns of a schema; they report their steps to a meter. Ajv calls it for each pattern. */
export interface PatternEngine {
  (pattern: string, flags: string): LinearPattern;
  /** Name of the function in the code that Ajv generates. */
  code: string;
}

/**
 * Creates an engine for patterns that take linear time on every text. Simple ones run on the platform's engine, which is
 * linear for them; all others on re2, which is linear by construction and knows no look-around and no back-references.
 * Throws on a pattern that neither can run.
 */
export function createPatternEngine(meter: StepMeter): PatternEngine {
  const engine = (pattern: string, flags: string): LinearPattern => {
    const test = nativeTest(pattern, flags, meter) ?? re2Test(pattern, flags, meter);
    // Ajv tells patterns apart by their text.
    return { test, toString: () => `/${pattern}/${flags}` } as LinearPattern;
  };
  return Object.assign(engine, { code: "linearPattern" });
}

function nativeTest(pattern: string, flags: string, meter: StepMeter): LinearPattern["test"] | undefined {
  const cost = nativeCost(pattern);
  const expression = cost === undefined ? undefined : compiled(pattern, flags);
  if (cost === undefined || expression === undefined) return undefined;
  return (text) => {
    meter.charge(cost.steps + text.length * cost.stepsPerCharacter);
    return expression.test(text);
  };
}

/** Steps of re2: for a call, for each character, and for each instruction of a new state and of a simulated one. */
const re2Steps = { call: 800, character: 20, state: 220, simulated: 30 };

function re2Test(pattern: string, flags: string, meter: StepMeter): LinearPattern["test"] {
  const expression = RE2JS.compile(RE2JS.translateRegExp(pattern), flags.includes("i") ? RE2JS.CASE_INSENSITIVE : 0);
  const size = expression.programSize();
  const automaton = expression.re2Input.dfa;
  // It is built while it reads: a text that leads to ever new states costs a thousand times one that does not.
  const makeState = automaton.makeState.bind(automaton) as (...args: unknown[]) => unknown;
  automaton.makeState = (...args: unknown[]) => {
    meter.charge(re2Steps.call + size * re2Steps.state);
    return makeState(...args);
  };
  const match = automaton.match.bind(automaton) as (...args: unknown[]) => unknown;
  let { length } = pattern;
  automaton.match = (...args: unknown[]) => {
    const found = match(...args);
    // It has too many states: what comes next simulates them one by one.
    if (found === null) meter.charge(length * size * re2Steps.simulated);
    return found;
  };
  return (text) => {
    ({ length } = text);
    meter.charge(re2Steps.call + length * re2Steps.character);
    return expression.test(text);
  };
}

function compiled(pattern: string, flags: string): RegExp | undefined {
  try {
    return new RegExp(pattern, flags);
  } catch {
    return undefined;
  }
}

/** One character or class, and how often it may occur. */
const element =
  /(?:\\[dDwWsS./\\-]|\[\^?(?:\\[dws./\\\]-]|[^\\[\]])+\]|[^\\^$|?*+()[\]{}])(?:(?<one>\?)|(?<many>[*+])|\{(?<least>\d{1,4})(?<open>,(?<most>\d{1,4})?)?\})?/y;

/** Ways to match one text that a simple pattern may have: each costs a backtracking engine one try. */
const maxWays = 256;

/** Steps for each character of a text that a simple pattern may take. */
const maxStepsPerCharacter = 16;

/** What matching a text takes: steps in any case, and for each character. */
export interface NativeCost {
  readonly steps: number;
  readonly stepsPerCharacter: number;
}

/**
 * The cost of a pattern on a backtracking engine; undefined where that is not linear. Linear are characters and classes
 * in a row, without groups or alternatives, with few ways to share a text among them, and at most one that repeats
 * without end, then from the text's start.
 */
export function nativeCost(pattern: string): NativeCost | undefined {
  const isAnchored = pattern.startsWith("^");
  const end = pattern.endsWith("$") && !pattern.endsWith("\\$") ? pattern.length - 1 : pattern.length;
  let ways = 1;
  let span = 1;
  let endless = 0;
  let at = isAnchored ? 1 : 0;
  while (at < end) {
    element.lastIndex = at;
    const found = element.exec(pattern);
    if (found === null || at + found[0].length > end) return undefined;
    at += found[0].length;
    const { one, many, least, open, most } = found.groups!;
    span += Number(most ?? least ?? 1);
    if (one !== undefined) ways *= 2;
    else if (many !== undefined || (open !== undefined && most === undefined)) endless += 1;
    else if (most !== undefined) ways *= Number(most) - Number(least) + 1;
  }
  if (ways <= 0 || ways > maxWays || endless > 1) return undefined;
  if (endless === 1 && !isAnchored) return undefined;
  const steps = ways * span;
  const stepsPerCharacter = isAnchored ? 2 * ways * endless : steps;
  return stepsPerCharacter <= maxStepsPerCharacter ? { steps, stepsPerCharacter } : undefined;
}
