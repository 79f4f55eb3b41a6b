import { Outcome, OutcomeSchema, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { isObject } from "../tool-call.ts";
import { valueText } from "../value-text.ts";
import type { Era } from "./era.ts";
import { own } from "./protocol.ts";

/** Settings of a result's text. */
export interface ResultForm {
  readonly era: Era;
  /** Whether the tool declares an output schema. Clients then reject a successful result without structured content. */
  readonly hasOutputSchema: boolean;
  /** JSON text that ends the `_meta` of a modern result, starting with a comma. */
  readonly metaTail: string;
}

const contentTypes: ReadonlySet<unknown> = new Set(["text", "image", "audio", "resource", "resource_link"]);

/** Reports whether the form of a result depends on the tool's output schema. */
export function dependsOnOutputSchema(result: ToolResult): boolean {
  return result.outcome === Outcome.OK && (result.truncated || mayBeContent(result.output));
}

/** Returns the JSON text of a call's result as an MCP `CallToolResult`. */
export function callResultText(result: ToolResult, { era, hasOutputSchema, metaTail }: ResultForm): string {
  const modern = era === "modern";
  const isOk = result.outcome === Outcome.OK;
  const content = isOk && !result.truncated ? contentOf(result.output) : undefined;
  let text = `{"content":${content ?? `[{"type":"text","text":${JSON.stringify(textOf(result))}}]`}`;
  if (isOk && !result.truncated && (content === undefined || hasOutputSchema)) {
    const value = valueText(result);
    if (value !== undefined && (modern || value.startsWith("{"))) text += `,"structuredContent":${value}`;
  }
  if (!isOk || (result.truncated && hasOutputSchema)) text += ',"isError":true';
  if (modern) text += ',"resultType":"complete"';
  return `${text},"_meta":${metaText(result)}${modern ? metaTail : ""}}}`;
}

/** Returns the beginning of a result's `_meta`, without the closing brace. */
function metaText({ callId, outcome, replayed }: ToolResult): string {
  return `{${callIdText(callId)},"${own.outcome}":"${nameOf(outcome)}","${own.replayed}":${replayed}`;
}

/** Returns the member of a `_meta` that tells the id of a call. */
export function callIdText(callId: string): string {
  return `"${own.callId}":${JSON.stringify(callId)}`;
}

/** Returns the name of an outcome without its prefix, such as `OK` or `TIMED_OUT`. */
export function nameOf(outcome: Outcome): string {
  return OutcomeSchema.value[outcome]?.localName ?? "UNSPECIFIED";
}

function textOf(result: ToolResult): string {
  return result.outcome === Outcome.OK ? result.output : (result.error?.message ?? result.output);
}

/** Quick test for a content value. Tools' outputs are serialised without spaces. */
function mayBeContent(output: string): boolean {
  return output.startsWith('{"content":[');
}

/** Returns the JSON text of the blocks in a content value; undefined if the output is not one. */
function contentOf(output: string): string | undefined {
  if (!mayBeContent(output)) return undefined;
  const value = parsed(output);
  if (!isObject(value) || Object.keys(value).length !== 1) return undefined;
  const { content } = value;
  if (!Array.isArray(content) || !content.every(isContentBlock)) return undefined;
  return JSON.stringify(content);
}

function isContentBlock(block: unknown): boolean {
  return isObject(block) && contentTypes.has(block["type"]);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
