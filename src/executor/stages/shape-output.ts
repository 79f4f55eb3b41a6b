import type { Value } from "@bufbuild/protobuf/wkt";
import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { parseJson, withNumberTexts } from "../../json/exact-number.ts";
import { fitOutput, type FittedOutput, jsonFromReturned, redactOutput, schemaView } from "../../json/output.ts";
import { fits, shortenText, type TextLimit } from "../../json/shorten.ts";
import type { CompiledTool } from "../../registry/registry.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { valueFromJson } from "../json-value.ts";
import type { ExecutorParts } from "../stage.ts";
import { messageForModel } from "../thrown.ts";
import { type AnsweredCall, errorResult } from "../tool-result.ts";

/** Turns the end of the tool's function into the result that the model reads: checked, redacted and fitted. */
export function shapeOutput(execution: Execution, { limits }: ExecutorParts): ToolResult {
  const result =
    execution.verdict === "unknown"
      ? errorResult(execution, Outcome.UNCERTAIN, modelError("uncertain"))
      : resultOfEnd(execution, execution.end as RunEnd, limits.outputBytes);
  result.attempts = 1;
  return result;
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
  return new OkResult(call.call.id, call.call.name, fitOutput(redactOutput(whole, tool.redact), maxBytes));
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

/**
 * An OK result whose `value` is made when it is first read. Adapters read the text alone, and a value made for each answer
 * costs 2 µs of the pipeline's 8 (a quarter; measured with bench/pipeline.ts). It is a property of the object itself, so
 * that copying, writing and comparing a result treat it like any other field.
 */
class OkResult implements ToolResult {
  readonly $typeName = "jackfield.v1.ToolResult";
  callId: string;
  name: string;
  outcome: Outcome = Outcome.OK;
  output: string;
  declare value: Value | undefined;
  error: ToolResult["error"] = undefined;
  truncated: boolean;
  replayed = false;
  attempts = 0;
  duration: ToolResult["duration"] = undefined;
  readonly #kind: FittedOutput["kind"];
  #value: Value | undefined;

  constructor(callId: string, name: string, { text, kind, truncated }: FittedOutput) {
    this.callId = callId;
    this.name = name;
    this.output = text;
    this.truncated = truncated;
    this.#kind = kind;
    Object.defineProperty(this, "value", OkResult.#valueProperty);
  }

  static readonly #valueProperty: PropertyDescriptor & ThisType<OkResult> = {
    enumerable: true,
    configurable: true,
    // From the text, because the tool may go on to change what it returned.
    get() {
      return (this.#value ??= valueFromOutput(this.output, this.#kind));
    },
  };

  get valueText(): string {
    if (this.#kind === "deep") return "";
    if (this.#kind === "text") return JSON.stringify(this.output);
    // A number that no double holds is its text in a value.
    const exact = parseJson(this.output);
    const value = withNumberTexts(exact);
    return value === exact ? this.output : JSON.stringify(value);
  }
}

/** The value of an output; undefined where it is nested too deeply for a message. */
function valueFromOutput(text: string, kind: FittedOutput["kind"]): Value | undefined {
  if (kind === "deep") return undefined;
  return valueFromJson(kind === "text" ? text : parseJson(text));
}
