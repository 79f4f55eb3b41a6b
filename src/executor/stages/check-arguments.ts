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
  const { violations, canonical } = inspectJson(value, limits.depth);
  if (violations.length > 0) return invalid(call.name, violations);
  const json = canonical ? JSON.stringify(value) : canonicalJson(value);
  if (json.length * 3 > limits.argumentsBytes && Buffer.byteLength(json) > limits.argumentsBytes) {
    return invalid(call.name, [violation("", `must not be larger than ${limits.argumentsBytes} bytes`)]);
  }
  return { value: value as JsonObject, json, digest: hash("sha256", json, "base64url") };
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

/** The violations of parsed arguments, and whether all their keys are in canonical order. */
interface Inspection {
  violations: Violation[];
  canonical: boolean;
}

/**
 * Checks every value of parsed JSON, down to `depth` levels: nesting, property names that reach into prototypes, and
 * numbers that a double cannot hold.
 */
function inspectJson(value: { [key: string]: ExactJson }, depth: number): Inspection {
  const inspection: Inspection = { violations: [], canonical: true };
  inspect(value, "", depth, inspection);
  return inspection;
}

function inspect(value: ExactJson, path: string, levels: number, found: Inspection): void {
  if (found.violations.length >= maxViolations) return;
  if (typeof value === "number") return inspectNumber(value, path, found);
  if (typeof value !== "object" || value === null) return;
  if (value instanceof ExactNumber) return inspectExactNumber(value, path, found);
  if (levels === 0) {
    // Reported once only.
    if (!found.violations.some(({ message }) => message.startsWith("must not be nested"))) {
      found.violations.push(violation("", "must not be nested as deeply: flatten the arguments"));
    }
    return;
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++)
      inspect(value[index] as ExactJson, `${path}/${index}`, levels - 1, found);
    return;
  }
  let previous = "";
  for (const key of Object.keys(value)) {
    if (key < previous) found.canonical = false;
    previous = key;
    const member = value[key] as ExactJson;
    if (key === "__proto__" || (key === "constructor" && reachesPrototype(member))) {
      found.violations.push(violation(`${path}/${key}`, "is not allowed as a property name"));
    } else if (typeof member === "object" ? member !== null : typeof member === "number") {
      inspect(member, `${path}/${escapePointer(key)}`, levels - 1, found);
    }
  }
}

function inspectNumber(value: number, path: string, found: Inspection): void {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return;
  found.violations.push(
    violation(path, "must be a number between -(2^53 - 1) and 2^53 - 1: send larger ones as a string"),
  );
}

function inspectExactNumber(value: ExactNumber, path: string, found: Inspection): void {
  inspectNumber(Number(value), path, found);
  if (Math.abs(Number(value)) > Number.MAX_SAFE_INTEGER) return;
  found.violations.push(violation(path, "must be a number with at most 17 digits: send more exact ones as a string"));
}

function reachesPrototype(value: ExactJson): boolean {
  return Object.hasOwn(Object(value) as object, "prototype");
}
