import type { Logger } from "pino";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { plainSealer, type Sealer } from "../store/sealer.ts";
import { createEntryCodec, unreadableEntry } from "./codec.ts";
import type { LedgerStore, StoredClaim, StoredEntry } from "./ledger-store.ts";
import type { Intent, LedgerEntry, Retention } from "./ledger.ts";

/** A driver's store as the ledger uses it: calls, answers and entries in place of what is stored of them. */
export type CodedStore = LedgerStore<Intent, ToolResult, LedgerEntry>;

/** How what is stored is coded. */
export interface CodedStoreOptions {
  /** Receives a line for each call that cannot be read. */
  readonly log?: Pick<Logger, "warn" | "error"> | undefined;
  /** Seals arguments and answers. Plain by default. */
  readonly sealer?: Sealer;
}

/** Codes what goes into a driver's store and reads what comes out: the one place where it is sealed and opened. */
export function createCodedStore(store: LedgerStore, { log, sealer = plainSealer }: CodedStoreOptions): CodedStore {
  const codec = createEntryCodec(sealer);
  const { restore, ...rest } = store;

  /** Reads what is stored. What cannot be read is nobody's answer: it is not known whether the call took effect. */
  function read(stored: StoredEntry): LedgerEntry {
    const entry = codec.entry(stored);
    if (entry.unreadable !== undefined && entry.state !== "running") logUnreadable(entry);
    return entry;
  }

  function logUnreadable({ tool, unreadable: reason }: LedgerEntry): void {
    log?.error({ tool, reason }, "what is stored of a call cannot be read: the call is answered as UNCERTAIN");
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
          // DANGER: whether these are the same arguments cannot be found out, so that nothing may run.
          const entry = codec.entry(stored);
          const unknown = unreadableEntry(entry, entry.unreadable ?? "the digest of its arguments cannot be compared");
          logUnreadable(unknown);
          return { state: "ended", entry: unknown };
        }
        // Its digest was made with another key, or before there was one.
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
