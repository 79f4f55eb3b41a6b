import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallScope, CallSelector, Intent, LedgerEntry } from "./ledger.ts";

/** The states of an entry as numbers, the way drivers store them. */
export const entryStates = { running: 0, done: 1, uncertain: 2 } as const;

/** An entry as a driver stores it. */
export interface StoredEntry {
  key: string;
  digest: string;
  /** See intentText. */
  intent: string;
  state: number;
  result: Uint8Array | null | undefined;
  createdAt: number;
  endsAt: number;
}

/** The part of an intent that is stored as one text: all but key and digest. */
export function intentText({ callId, tool, effect, argumentsJson, scope, timeoutMs }: Intent): string {
  return JSON.stringify({ callId, tool, effect, argumentsJson, scope, timeoutMs });
}

/** The conversation of a scope as one text that no other conversation of any tenant has; empty where there is none. */
export function conversationText({ tenant, conversationId }: Pick<CallScope, "tenant" | "conversationId">): string {
  return conversationId === "" ? "" : JSON.stringify([tenant, conversationId]);
}

/** The run of a scope as one text that no other run of any tenant has; empty where there is none. */
export function runText({ tenant, runId }: Pick<CallScope, "tenant" | "runId">): string {
  return runId === "" ? "" : JSON.stringify([tenant, runId]);
}

/** What a selector names, as drivers store it; empty texts match every entry. Undefined where it names nothing. */
export function eraseTexts(selector: CallSelector): { conversation: string; run: string; source: string } | undefined {
  const { tenant, source = "", conversationId = "", runId = "" } = selector;
  if (conversationId === "" && runId === "") return undefined;
  return { conversation: conversationText({ tenant, conversationId }), run: runText({ tenant, runId }), source };
}

/** The bytes of a result. */
export function bytesFromResult(result: ToolResult): Uint8Array {
  // DANGER: protobuf writes own properties only, and a value that is made on demand is none.
  return toBinary(ToolResultSchema, { ...result, value: result.value });
}

/** The state in which a result leaves its entry. */
export function stateFromResult(result: ToolResult): number {
  return result.outcome === Outcome.UNCERTAIN ? entryStates.uncertain : entryStates.done;
}

/** The entry that a driver stored. */
export function entryFromStored(stored: StoredEntry): LedgerEntry {
  const rest = JSON.parse(stored.intent) as Omit<Intent, "key" | "digest" | "timeoutMs"> & { timeoutMs?: number };
  const running = stored.state === entryStates.running;
  return {
    ...rest,
    // Entries of earlier versions have none.
    timeoutMs: rest.timeoutMs ?? 0,
    key: stored.key,
    digest: stored.digest,
    state: running ? "running" : stored.state === entryStates.uncertain ? "uncertain" : "done",
    result: running || !stored.result ? undefined : fromBinary(ToolResultSchema, stored.result),
    createdAt: stored.createdAt,
    endsAt: stored.endsAt,
  };
}
