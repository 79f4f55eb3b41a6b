import type { Value } from "@bufbuild/protobuf/wkt";
import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { type ExactJson, ExactNumber, parseJson, withDoubles, withNumberTexts } from "../../json/exact-number.ts";
import { serializeJson } from "../../json/serialize.ts";
import { fits, shortenJson, shortenText, type TextLimit } from "../../json/shorten.ts";
import type { Json } from "../../plugin/tool.ts";
import type { CompiledTool } from "../../registry/registry.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { valueFromDoubles, valueFromJson } from "../json-value.ts";
import type { ExecutorParts } from "../stage.ts";
import { messageForModel } from "../thrown.ts";
import { type AnsweredCall, errorResult } from "../tool-result.ts";

/** The value that a tool returned, as JSON. */
interface JsonOutput {
  /** JSON text, or the string itself, without quotes. */
  readonly text: string;
  readonly json: ExactJson;
  /** True if the value is known to be plain JSON whose numbers doubles hold and whose depth a message can hold. */
  readonly plain?: boolean;
}

/** The output of a call as the model reads it. */
interface FittedOutput {
  readonly text: string;
  /**
   * A string, JSON text, JSON text whose numbers doubles hold, or JSON text nested too deeply for a message's value.
   */
  readonly kind: "text" | "json" | "plain" | "deep";
  readonly truncated: boolean;
}

/** Maximum nesting depth of a message's value. */
const maxValueLevels = 40;

/** Converts the end of the tool's function to the result that the model reads: checked, redacted and fitted. */
export function shapeOutput(execution: Execution, { limits }: ExecutorParts): ToolResult {
  const result =
    execution.verdict === "unknown"
      ? errorResult(execution, Outcome.UNCERTAIN, modelError("uncertain"))
      : resultOfEnd(execution, execution.end as RunEnd, limits.outputBytes);
  result.attempts = 1;
  return result;
}

/**
 * Returns the result of a tool's function: its value, checked and fitted, or the error that may be shown for its
 * failure.
 */
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
        // Reading the value threw, for example in a getter.
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
  // Redact before shortening: half of a secret would not be recognised.
  const clean = tool.secrets.length === 0 ? whole : redactOutput(whole, tool.redact);
  return new OkResult(call.call.id, call.call.name, fitOutput(clean, maxBytes));
}

/** Fits a result for a caller that reads at most `maxBytes` of its output. Returns the result itself where it fits. */
export function fitResult(result: ToolResult, maxBytes: number): ToolResult {
  return fitsInto(result.output, maxBytes) ? result : shortenResult(result, maxBytes);
}

function shortenResult(result: ToolResult, maxBytes: number): ToolResult {
  if (result.outcome !== Outcome.OK) {
    const output = shortenText(result.output, bytes(maxBytes));
    return { ...result, output, error: result.error && { ...result.error, message: output }, truncated: true };
  }
  const { output: text, value: whole } = result;
  const isText = whole?.kind.case === "stringValue" && whole.kind.value === text;
  const fitted = fitOutput({ text, json: isText ? text : parseJson(text) }, maxBytes);
  return { ...result, output: fitted.text, value: valueFromOutput(fitted.text, fitted.kind), truncated: true };
}

/** Returns the JSON of a value that a tool returned; undefined if it cannot be serialised. */
export function jsonFromReturned(returned: unknown): JsonOutput | undefined {
  if (typeof returned === "string") {
    const text = returned.toWellFormed();
    return { text, json: text };
  }
  // The usual case: JSON.stringify is fastest without a replacer.
  if (isPlain(returned, maxValueLevels)) return { text: JSON.stringify(returned), json: returned, plain: true };
  const text = serializeJson(returned);
  return text === undefined ? undefined : { text, json: parseJson(text) };
}

/** Returns the output as a schema sees it: numbers that no double holds are the nearest doubles. */
function schemaView({ json, plain }: JsonOutput): ExactJson {
  return plain === true ? json : withDoubles(json);
}

/** Replaces secrets inside the strings and numbers of an output, so that it stays valid JSON. */
function redactOutput(output: JsonOutput, redact: (text: string) => string): JsonOutput {
  const text = redact(output.text);
  if (text === output.text) return output;
  if (isText(output)) return { text, json: text };
  const json = redactJson(output.json, redact);
  return { text: JSON.stringify(json), json };
}

/**
 * Fits an output into `maxBytes` of UTF-8, at least 5. JSON stays valid: rows, characters and levels are left out and
 * counted. Text is cut.
 */
export function fitOutput(output: JsonOutput, maxBytes: number): FittedOutput {
  const { text, json } = output;
  const isWhole = fitsInto(text, maxBytes);
  if (isText(output)) {
    return { text: isWhole ? text : shortenText(text, bytes(maxBytes)), kind: "text", truncated: !isWhole };
  }
  if (isWhole) {
    if (output.plain === true) return { text, kind: "plain", truncated: false };
    return { text, kind: hasAtMost(maxValueLevels, json) ? "json" : "deep", truncated: false };
  }
  return { text: shortenJson(json, bytes(maxBytes)), kind: "json", truncated: true };
}

function isText({ text, json }: JsonOutput): boolean {
  return text === json;
}

function redactJson(value: ExactJson, redact: (text: string) => string): ExactJson {
  if (typeof value === "string") return redact(value);
  if (typeof value === "number" || value instanceof ExactNumber) {
    const digits = String(value);
    const redacted = redact(digits);
    return redacted === digits ? value : redacted;
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => redactJson(item, redact));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [redact(key), redactJson(member, redact)]));
}

/** Reports whether a JSON value has at most this many levels of nesting. */
function hasAtMost(levels: number, value: ExactJson): boolean {
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return true;
  return levels > 0 && Object.values(value).every((member) => hasAtMost(levels - 1, member));
}

/**
 * Reports whether JSON.stringify writes a value unchanged, as well-formed Unicode, without running its code, and with
 * numbers that doubles hold.
 */
function isPlain(value: unknown, levels: number): value is Json {
  if (value === null || typeof value === "boolean") return true;
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value === "number") return Math.abs(value) <= Number.MAX_SAFE_INTEGER;
  if (typeof value !== "object" || levels === 0) return false;
  if (Array.isArray(value)) {
    // Iterates by index, because `every` skips holes, which are not JSON.
    for (let index = 0; index < value.length; index++) if (!isPlain(value[index], levels - 1)) return false;
    return true;
  }
  const prototype = Object.getPrototypeOf(value) as unknown;
  if ((prototype !== Object.prototype && prototype !== null) || "toJSON" in value) return false;
  for (const key in value) {
    if (!key.isWellFormed() || !isPlain((value as Record<string, unknown>)[key], levels - 1)) return false;
  }
  return true;
}

/** Reports whether a text takes at most `maxBytes` of UTF-8. Most texts are so short that their bytes need no counting. */
function fitsInto(text: string, maxBytes: number): boolean {
  return text.length * 3 <= maxBytes || fits(text, bytes(maxBytes));
}

function bytes(max: number): TextLimit {
  return { max, unit: "bytes" };
}

/** A result whose `value` is created when it is first read. */
export interface LazyResult extends ToolResult {
  /** The value as JSON text; empty if it is nested too deeply for a message. */
  readonly valueText: string;
  /** Returns what `read` makes of this result while its `value` is undefined. */
  withoutValue<T>(read: (result: ToolResult) => T): T;
}

/** Reports whether the value of a result is available as text. */
export function isLazyResult(result: ToolResult): result is LazyResult {
  return result instanceof OkResult;
}

/**
 * An OK result whose `value` is created when it is read. Adapters read only the text, and a value for each answer
 * costs 2 µs of the pipeline's 8 (bench/pipeline.ts). The value is an own property, so that copying, encoding and
 * comparing a result treat it like any other field.
 */
class OkResult implements LazyResult {
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
  #isBare = false;

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
    // Created from the text, because the tool may since have changed the object that it returned. Not kept, because
    // the result itself is, for repeats of its call.
    get() {
      return this.#isBare ? undefined : valueFromOutput(this.output, this.#kind);
    },
  };

  withoutValue<T>(read: (result: ToolResult) => T): T {
    this.#isBare = true;
    try {
      return read(this);
    } finally {
      this.#isBare = false;
    }
  }

  get valueText(): string {
    if (this.#kind === "plain") return this.output;
    if (this.#kind === "deep") return "";
    if (this.#kind === "text") return JSON.stringify(this.output);
    // In a value, a number that no double holds is represented by its text.
    const exact = parseJson(this.output);
    const value = withNumberTexts(exact);
    return value === exact ? this.output : JSON.stringify(value);
  }
}

/** Returns the value of an output; undefined if it is nested too deeply for a message. */
function valueFromOutput(text: string, kind: FittedOutput["kind"]): Value | undefined {
  if (kind === "deep") return undefined;
  if (kind === "plain") return valueFromDoubles(JSON.parse(text) as Json);
  return valueFromJson(kind === "text" ? text : parseJson(text));
}
