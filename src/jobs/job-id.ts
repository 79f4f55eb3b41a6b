import { hash } from "node:crypto";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
import { canonicalJson } from "../json/canonical.ts";
import type { ExactJson } from "../json/exact-number.ts";

/** Prefix of derived ids. Callers cannot choose ids with it, so nobody can occupy the id of a platform's batch. */
const derivedPrefix = "batch.";

/** Reports whether an id has the form of a derived one. */
export function isDerivedId(id: string): boolean {
  return id.startsWith(derivedPrefix);
}

/** Derives the id of a job that was submitted without one, so that resubmitting the same batch yields the same job. */
export function jobIdFrom(tenant: string, job: Pick<Job, "source" | "context" | "calls">): string {
  return `${derivedPrefix}${contentDigest(tenant, job)}`;
}

/**
 * Returns a digest of a job's content: tenant, source, run, conversation and session, and the id, name and canonical
 * arguments of each call. White space, key order and number notation do not affect it.
 */
export function contentDigest(
  tenant: string,
  { source, context, calls }: Pick<Job, "source" | "context" | "calls">,
): string {
  const { runId = "", conversationId = "", sessionId = "" } = context ?? {};
  const parts = [tenant, source, runId, conversationId, sessionId, String(calls.length)];
  for (const call of calls) parts.push(call.id, call.name, canonicalArguments(call));
  return hash("sha256", JSON.stringify(parts), "base64url");
}

/**
 * Returns the call with its arguments as JSON text, the form in which they are stored. Invalid arguments are then
 * reported when the call is executed, as on every other path, and every accepted job can be read back. A number that
 * JSON cannot express becomes one that the argument parser rejects.
 */
export function withArgumentsText(call: ToolCall): ToolCall {
  const { input } = call;
  if (input.case !== "arguments") return call;
  return { ...call, input: { case: "argumentsJson", value: canonicalJson(input.value) } };
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
