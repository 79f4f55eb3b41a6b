import { hash } from "node:crypto";
import { Outcome, type ToolCall, type ToolResult, type Violation } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { canonicalJson } from "../../json/canonical.ts";
import { type ExactJson, ExactNumber, parseJson } from "../../json/exact-number.ts";
import { sanitize } from "../../json/sanitize.ts";
import type { JsonObject } from "../../plugin/tool.ts";
import { escapePointer } from "../../json/pointer.ts";
import { maxViolations, violation } from "../../schema/violations.ts";
import type { Execution } from "../execution.ts";
import type { ArgumentLimits, ExecutorParts, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";

/** Arguments in a usable form, and the texts that identify them. */
export interface ParsedArguments {
  readonly value: JsonObject;
  /** Canonical JSON text, equal for equal arguments. */
  readonly json: string;
  /** SHA-256 of the canonical text. */
  readonly digest: string;
}

/** The reason why arguments are unusable, in words for the model. */
export interface ArgumentProblem {
  readonly message: string;
  readonly violations: Violation[];
}

/**
 * Parses and digests the arguments, sanitises their strings as the tool specifies, or else as the adapter does, and
 * validates them against the tool's schema. Ends the call with INVALID_ARGUMENTS and every violation.
 */
export function checkArguments(execution: Execution, { limits }: ExecutorParts): StageAnswer {
  const { call, tool, request } = execution;
  const read = readArguments(call, limits);
  if ("violations" in read) return refused(execution, read);
  execution.digest = read.digest;
  execution.argumentsLength = read.json.length;
  execution.args = sanitize(read.value, tool.sanitize ?? request.caller.sanitize ?? "text", tool.literals);
  const violations = tool.validateInput(execution.args, read.json.length);
  return violations.length === 0 ? undefined : refused(execution, invalid(call.name, [...violations]));
}

function refused(execution: Execution, { message, violations }: ArgumentProblem): ToolResult {
  return errorResult(execution, Outcome.INVALID_ARGUMENTS, message, violations);
}

/**
 * Parses the arguments of a call, given as text or object, by the same rules on every path. If a key occurs twice, the
 * last one counts.
 */
export function readArguments(call: ToolCall, limits: ArgumentLimits): ParsedArguments | ArgumentProblem {
  const value = call.input.case === "argumentsJson" ? parseText(call.input.value) : (call.input.value ?? {});
  if (value === undefined) return { message: modelError("arguments-not-json", call.name), violations: [] };
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof ExactNumber) {
    return invalid(call.name, [violation("", "must be object")]);
  }
  const { violations, canonical, room } = inspectJson(value, limits);
  if (violations.length > 0) return invalid(call.name, violations);
  const json = room < 0 ? undefined : canonical ? JSON.stringify(value) : canonicalJson(value);
  if (json === undefined || isLongerThan(limits.argumentsBytes, json)) {
    return invalid(call.name, [violation("", `must not be larger than ${limits.argumentsBytes} bytes`)]);
  }
  return { value: value as JsonObject, json, digest: hash("sha256", json, "base64url") };
}

function isLongerThan(maxBytes: number, text: string): boolean {
  return text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes;
}

/** Returns the message about invalid arguments: every violation with its path. */
function invalid(name: string, violations: Violation[]): ArgumentProblem {
  const list = violations.map((problem) => `${problem.path}: ${problem.message}`).join(", ");
  return { message: `Schema validation failed for ${name}: ${list}`, violations };
}

function parseText(text: string): ExactJson | undefined {
  if (text === "") return {};
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** The findings of one pass over parsed arguments. */
interface Inspection {
  readonly violations: Violation[];
  /** Whether all keys are in canonical order. */
  canonical: boolean;
  /** What is left of the maximum size if each value has its least length. Below zero the pass stops. */
  room: number;
  /** Property names and indexes that lead to the current object or array. */
  readonly path: (string | number)[];
}

/**
 * Checks every value of parsed JSON, down to the maximum depth: nesting, property names that reach into prototypes, and
 * numbers that a double cannot hold. Stops where the values must be larger than `limits` allow.
 */
function inspectJson(value: { [key: string]: ExactJson }, limits: ArgumentLimits): Inspection {
  const found: Inspection = { violations: [], canonical: true, room: limits.argumentsBytes, path: [] };
  inspect(value, limits.depth, found);
  return found;
}

function inspect(value: ExactJson[] | { [key: string]: ExactJson }, levels: number, found: Inspection): void {
  if (levels === 0) {
    // Reported once only.
    if (!found.violations.some(({ message }) => message.startsWith("must not be nested"))) {
      found.violations.push(violation("", "must not be nested as deeply: flatten the arguments"));
    }
    return;
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && found.room >= 0; index++) {
      inspectMember(index, value[index] as ExactJson, levels, found);
    }
    return;
  }
  let previous = "";
  for (const key of Object.keys(value)) {
    if (found.room < 0) return;
    if (key < previous) found.canonical = false;
    previous = key;
    // Its quotes and the colon.
    found.room -= key.length + 3;
    const member = value[key] as ExactJson;
    if (key === "__proto__" || (key === "constructor" && reachesPrototype(member))) {
      report(key, "is not allowed as a property name", found);
    } else {
      inspectMember(key, member, levels, found);
    }
  }
}

function inspectMember(key: string | number, member: ExactJson, levels: number, found: Inspection): void {
  // The shortest value is a digit, and a comma or bracket is before it.
  found.room -= 2;
  if (typeof member === "string") found.room -= member.length;
  else if (typeof member === "number") {
    if (!isSafe(member)) report(key, tooLarge, found);
  } else if (typeof member === "object" && member !== null) {
    if (member instanceof ExactNumber) report(key, isSafe(member) ? tooManyDigits : tooLarge, found);
    else {
      found.path.push(key);
      inspect(member, levels - 1, found);
      found.path.pop();
    }
  }
}

const tooLarge = "must be a number between -(2^53 - 1) and 2^53 - 1: send larger ones as a string";
const tooManyDigits = "must be a number with at most 17 digits: send more exact ones as a string";

/** Reports whether a number is in the range of safe integers. NaN is not. */
function isSafe(value: number | ExactNumber): boolean {
  return Math.abs(Number(value)) <= Number.MAX_SAFE_INTEGER;
}

function report(key: string | number, message: string, { violations, path }: Inspection): void {
  if (violations.length >= maxViolations) return;
  violations.push(violation([...path, key].map((name) => `/${escapePointer(String(name))}`).join(""), message));
}

function reachesPrototype(value: ExactJson): boolean {
  return Object.hasOwn(Object(value) as object, "prototype");
}
