import type { Logger } from "pino";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { plainSealer, type Sealer } from "../store/sealer.ts";
import { createEntryCodec, unreadableEntry } from "./codec.ts";
import type { LedgerStore, StoredClaim, StoredEntry } from "./ledger-store.ts";
import type { Intent, LedgerEntry, Retention } from "./ledger.ts";

/** A driver's store seen through the codec: it takes calls and answers, and returns entries. */
export type CodedStore = LedgerStore<Intent, ToolResult, LedgerEntry>;

/** Logging and encryption of a coded store. */
export interface CodedStoreOptions {
  /** Receives a line for each unreadable call. */
  readonly log?: Pick<Logger, "warn" | "error"> | undefined;
  /** Seals arguments and answers. By default they are stored in plain form. */
  readonly sealer?: Sealer;
}

/** Encodes what is written to a driver's store and decodes what is read: the only place that seals and opens values. */
export function createCodedStore(store: LedgerStore, { log, sealer = plainSealer }: CodedStoreOptions): CodedStore {
  const codec = createEntryCodec(sealer);
  const { restore, ...rest } = store;

  /** Reads a stored entry. An unreadable entry has an unknown outcome and answers no call. */
  function read(stored: StoredEntry): LedgerEntry {
    const entry = codec.entry(stored);
    if (entry.unreadable !== undefined && entry.state !== "running") logUnreadable(entry);
    return entry;
  }

  function logUnreadable({ tool, unreadable: reason }: LedgerEntry): void {
    log?.error({ tool, reason }, "the stored record of a call cannot be read: the call is answered as UNCERTAIN");
  }

  return {
    ...rest,
    async begin(intent, attempt) {
      const coded = codec.intent(intent);
      let reply = await store.begin(coded, attempt);
      if (reply.state === "conflict") {
        const { entry: stored } = reply;
        const same = codec.isSameContent(intent, stored);
        if (same === undefined) {
          // DANGER: nothing can tell whether the arguments are the same, so the call must not run.
          const entry = codec.entry(stored);
          const unknown = unreadableEntry(entry, entry.unreadable ?? "the digest of its arguments cannot be compared");
          logUnreadable(unknown);
          return { state: "ended", entry: unknown };
        }
        // The stored digest was made with another key, or before there was one.
        if (same) reply = await store.begin({ ...coded, digest: stored.digest }, attempt);
      }
      return reply.state === "new" ? reply : { ...reply, entry: read(reply.entry) };
    },
    async finish(claim, result, retention) {
      const answer = await store.finish(claim, codec.result(claim.key, result), retention);
      return typeof answer === "string" ? answer : read(answer);
    },
    async write(intent, claim, result, retention) {
      const answer = await store.write(codec.intent(intent), claim, codec.result(claim.key, result), retention);
      return typeof answer === "string" ? answer : read(answer);
    },
    ...(restore !== undefined && {
      async restore(intent: Intent, claim: StoredClaim, result: ToolResult, retention: Retention) {
        const answer = await restore(codec.intent(intent), claim, codec.result(claim.key, result), retention);
        return typeof answer === "string" ? answer : read(answer);
      },
    }),
    async restart(claim, timeoutMs) {
      const answer = await store.restart(claim, timeoutMs);
      return "lineage" in answer ? answer : { entry: answer.entry && read(answer.entry) };
    },
    recover: async (limit, attempt) =>
      (await store.recover(limit, attempt)).map(({ entry, lineage }) => ({ entry: read(entry), lineage })),
    async find(key) {
      const found = await store.find(key);
      return found && read(found);
    },
  };
}
