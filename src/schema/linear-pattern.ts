import { RE2JS } from "re2js";
import type { StepMeter } from "./step-meter.ts";

/** A compiled pattern with the interface that Ajv expects. */
export interface LinearPattern {
  test(text: string): boolean;
}

/** Compiles the patterns of a schema, which report their steps to a meter. Ajv calls it for each pattern. */
export interface PatternEngine {
  (pattern: string, flags: string): LinearPattern;
  /** Name of the function in Ajv's generated code. */
  code: string;
}

/**
 * Creates an engine for patterns that match every text in linear time. Simple patterns run on the platform's engine,
 * which is linear for them; all others run on re2, which is linear by design but supports neither look-around nor
 * back-references. Throws on a pattern that neither can run.
 */
export function createPatternEngine(meter: StepMeter): PatternEngine {
  const engine = (pattern: string, flags: string): LinearPattern => {
    const test = nativeTest(pattern, flags, meter) ?? re2Test(pattern, flags, meter);
    // Ajv identifies patterns by their text.
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

/** Steps of re2: per call, per character, and per instruction of a new state and of a simulated one. */
const re2Steps = { call: 800, character: 20, state: 220, simulated: 30 };

function re2Test(pattern: string, flags: string, meter: StepMeter): LinearPattern["test"] {
  const expression = RE2JS.compile(RE2JS.translateRegExp(pattern), flags.includes("i") ? RE2JS.CASE_INSENSITIVE : 0);
  const size = expression.programSize();
  const automaton = expression.re2Input.dfa;
  // re2 builds its automaton while it reads: a text that leads to ever new states costs a thousand times more than one
  // that does not.
  const makeState = automaton.makeState.bind(automaton) as (...args: unknown[]) => unknown;
  automaton.makeState = (...args: unknown[]) => {
    meter.charge(re2Steps.call + size * re2Steps.state);
    return makeState(...args);
  };
  const match = automaton.match.bind(automaton) as (...args: unknown[]) => unknown;
  let { length } = pattern;
  automaton.match = (...args: unknown[]) => {
    const found = match(...args);
    // The automaton has too many states, so re2 simulates the following ones one by one.
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

/** A character or class, and its quantifier. */
const element =
  /(?:\\[dDwWsS./\\-]|\[\^?(?:\\[dws./\\\]-]|[^\\[\]])+\]|[^\\^$|?*+()[\]{}])(?:(?<one>\?)|(?<many>[*+])|\{(?<min>\d{1,4})(?<open>,(?<max>\d{1,4})?)?\})?/y;

/** Maximum number of ways in which a simple pattern may match a text. A backtracking engine tries each. */
const maxWays = 256;

/** Maximum number of steps per character for a simple pattern. */
const maxStepsPerCharacter = 16;

/** The cost of a match in steps: a fixed part, and a part per character. */
export interface NativeCost {
  readonly steps: number;
  readonly stepsPerCharacter: number;
}

/**
 * Returns the cost of a pattern on a backtracking engine; undefined if it is not linear. A pattern is linear if it is a
 * sequence of characters and classes, without groups or alternatives, with few ways to divide a text among them, and
 * with at most one unbounded repetition, which requires an anchor at the start.
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
    const { one, many, min, open, max } = found.groups!;
    span += Number(max ?? min ?? 1);
    if (one !== undefined) ways *= 2;
    else if (many !== undefined || (open !== undefined && max === undefined)) endless += 1;
    else if (max !== undefined) ways *= Number(max) - Number(min) + 1;
  }
  if (ways <= 0 || ways > maxWays || endless > 1) return undefined;
  if (endless === 1 && !isAnchored) return undefined;
  const steps = ways * span;
  const stepsPerCharacter = isAnchored ? 2 * ways * endless : steps;
  return stepsPerCharacter <= maxStepsPerCharacter ? { steps, stepsPerCharacter } : undefined;
}
