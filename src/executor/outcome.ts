import { Outcome, type ToolResult, type Violation } from "../../gen/jackfield/v1/tool_pb.ts";
import { fromJson, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";
import { modelError } from "../errors.ts";
import type { Json } from "../plugin/tool.ts";
import { isToolError } from "../plugin/tool-error.ts";
import type { Ran } from "./run.ts";
import { type ExactJson, parseJson, withNumberTexts } from "../json/exact-number.ts";
import { type FittedOutput, fitOutput, jsonFromReturned, redactOutput, schemaView } from "../json/output.ts";
import { fits, shortenText, type TextLimit } from "../json/shorten.ts";
import type { CompiledTool } from "../registry/registry.ts";

/** Which call a result answers. */
export interface CallName {
  readonly callId: string;
  readonly name: string;
}

/** Makes the result of a call that has no good answer. */
export function refused(call: CallName, outcome: Outcome, message: string, violations: Violation[] = []): ToolResult {
  return {
    $typeName: "jackfield.v1.ToolResult",
    callId: call.callId,
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

/** Stage 8. The result of a tool's function: what it returned, checked and fitted, or what may be said of its failure. */
export function resultOfRun(call: CallName, tool: CompiledTool, ran: Ran, maxBytes: number): ToolResult {
  if (ran.kind === "timed-out") return refused(call, Outcome.TIMED_OUT, modelError("failed"));
  if (ran.kind === "cancelled") return refused(call, Outcome.CANCELLED, modelError("cancelled"));
  if (ran.kind === "threw")
    return refused(call, Outcome.FAILED, shortenText(messageFor(ran.reason, tool), bytes(maxBytes)));
  try {
    return resultOfReturned(call, tool, ran.returned, maxBytes);
  } catch {
    // An answer that throws when it is looked at, such as by a getter.
    return refused(call, Outcome.INVALID_OUTPUT, modelError("not-serializable"));
  }
}

function resultOfReturned(call: CallName, tool: CompiledTool, returned: unknown, maxBytes: number): ToolResult {
  const whole = jsonFromReturned(returned);
  if (whole === undefined) return refused(call, Outcome.INVALID_OUTPUT, modelError("not-serializable"));
  const violations = tool.validateOutput?.(schemaView(whole)) ?? [];
  if (violations.length > 0)
    return refused(call, Outcome.INVALID_OUTPUT, modelError("invalid-output"), [...violations]);
  // Secrets go before the cut: half of one would not be recognised.
  return new GoodResult(call, fitOutput(redactOutput(whole, tool.redact), maxBytes));
}

/** An OK result. Its value is made when somebody reads it: the adapters need the text alone. */
class GoodResult implements ToolResult {
  readonly $typeName = "jackfield.v1.ToolResult";
  callId: string;
  name: string;
  outcome: Outcome = Outcome.OK;
  output: string;
  error: ToolResult["error"] = undefined;
  truncated: boolean;
  replayed = false;
  attempts = 0;
  duration: ToolResult["duration"] = undefined;
  readonly #kind: FittedOutput["kind"];
  #value: Value | undefined;

  constructor(call: CallName, { text, kind, truncated }: FittedOutput) {
    this.callId = call.callId;
    this.name = call.name;
    this.output = text;
    this.truncated = truncated;
    this.#kind = kind;
  }

  // From the text, because the tool may go on to change what it returned. On the prototype: a getter in an object literal
  // costs more than all the rest of the result.
  get value(): Value | undefined {
    return (this.#value ??= valueOf(this.output, this.#kind));
  }

  get valueText(): string {
    if (this.#kind === "deep") return "";
    if (this.#kind === "text") return JSON.stringify(this.output);
    // A number that no double holds is its text in a value.
    const exact = parseJson(this.output);
    const value = withNumberTexts(exact);
    return value === exact ? this.output : JSON.stringify(value);
  }
}

/** Whether a result's value was made from JSON text, and so holds nothing that JSON cannot say. */
export function isFromJson(result: ToolResult): boolean {
  return result instanceof GoodResult;
}

/** The JSON text of a result's value, "" where it has none; undefined where only the value itself knows it. */
export function valueText(result: ToolResult): string | undefined {
  return result instanceof GoodResult ? result.valueText : undefined;
}

/** A copy of a result with changes. DANGER: spreading alone would lose the value, which may be made on demand. */
export function resultWith(result: ToolResult, changes: Partial<ToolResult>): ToolResult {
  return { ...result, value: result.value, ...changes };
}

function valueOf(text: string, kind: FittedOutput["kind"]): Value | undefined {
  if (kind === "deep") return undefined;
  return valueFromJson(kind === "text" ? text : parseJson(text));
}

/** The words for whatever was thrown: a ToolError's own, and nothing of any other. */
function messageFor(reason: unknown, tool: CompiledTool): string {
  const message = isToolError(reason) ? String((reason as unknown as Error).message) : modelError("failed");
  return tool.redact(message.toWellFormed());
}

/** Shortens a result for a caller who may read less than it holds. */
export function fitResult(result: ToolResult, maxBytes: number): ToolResult {
  if (fits(result.output, bytes(maxBytes))) return result;
  if (result.outcome !== Outcome.OK) {
    const output = shortenText(result.output, bytes(maxBytes));
    return resultWith(result, { output, error: result.error && { ...result.error, message: output }, truncated: true });
  }
  const { output: text, value: whole } = result;
  const isText = whole?.kind.case === "stringValue" && whole.kind.value === text;
  const fitted = fitOutput({ text, json: isText ? text : parseJson(text) }, maxBytes);
  return resultWith(result, { output: fitted.text, value: valueOf(fitted.text, fitted.kind), truncated: true });
}

/** A JSON value as protobuf's Value, in which a number that no double holds is its text. */
export function valueFromJson(json: ExactJson): Value {
  return fromJson(ValueSchema, withNumberTexts(json) as Json);
}

function bytes(max: number): TextLimit {
  return { max, unit: "bytes" };
}

/** The JSON value that a protobuf Value stands for. */
export function jsonFromValue(value: Value): Json {
  return toJson(ValueSchema, value);
}
