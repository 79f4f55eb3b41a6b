import { create } from "@bufbuild/protobuf";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Claim, Intent, Ledger } from "../../src/ledger/ledger.ts";

let count = 0;

/** An intent with a key of its own. */
export function anIntent(
  change: Partial<Intent> & { conversationId?: string; runId?: string; tenant?: string } = {},
): Intent {
  const callId = `call-${++count}`;
  const { conversationId = `conversation-${count}`, runId = "", tenant = "default", ...rest } = change;
  return {
    key: JSON.stringify([tenant, "genesys", "c", conversationId, callId, process.pid]),
    digest: "digest-1",
    callId,
    tool: "update_ticket_priority",
    effect: "write",
    argumentsJson: '{"ticket":"T-1 é\\u0000"}',
    scope: { tenant, source: "genesys", conversationId, sessionId: "", runId },
    timeoutMs: 100,
    ...rest,
  };
}

/** A result. */
export function aResult(output = "done", outcome: Outcome = Outcome.OK): ToolResult {
  return create(ToolResultSchema, {
    callId: "c",
    name: "update_ticket_priority",
    outcome,
    output,
    value: { kind: { case: "stringValue", value: output } },
    attempts: 1,
  });
}

/** Begins a new call. */
export async function beginNew(ledger: Ledger, intent: Intent): Promise<Claim> {
  const begun = await ledger.begin(intent);
  if (begun.state !== "new") throw new Error(`the intent is ${begun.state}`);
  return begun.claim;
}
