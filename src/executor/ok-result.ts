import type { Value } from "@bufbuild/protobuf/wkt";
import { Outcome, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { parseJson, withNumberTexts } from "../json/exact-number.ts";
import type { FittedOutput } from "../json/output.ts";
import { valueFromJson } from "./json-value.ts";

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

/** The result of a call whose tool gave a good answer. */
export function okResult({ call }: { readonly call: Pick<ToolCall, "id" | "name"> }, output: FittedOutput): ToolResult {
  return new OkResult(call.id, call.name, output);
}

/** The value of an output; undefined where it is nested too deeply for a message. */
export function valueFromOutput(text: string, kind: FittedOutput["kind"]): Value | undefined {
  if (kind === "deep") return undefined;
  return valueFromJson(kind === "text" ? text : parseJson(text));
}
