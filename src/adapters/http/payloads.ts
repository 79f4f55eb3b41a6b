import { Outcome, OutcomeSchema, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { isObject } from "../tool-call.ts";
import { valueText } from "../value-text.ts";

/** Members of a body that are never arguments: they stand for headers that a platform cannot set. */
export const bodyMembers = { conversationId: "jackfieldConversationId", callId: "jackfieldCallId" } as const;

/** A body taken apart. */
export interface CallPayload {
  /** The arguments: an object, or what was sent instead of one, which is refused like any wrong argument. */
  readonly arguments: unknown;
  readonly conversationId: unknown;
  readonly callId: unknown;
}

/** Takes a body apart. It is copied only where it holds more than arguments. */
export function readPayload(body: unknown): CallPayload {
  if (!isObject(body)) return { arguments: body, conversationId: undefined, callId: undefined };
  const hasMembers = Object.hasOwn(body, bodyMembers.conversationId) || Object.hasOwn(body, bodyMembers.callId);
  if (!hasMembers) return { arguments: body, conversationId: undefined, callId: undefined };
  const { [bodyMembers.conversationId]: conversationId, [bodyMembers.callId]: callId, ...args } = body;
  return { arguments: args, conversationId: conversationId ?? undefined, callId: callId ?? undefined };
}

/** Returns the JSON text of an answer, written by hand because this is the hot path. */
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

/** Returns the answer of a call that still runs, about whose tool nothing is known: it may be a write. */
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

/** Longest wait that a client may prefer, in seconds. */
const maxWaitSeconds = 120;

/**
 * Reads `wait=SECONDS` of a `Prefer` header, at most 120. Undefined where there is none that can be honoured, which a
 * preference allows. Source: RFC 7240 sections 2 and 4.3.
 */
export function waitFrom(prefer: string | string[] | undefined): number | undefined {
  if (prefer === undefined) return undefined;
  const text = Array.isArray(prefer) ? prefer.join(",") : prefer;
  for (const part of text.split(",")) {
    const seconds = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?$/i.exec(part)?.[1];
    // Of a preference that is sent twice the first one counts.
    if (seconds !== undefined) return Number(seconds) < 1 ? undefined : Math.min(Number(seconds), maxWaitSeconds);
  }
  return undefined;
}
