import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { errorMessage, modelError } from "../errors.ts";
import type { Sealer } from "../store/sealer.ts";
import { entryStates, type StoredEntry, type StoredIntent, type StoredResult } from "./ledger-store.ts";
import type { CallScope, CallSelector, Intent, LedgerEntry } from "./ledger.ts";

/** Writes and reads what drivers store of a call. */
export interface EntryCodec {
  intent(intent: Intent): StoredIntent;
  result(key: string, result: ToolResult): StoredResult;
  /** The entry that a driver stored. Never throws: see `unreadable` of LedgerEntry. */
  entry(stored: StoredEntry): LedgerEntry;
  /** Whether an entry was stored with the arguments of the intent; undefined where its key is missing, or has changed. */
  isSameContent(intent: Intent, stored: StoredEntry): boolean | undefined;
}

/** The part of an intent that is stored as one text. `sealed` holds digest and arguments, and stands in place of both. */
interface IntentText extends Omit<Intent, "key" | "digest" | "argumentsJson" | "timeoutMs"> {
  /** Entries of earlier versions have none. */
  readonly timeoutMs?: number;
  readonly argumentsJson?: string;
  readonly sealed?: string;
}

/** Makes the codec. Arguments, their digest and the answer are sealed; what calls are found and erased by stays plain. */
export function createEntryCodec(sealer: Sealer): EntryCodec {
  const rowOf = (field: string, key: string): string => JSON.stringify([field, key]);

  function intentText({ key, digest, argumentsJson, callId, tool, effect, scope, timeoutMs }: Intent): string {
    const plain = { callId, tool, effect, scope, timeoutMs };
    if (!sealer.seals) return JSON.stringify({ ...plain, argumentsJson });
    const sealed = sealer.sealText(JSON.stringify([digest, argumentsJson]), rowOf("arguments", key));
    return JSON.stringify({ ...plain, sealed });
  }

  /** The digest and the arguments that an entry was stored with. */
  function contentOf({ key, digest }: StoredEntry, { argumentsJson = "{}", sealed }: IntentText): [string, string] {
    if (sealed === undefined) return [digest, argumentsJson];
    return JSON.parse(sealer.openText(sealed, rowOf("arguments", key)).toString()) as [string, string];
  }

  return {
    intent(intent) {
      const { key, digest, scope, effect, timeoutMs } = intent;
      return {
        key,
        digest: sealer.digest(digest, rowOf("digest", key)),
        intent: intentText(intent),
        conversation: conversationText(scope),
        run: runText(scope),
        source: scope.source,
        isWrite: effect === "write",
        timeoutMs,
      };
    },
    result(key, result) {
      // DANGER: protobuf writes own properties only, and a value that is made on demand is none.
      const bytes = toBinary(ToolResultSchema, { ...result, value: result.value });
      const state = result.outcome === Outcome.UNCERTAIN ? entryStates.uncertain : entryStates.done;
      return { state, bytes: sealer.sealBytes(bytes, rowOf("answer", key)) };
    },
    entry(stored) {
      const { key, createdAt, endsAt } = stored;
      const state = stateNames[stored.state] ?? "uncertain";
      let entry: LedgerEntry = {
        ...lostIntent,
        key,
        digest: stored.digest,
        state,
        result: undefined,
        createdAt,
        endsAt,
      };
      try {
        const text = JSON.parse(stored.intent) as IntentText;
        const { callId, tool, effect, scope, timeoutMs = 0 } = text;
        entry = { ...entry, callId, tool, effect, scope, timeoutMs };
        [entry.digest, entry.argumentsJson] = contentOf(stored, text);
        if (state === "running" || !stored.result) return entry;
        entry.result = fromBinary(ToolResultSchema, sealer.openBytes(stored.result, rowOf("answer", key)));
        return entry;
      } catch (cause) {
        const reason = errorMessage(cause);
        return state === "running" ? { ...entry, unreadable: reason } : unreadableEntry(entry, reason);
      }
    },
    isSameContent({ key, digest }, stored) {
      try {
        if (sealer.matches(stored.digest, digest, rowOf("digest", key))) return true;
        contentOf(stored, JSON.parse(stored.intent) as IntentText);
        return false;
      } catch {
        return undefined;
      }
    },
  };
}

/** The entry as callers are answered by it: nobody knows any more whether the call took effect. */
export function unreadableEntry(entry: LedgerEntry, unreadable: string): LedgerEntry {
  const message = modelError("uncertain");
  const result = create(ToolResultSchema, {
    callId: entry.callId,
    name: entry.tool,
    outcome: Outcome.UNCERTAIN,
    output: message,
    error: { message },
  });
  return { ...entry, unreadable, state: "uncertain", result };
}

const stateNames: Readonly<Record<number, LedgerEntry["state"]>> = {
  [entryStates.running]: "running",
  [entryStates.done]: "done",
  [entryStates.uncertain]: "uncertain",
};

/** What is assumed of an intent that cannot be read: that it may have changed something. */
const lostIntent: Omit<Intent, "key" | "digest"> = {
  callId: "",
  tool: "",
  effect: "write",
  argumentsJson: "{}",
  scope: { tenant: "", source: "", conversationId: "", sessionId: "", runId: "" },
  timeoutMs: 0,
};

/** The conversation of a scope as one text that no other conversation of any tenant has; empty where there is none. */
function conversationText({ tenant, conversationId }: Pick<CallScope, "tenant" | "conversationId">): string {
  return conversationId === "" ? "" : JSON.stringify([tenant, conversationId]);
}

/** The run of a scope as one text that no other run of any tenant has; empty where there is none. */
function runText({ tenant, runId }: Pick<CallScope, "tenant" | "runId">): string {
  return runId === "" ? "" : JSON.stringify([tenant, runId]);
}

/** What a selector names, as drivers store it; empty texts match every entry. Undefined where it names nothing. */
export function eraseTexts(selector: CallSelector): { conversation: string; run: string; source: string } | undefined {
  const { tenant, source = "", conversationId = "", runId = "" } = selector;
  if (conversationId === "" && runId === "") return undefined;
  return { conversation: conversationText({ tenant, conversationId }), run: runText({ tenant, runId }), source };
}
