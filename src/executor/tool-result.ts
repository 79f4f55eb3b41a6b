import { Outcome, type ToolCall, type ToolResult, type Violation } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { Execution, RunEnd } from "./execution.ts";
import { fitOutput, jsonFromReturned, redactOutput, schemaView } from "../json/output.ts";
import { fits, shortenText, type TextLimit } from "../json/shorten.ts";
import { parseJson } from "../json/exact-number.ts";
import { okResult, valueFromOutput } from "./ok-result.ts";
import { messageForModel } from "./thrown.ts";

/** Which call a result answers. */
export interface AnsweredCall {
  readonly call: Pick<ToolCall, "id" | "name">;
}

/** The result of a call that has no good answer. */
export function errorResult(
  { call }: AnsweredCall,
  outcome: Outcome,
  message: string,
  violations: Violation[] = [],
): ToolResult {
  return {
    $typeName: "jackfield.v1.ToolResult",
    callId: call.id,
    name: call.name,
    outcome,
    output: message,
    value: undefined,
    error: { $typeName: "jackfield.v1.ToolError", message, violations },
    truncated: false,
    replayed: false,
    attempts: 0,
    duration: undefined,
  };
}

/** The result of a tool's function: what it returned, checked and fitted, or what may be said of its failure. */
export function resultOfEnd(execution: Execution, end: RunEnd, maxBytes: number): ToolResult {
  const { tool } = execution;
  switch (end.kind) {
    case "timed-out":
      return errorResult(execution, Outcome.TIMED_OUT, tool.fallbackMessage ?? modelError("failed"));
    case "cancelled":
      return errorResult(execution, Outcome.CANCELLED, modelError("cancelled"));
    case "threw":
      return errorResult(execution, Outcome.FAILED, shortenText(messageForModel(end.reason, tool), bytes(maxBytes)));
    case "returned":
      try {
        return resultOfReturned(execution, tool, end.returned, maxBytes);
      } catch {
        // An answer that throws when it is read, such as by a getter.
        return errorResult(execution, Outcome.INVALID_OUTPUT, modelError("not-serializable"));
      }
  }
}

function resultOfReturned(call: AnsweredCall, tool: CompiledTool, returned: unknown, maxBytes: number): ToolResult {
  const whole = jsonFromReturned(returned);
  if (whole === undefined) return errorResult(call, Outcome.INVALID_OUTPUT, modelError("not-serializable"));
  const violations = tool.validateOutput?.(schemaView(whole), whole.text.length) ?? [];
  if (violations.length > 0) {
    return errorResult(call, Outcome.INVALID_OUTPUT, modelError("invalid-output"), [...violations]);
  }
  // Secrets go before the cut: half of one would not be recognised.
  return okResult(call, fitOutput(redactOutput(whole, tool.redact), maxBytes));
}

/** Shortens a result for a caller that may read less than it holds. */
export function fitResult(result: ToolResult, maxBytes: number): ToolResult {
  if (fits(result.output, bytes(maxBytes))) return result;
  if (result.outcome !== Outcome.OK) {
    const output = shortenText(result.output, bytes(maxBytes));
    return { ...result, output, error: result.error && { ...result.error, message: output }, truncated: true };
  }
  const { output: text, value: whole } = result;
  const isText = whole?.kind.case === "stringValue" && whole.kind.value === text;
  const fitted = fitOutput({ text, json: isText ? text : parseJson(text) }, maxBytes);
  return { ...result, output: fitted.text, value: valueFromOutput(fitted.text, fitted.kind), truncated: true };
}

function bytes(max: number): TextLimit {
  return { max, unit: "bytes" };
}
