import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { errorMessage } from "../error-message.ts";
import { modelError } from "../errors.ts";
import type { Sealer } from "../store/sealer.ts";
import { entryStates, type StoredEntry, type StoredIntent, type StoredResult } from "./ledger-store.ts";
import type { CallScope, CallSelector, Intent, LedgerEntry } from "./ledger.ts";

/** Encodes and decodes the stored form of a call. */
export interface EntryCodec {
  intent(intent: Intent): StoredIntent;
  result(key: string, result: ToolResult): StoredResult;
  /** Decodes a stored entry. Never throws: see `unreadable` of LedgerEntry. */
  entry(stored: StoredEntry): LedgerEntry;
  /**
   * Whether an entry was stored with the same arguments as the intent; undefined if its key is missing or has changed.
   */
  isSameContent(intent: Intent, stored: StoredEntry): boolean | undefined;
}

/**
 * The part of an intent that is stored as one text. `sealed` holds the digest and arguments and replaces both fields.
 */
interface IntentText extends Omit<Intent, "key" | "digest" | "argumentsJson" | "timeoutMs"> {
  /** Absent in entries of earlier versions. */
  readonly timeoutMs?: number;
  readonly argumentsJson?: string;
  readonly sealed?: string;
}

/**
 * Creates the codec. Arguments, their digest and the answer are sealed; fields by which calls are found and erased stay
 * plain.
 */
export function createEntryCodec(sealer: Sealer): EntryCodec {
  const rowOf = (field: string, key: string): string => JSON.stringify([field, key]);

  function intentText({ key, digest, argumentsJson, callId, tool, effect, scope, timeoutMs }: Intent): string {
    const plain = { callId, tool, effect, scope, timeoutMs };
    if (!sealer.seals) return JSON.stringify({ ...plain, argumentsJson });
    const sealed = sealer.sealText(JSON.stringify([digest, argumentsJson]), rowOf("arguments", key));
    return JSON.stringify({ ...plain, sealed });
  }

  /** Returns the digest and the arguments of a stored entry. */
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
      // DANGER: protobuf serialises own properties only, so a lazily computed value must be copied.
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
        if (state === "running") return entry;
        // It was running in a backup.
        if (!stored.result) return { ...entry, result: uncertainResult(entry) };
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

/** Returns the entry in the form in which callers see it: its outcome is unknown. */
export function unreadableEntry(entry: LedgerEntry, unreadable: string): LedgerEntry {
  return { ...entry, unreadable, state: "uncertain", result: uncertainResult(entry) };
}

function uncertainResult({ callId, tool: name }: LedgerEntry): ToolResult {
  const message = modelError("uncertain");
  return create(ToolResultSchema, {
    callId,
    name,
    outcome: Outcome.UNCERTAIN,
    output: message,
    error: { message },
  });
}

const stateNames: Readonly<Record<number, LedgerEntry["state"]>> = {
  [entryStates.running]: "running",
  [entryStates.done]: "done",
  [entryStates.uncertain]: "uncertain",
};

/** Assumptions about an unreadable intent: it may have changed something. */
const lostIntent: Omit<Intent, "key" | "digest"> = {
  callId: "",
  tool: "",
  effect: "write",
  argumentsJson: "{}",
  scope: { tenant: "", source: "", conversationId: "", sessionId: "", runId: "" },
  timeoutMs: 0,
};

/** Returns a key of the conversation that is unique over all tenants; empty if there is no conversation. */
function conversationText({ tenant, conversationId }: Pick<CallScope, "tenant" | "conversationId">): string {
  return conversationId === "" ? "" : JSON.stringify([tenant, conversationId]);
}

/** Returns a key of the run that is unique over all tenants; empty if there is no run. */
function runText({ tenant, runId }: Pick<CallScope, "tenant" | "runId">): string {
  return runId === "" ? "" : JSON.stringify([tenant, runId]);
}

/**
 * Returns a selector in the form in which drivers store it; an empty text matches every entry. Undefined if the
 * selector matches nothing.
 */
export function eraseTexts(selector: CallSelector): { conversation: string; run: string; source: string } | undefined {
  const { tenant, source = "", conversationId = "", runId = "" } = selector;
  if (conversationId === "" && runId === "") return undefined;
  return { conversation: conversationText({ tenant, conversationId }), run: runText({ tenant, runId }), source };
}
