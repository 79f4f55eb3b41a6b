import { hash } from "node:crypto";
import { Outcome, type ToolCall, type Violation } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { canonicalJson } from "../../json/canonical.ts";
import { type ExactJson, ExactNumber, parseJson } from "../../json/exact-number.ts";
import type { JsonObject } from "../../plugin/tool.ts";
import { inspectJson } from "../../schema/json-guard.ts";
import { violation } from "../../schema/violations.ts";
import type { Execution } from "../execution.ts";
import type { ArgumentLimits, ExecutorParts, StageAnswer } from "../stage.ts";
import { errorResult } from "../tool-result.ts";

/** Arguments that can be worked with, and by what they are recognised. */
export interface ParsedArguments {
  readonly value: JsonObject;
  /** Canonical JSON text: equal for equal arguments. */
  readonly json: string;
  /** SHA-256 of the canonical text. */
  readonly digest: string;
}

/** Why arguments cannot be worked with, in words for the model. */
export interface ArgumentProblem {
  readonly message: string;
  readonly violations: Violation[];
}

/** Reads the arguments, text or object, under the same rules on every path. Ends the call with INVALID_ARGUMENTS. */
export function parseArguments(execution: Execution, { limits }: ExecutorParts): StageAnswer {
  const parsed = readArguments(execution.call, limits);
  if ("violations" in parsed) {
    return errorResult(execution, Outcome.INVALID_ARGUMENTS, parsed.message, parsed.violations);
  }
  execution.args = parsed.value;
  execution.argumentsBytes = parsed.json.length;
  execution.digest = parsed.digest;
  return undefined;
}

/**
 * Reads the arguments of a call, text or object, under the same rules on every path. Of a key that occurs twice
 * the last one counts.
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

/** The words for arguments with faults: every one with its path. */
export function invalid(name: string, violations: Violation[]): ArgumentProblem {
  const list = violations.map((fault) => `${fault.path}: ${fault.message}`).join(", ");
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
