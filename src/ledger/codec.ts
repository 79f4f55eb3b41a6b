import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallScope, Intent, LedgerEntry } from "./ledger.ts";

/** The states of an entry as numbers, the way drivers store them. */
export const entryStates = { running: 0, done: 1, uncertain: 2 } as const;

/** What a driver knows of an entry, as it stores it. */
export interface StoredEntry {
  key: string;
  digest: string;
  /** See intentText. */
  intent: string;
  state: number;
  result: Uint8Array | null | undefined;
  createdAt: number;
}

/** The part of an intent that is stored as one text: all but key and digest. */
export function intentText({ callId, tool, effect, argumentsJson, scope }: Intent): string {
  return JSON.stringify({ callId, tool, effect, argumentsJson, scope });
}

/** The conversation of a scope as one text that no other conversation of any tenant has; empty where there is none. */
export function conversationText({ tenant, conversationId }: Pick<CallScope, "tenant" | "conversationId">): string {
  return conversationId === "" ? "" : JSON.stringify([tenant, conversationId]);
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
  const rest = JSON.parse(stored.intent) as Omit<Intent, "key" | "digest">;
  const running = stored.state === entryStates.running;
  return {
    ...rest,
    key: stored.key,
    digest: stored.digest,
    state: running ? "running" : stored.state === entryStates.uncertain ? "uncertain" : "done",
    result: running || !stored.result ? undefined : fromBinary(ToolResultSchema, stored.result),
    createdAt: stored.createdAt,
  };
}
