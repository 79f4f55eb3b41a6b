import { hash } from "node:crypto";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
import { canonicalJson } from "../json/canonical.ts";
import type { ExactJson } from "../json/exact-number.ts";

/** What derived ids begin with. No caller may choose such an id: nobody can take the id of a platform's batch first. */
const derivedPrefix = "batch.";

/** Reports whether an id has the shape of a derived one. */
export function isDerivedId(id: string): boolean {
  return id.startsWith(derivedPrefix);
}

/** The id of a job that was submitted without one: the same batch sent again is the same job. */
export function jobIdFrom(tenant: string, job: Pick<Job, "source" | "context" | "calls">): string {
  return `${derivedPrefix}${contentDigest(tenant, job)}`;
}

/**
 * A digest of what a job asks for: tenant, source, run, conversation and session, and of each call its id, name and
 * canonical arguments. White space, the order of keys and the wording of numbers make no difference.
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
 * The call with its arguments as JSON text, which is how they are stored: whatever is wrong with them is then reported when
 * the call is executed, as on every path, and what was accepted can always be read back. A number that JSON cannot
 * express becomes one that is refused where arguments are read.
 */
export function withArgumentsText(call: ToolCall): ToolCall {
  const { input } = call;
  if (input.case !== "arguments") return call;
  return { ...call, input: { case: "argumentsJson", value: canonicalJson(input.value) } };
}

/** Equal texts for equal arguments. Text that is not JSON, or nests too deeply to be read, stands for itself. */
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
