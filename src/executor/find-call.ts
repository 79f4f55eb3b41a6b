import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { type CallContext, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { LedgerEntry } from "../ledger/ledger.ts";
import type { CallStatus } from "./contract.ts";
import { callScopeFrom } from "./execution.ts";
import type { ExecutorParts } from "./stage.ts";
import { lookupOf, lookupsOf } from "./stages/deduplicate.ts";

/** Interval at which `waitForEnd` checks a call that runs in another process, in milliseconds. */
const waitPollMs = 100;

/** Where calls are looked up; this process comes first. */
type Known = Pick<ExecutorParts, "memory" | "ledger">;

/** Finds the status of a call. Rejects with a LedgerUnavailableError. */
export async function findCall(
  callId: string,
  context: CallContext | undefined,
  caller: Caller,
  { memory, ledger }: Known,
): Promise<CallStatus | undefined> {
  const lookups = lookupsOf(callScopeFrom(context, caller), callId);
  for (const lookup of lookups) {
    if (memory.running(lookup) !== undefined) return { state: CallState.RUNNING, result: undefined };
    const result = memory.recent(lookup)?.result;
    if (result !== undefined) return { state: stateOf(result), result: { ...result, callId } };
  }
  for (const lookup of lookups) {
    const entry = await ledger.find(lookup);
    if (entry !== undefined) return statusOf(entry, callId);
  }
  return undefined;
}

/** Like `findCall`, but waits until the call ends or the signal aborts. */
export async function waitForEnd(
  callId: string,
  context: CallContext | undefined,
  caller: Caller,
  signal: AbortSignal,
  known: Known,
): Promise<CallStatus | undefined> {
  const running = known.memory.running(lookupOf(callScopeFrom(context, caller), callId));
  if (running?.answer !== undefined) await settledOrAborted(running.answer, signal);
  for (;;) {
    const status = await findCall(callId, context, caller, known);
    if (status?.state !== CallState.RUNNING || signal.aborted) return status;
    await settledOrAborted(new Promise((resolve) => setTimeout(resolve, waitPollMs)), signal);
  }
}

/** Returns the status of a call from its ledger entry. */
function statusOf(entry: LedgerEntry, callId: string): CallStatus {
  if (entry.state === "running") return { state: CallState.RUNNING, result: undefined };
  return {
    state: entry.state === "done" ? CallState.DONE : CallState.UNCERTAIN,
    result: entry.result && { ...entry.result, callId },
  };
}

/** Returns the state of a call that ended with this result. */
function stateOf({ outcome }: ToolResult): CallState {
  return outcome === Outcome.UNCERTAIN ? CallState.UNCERTAIN : CallState.DONE;
}

/** Waits until a promise settles or the signal aborts. Never rejects. */
export function settledOrAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      signal.removeEventListener("abort", end);
      resolve();
    };
    signal.addEventListener("abort", end, { once: true });
    promise.then(end, end);
  });
}
