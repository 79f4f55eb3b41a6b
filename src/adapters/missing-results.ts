import { Code, ConnectError } from "@connectrpc/connect";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { AdapterClients } from "./adapter.ts";
import type { Batch } from "./route.ts";

/** Time limit for looking up the state of a call, in milliseconds. */
const lookUpMs = 1000;

/**
 * Returns a result for each call of an interrupted batch, in the order of the calls. A call without a result is looked
 * up. If it was never executed, its result says so; only a call whose state cannot be determined is UNCERTAIN.
 */
export async function resultsInOrder(
  { calls, context }: Batch,
  ended: readonly ToolResult[],
  interruption: unknown,
  clients: Pick<AdapterClients, "executor">,
): Promise<ToolResult[]> {
  const left = [...ended];
  // An unavailable batch ends after all its calls have ended, so calls without a result could not be started.
  const unavailable = interruption instanceof ConnectError && interruption.code === Code.Unavailable;
  const known = calls.map((call) => {
    const index = left.findIndex((result) => result.callId === call.id && result.name === call.name);
    return index < 0 ? undefined : left.splice(index, 1)[0];
  });

  async function resultOf(call: ToolCall, found: ToolResult | undefined): Promise<ToolResult> {
    return found ?? lookUp(call);
  }

  async function lookUp(call: ToolCall): Promise<ToolResult> {
    try {
      const found = await clients.executor.getCall({ callId: call.id, context }, { timeoutMs: lookUpMs });
      if (found.state === CallState.RUNNING) return errorResult(call, Outcome.PENDING, modelError("pending-write"));
      return found.result ?? errorResult(call, Outcome.UNCERTAIN, modelError("uncertain"));
    } catch (error) {
      const notFound = error instanceof ConnectError && error.code === Code.NotFound;
      return notFound || unavailable
        ? errorResult(call, Outcome.FAILED, modelError("not-executed"))
        : errorResult(call, Outcome.UNCERTAIN, modelError("uncertain"));
    }
  }
  return Promise.all(calls.map((call, index) => resultOf(call, known[index])));
}

function errorResult(call: ToolCall, outcome: Outcome, message: string): ToolResult {
  return {
    $typeName: "jackfield.v1.ToolResult",
    callId: call.id,
    name: call.name,
    outcome,
    output: message,
    error: { $typeName: "jackfield.v1.ToolError", message, violations: [] },
    truncated: false,
    replayed: false,
    attempts: 0,
  };
}
