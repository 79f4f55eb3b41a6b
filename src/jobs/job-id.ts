import { hash } from "node:crypto";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
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

/**
 * Returns the id of a job that was submitted without one, so that resubmitting the same batch yields the same job.
 */
export function derivedId(digest: string): string {
  return `${derivedPrefix}${digest}`;
}

/**
 * Returns a digest of a job's content: tenant, source, run, conversation and session, and the id, name and canonical
 * arguments of each call. White space, key order and number notation do not affect it. Large arguments get turns of
 * the event loop.
 */
export async function contentDigest(
  tenant: string,
  { source, context, calls }: Pick<Job, "source" | "context" | "calls">,
): Promise<string> {
  const { runId = "", conversationId = "", sessionId = "" } = context ?? {};
  const parts = [tenant, source, runId, conversationId, sessionId, String(calls.length)];
  const turn = createTurn(turnMs);
  for (const call of calls) {
    parts.push(call.id, call.name, canonicalArguments(call));
    if (turn.isOver) await turn.next();
  }
  return hash("sha256", JSON.stringify(parts), "base64url");
}

/**
 * Returns the calls with their arguments as JSON text, the form in which they are stored. Invalid arguments are then
 * reported when the call is executed, as on every other path, and every accepted job can be read back. A number that
 * JSON cannot express becomes one that the argument parser rejects. Large arguments get turns of the event loop.
 */
export async function withArgumentsText(calls: readonly ToolCall[]): Promise<ToolCall[]> {
  const turn = createTurn(turnMs);
  const stored: ToolCall[] = [];
  for (const call of calls) {
    const { input } = call;
    const isText = input.case !== "arguments";
    stored.push(isText ? call : { ...call, input: { case: "argumentsJson", value: canonicalJson(input.value) } });
    if (turn.isOver) await turn.next();
  }
  return stored;
}

/** Returns equal texts for equal arguments. Text that is not JSON, or is nested too deeply, is returned unchanged. */
function canonicalArguments({ input }: ToolCall): string {
  if (input.case === "arguments") return canonicalJson(input.value);
  const text = input.value ?? "";
  if (text === "") return "{}";
  try {
    return canonicalJson(JSON.parse(text) as ExactJson);
  } catch {
    return `not JSON: ${text}`;
  }
}
