import { hash } from "node:crypto";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { CallContext, ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
import { canonicalJson } from "../json/canonical.ts";
import type { ExactJson } from "../json/exact-number.ts";
import { createTurn } from "../timing.ts";

/** Maximum time for which the arguments of a job are converted without a pause, in milliseconds. */
const turnMs = 5;

/** Prefix of derived ids. Callers cannot choose ids with it, so nobody can occupy the id of a platform's batch. */
const derivedPrefix = "batch.";

/** Reports whether an id has the form of a derived one. */
export function isDerivedId(id: string): boolean {
  return id.startsWith(derivedPrefix);
}

/** Returns the id of a job that was submitted without one, so that resubmitting the same batch yields the same job. */
export function derivedId(digest: string): string {
  return `${derivedPrefix}${digest}`;
}

/**
 * Returns the calls and the context under which a job is executed: every call has an id and a scope, so that a job that
 * is continued repeats no call that has ended. A call without an id gets one derived from the job and its position. A
 * job without run, conversation and session gets a run of its own.
 */
export function identifiedCalls(id: string, given: readonly ToolCall[], context: CallContext) {
  const derived = (...parts: unknown[]): string => hash("sha256", JSON.stringify([id, ...parts]), "base64url");
  const calls = given.map((call, index) => (call.id === "" ? { ...call, id: derived("call", index) } : call));
  const isScoped = context.runId !== "" || context.conversationId !== "" || context.sessionId !== "";
  return { calls, context: isScoped ? context : { ...context, runId: derived("run") } };
}

/**
 * Returns a digest of a job's content: tenant, source, run, conversation and session, and the id, name and canonical
 * arguments of each call. White space, key order and number notation of the arguments do not affect it.
 */
export function contentDigest(
  tenant: string,
  { source, context, calls }: Pick<Job, "source" | "context" | "calls">,
  canonical: readonly string[],
): string {
  const { runId = "", conversationId = "", sessionId = "" } = context ?? {};
  const parts = [tenant, source, runId, conversationId, sessionId, String(calls.length)];
  for (const [index, { id, name }] of calls.entries()) parts.push(id, name, canonical[index] as string);
  return hash("sha256", JSON.stringify(parts), "base64url");
}

/**
 * Returns the arguments of each call as canonical text: equal texts for equal arguments. Other requests get a turn of
 * the event loop between calls with large ones.
 */
export async function canonicalArguments(calls: readonly ToolCall[]): Promise<string[]> {
  const turn = createTurn(turnMs);
  const texts: string[] = [];
  for (const { input } of calls) {
    texts.push(input.case === "arguments" ? canonicalJson(input.value) : canonicalText(input.value ?? ""));
    if (turn.isOver) await turn.next();
  }
  return texts;
}

/** Returns the canonical text of arguments. Text that is not JSON, or is nested too deeply, is marked as such. */
function canonicalText(text: string): string {
  if (text === "") return "{}";
  try {
    return canonicalJson(JSON.parse(text) as ExactJson);
  } catch {
    return `not JSON: ${text}`;
  }
}

/**
 * Returns the call with its arguments as JSON text, the form in which they are stored. Invalid arguments are then
 * reported when the call is executed, as on every other path, and every accepted job can be read back. A number that
 * JSON cannot express becomes one that the argument parser rejects.
 */
export function withArgumentsText(call: ToolCall, canonical: string): ToolCall {
  return call.input.case === "arguments" ? { ...call, input: { case: "argumentsJson", value: canonical } } : call;
}
