import { create, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { Outcome, type ToolCall, type ToolResult, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../src/errors.ts";

/** A simulated tool. Its return value is the answer; a `ToolFailure` that it throws is an outcome, any other error an internal one. */
export type SimulatedTool = (
  args: JsonObject,
  about: { report(message: string, fraction: number): void; signal: AbortSignal },
) => unknown;

/** Thrown by a tool: an outcome other than OK. */
export class ToolFailure extends Error {
  readonly outcome: Outcome;
  readonly violations: { path: string; message: string }[];

  constructor(outcome: Outcome, message: string, violations: { path: string; message: string }[] = []) {
    super(message);
    this.outcome = outcome;
    this.violations = violations;
  }
}

/** Runs a tool with the arguments of a call, and returns its result as an executor does. */
export async function runTool(
  tool: SimulatedTool | undefined,
  call: ToolCall,
  signal: AbortSignal,
  report: (message: string, fraction: number) => void,
): Promise<ToolResult> {
  const blank = { callId: call.id, name: call.name };
  const fail = (outcome: Outcome, message: string, violations: ToolFailure["violations"] = [], attempts = 0) =>
    create(ToolResultSchema, { ...blank, outcome, output: message, error: { message, violations }, attempts });
  if (tool === undefined) return fail(Outcome.UNKNOWN_TOOL, modelError("unknown-tool", call.name));
  let args: JsonObject;
  try {
    args = call.input.case === "arguments" ? call.input.value : (JSON.parse(call.input.value || "{}") as JsonObject);
  } catch {
    return fail(Outcome.INVALID_ARGUMENTS, modelError("arguments-not-json", call.name));
  }
  if (typeof args !== "object" || args === null || Array.isArray(args)) {
    return fail(Outcome.INVALID_ARGUMENTS, "must be object", [{ path: "", message: "must be object" }]);
  }
  try {
    const value = (await tool(args, { report, signal })) as JsonValue;
    const output = typeof value === "string" ? value : JSON.stringify(value);
    const duration = { seconds: 0n, nanos: 1_000_000 };
    return create(ToolResultSchema, {
      ...blank,
      outcome: Outcome.OK,
      output,
      value: fromJson(ValueSchema, value),
      attempts: 1,
      duration,
    });
  } catch (error) {
    if (error instanceof ToolFailure)
      return fail(error.outcome, error.message, error.violations, error.violations.length > 0 ? 0 : 1);
    throw error;
  }
}
