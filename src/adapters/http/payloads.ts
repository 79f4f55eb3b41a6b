import { Outcome, OutcomeSchema, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { isFilledIn, isObject } from "../tool-call.ts";
import { valueText } from "../value-text.ts";

/** Body members that are never arguments. They replace headers for platforms that cannot set headers. */
export const bodyMembers = { conversationId: "jackfieldConversationId", callId: "jackfieldCallId" } as const;

/** The parts of a body. */
export interface CallPayload {
  /** The arguments: an object, or the value that was sent instead, which is refused like any invalid argument. */
  readonly arguments: unknown;
  /** Undefined if it is absent, empty or a template that was not filled in. */
  readonly conversationId: unknown;
  /** The same. */
  readonly callId: unknown;
}

/** Splits a body into its parts. It is copied only if it contains more than arguments. */
export function readPayload(body: unknown): CallPayload {
  if (!isObject(body)) return { arguments: body, conversationId: undefined, callId: undefined };
  const hasMembers = Object.hasOwn(body, bodyMembers.conversationId) || Object.hasOwn(body, bodyMembers.callId);
  if (!hasMembers) return { arguments: body, conversationId: undefined, callId: undefined };
  const { [bodyMembers.conversationId]: conversationId, [bodyMembers.callId]: callId, ...args } = body;
  return {
    arguments: args,
    conversationId: isFilledIn(conversationId) ? conversationId : undefined,
    callId: isFilledIn(callId) ? callId : undefined,
  };
}

/** Returns the JSON text of an answer. Written by hand because this is the busiest path. */
export function answerText(callId: string, result: ToolResult): string {
  const { outcome, truncated, replayed } = result;
  const isOk = outcome === Outcome.OK;
  const output = isOk ? result.output : (result.error?.message ?? result.output);
  const value = isOk ? (valueText(result) ?? "null") : "null";
  return (
    `{"callId":${JSON.stringify(callId)},"outcome":"${nameOf(outcome)}","output":${JSON.stringify(output)},` +
    `"value":${value},"replayed":${replayed},"truncated":${truncated}}`
  );
}

/** Returns the answer for a call that is still running. Its tool is unknown here and may be a write. */
export function runningText(callId: string): string {
  return (
    `{"callId":${JSON.stringify(callId)},"outcome":"PENDING","output":${JSON.stringify(modelError("pending-write"))},` +
    '"value":null,"replayed":false,"truncated":false}'
  );
}

/** Names of all outcomes without their prefix. */
export const outcomeNames: readonly string[] = OutcomeSchema.values
  .filter(({ number }) => number !== Outcome.UNSPECIFIED)
  .map(({ localName }) => localName);

function nameOf(outcome: Outcome): string {
  return OutcomeSchema.value[outcome]?.localName ?? "UNSPECIFIED";
}

/** Maximum wait that a client may request, in seconds. */
const maxWaitSeconds = 120;

/**
 * Returns the seconds of `wait=SECONDS` in a `Prefer` header, at most 120. Returns undefined if it is missing or
 * invalid, because preferences may be ignored (RFC 7240, sections 2 and 4.3).
 */
export function waitFrom(prefer: string | string[] | undefined): number | undefined {
  if (prefer === undefined) return undefined;
  const text = Array.isArray(prefer) ? prefer.join(",") : prefer;
  for (const part of text.split(",")) {
    const seconds = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?$/i.exec(part)?.[1];
    // If a preference is sent twice, the first one counts.
    if (seconds !== undefined) return Number(seconds) < 1 ? undefined : Math.min(Number(seconds), maxWaitSeconds);
  }
  return undefined;
}
