import type { Logger } from "pino";
import { LinkedList } from "../linked-list.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { StoreUnavailableError } from "../store/store-errors.ts";
import { type CodedStoreOptions, createCodedStore } from "./coded-store.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { sendMarginMs, takeoverRuns } from "./ledger-store.ts";
import { LedgerUnavailableError } from "./ledger.ts";
import type {
  AbandonedCall,
  BeginResult,
  Claim,
  FinishResult,
  Intent,
  Ledger,
  RecordedOutcome,
  Retention,
} from "./ledger.ts";
import { IssuedClaim, issuedClaim } from "./issued-claim.ts";
import { createPendingRepairs } from "./pending-repairs.ts";
import { createRecentErasures } from "./recent-erasures.ts";
import { createRecentOutcomes, type RecentOutcome } from "./recent-outcomes.ts";

/** Options of a ledger over a store. */
export interface ResilientLedgerOptions extends CodedStoreOptions {
  /** Receives findings for the operator, such as a lost entry or a deferred outcome. */
  readonly log?: Pick<Logger, "warn" | "error"> | undefined;
  /** Monotonic clock in milliseconds. */
  readonly monotonic?: () => number;
  /** How long outcomes are cached, in milliseconds, to restore those that a store has lost. 0 by default. */
  readonly rememberMs?: number;
}

/** Age from which a running entry without a claim counts as an orphan, in milliseconds. */
const orphanAgeMs = 5_000;

/** Maximum number of outcomes and releases that wait for the store. Beyond it, new intents are rejected. */
const maxPendingRepairs = 10_000;

/**
 * Creates a ledger over a store that may fail in the middle of a request. Requests with an unknown result are repaired
 * once the store is back: an intent whose caller got an error is released, and an outcome that could not be stored is
 * stored.
 */
export function createResilientLedger(driver: LedgerStore, options: ResilientLedgerOptions = {}): Ledger {
  const store = createCodedStore(driver, options);
  const { log, monotonic = () => performance.now(), rememberMs = 0 } = options;
  const repairs = createPendingRepairs();
  const recent = createRecentOutcomes(rememberMs, monotonic);
  const erasures = createRecentErasures(monotonic);
  store.onErased?.((selector) => selector === "all" || erasures.add(selector));
  const stopRestoring = store.onReturn?.(restoreAll);
  /**
   * Claims in use, by attempt, including attempts in progress. A running entry of this owner with another attempt is an
   * orphan.
   */
  const claims = new Map<number, number>();
  /** Claims of running calls that this process began, to restore intents that the store has lost. */
  const running = new LinkedList<IssuedClaim>();
  let attempts = 0;

  function issue(intent: Intent, attempt: number, lineage: string, sentAt: number, runs = 1): IssuedClaim {
    const sendUntil = sentAt + runs * intent.timeoutMs + sendMarginMs;
    return new IssuedClaim(intent, attempt, lineage, { sentAt, sendUntil });
  }

  function end(claim: IssuedClaim): void {
    if (claim.ended) return;
    claim.ended = true;
    if (claim.running !== undefined) running.remove(claim.running);
    const rest = (claims.get(claim.attempt) ?? 1) - 1;
    if (rest > 0) claims.set(claim.attempt, rest);
    else claims.delete(claim.attempt);
  }

  /** Sends a request that acquires entries, and undoes it later if its result is unknown. */
  async function acquire<T>(key: string | undefined, request: (attempt: number) => Promise<T>): Promise<T> {
    const attempt = ++attempts;
    claims.set(attempt, 1);
    try {
      return await request(attempt);
    } catch (cause) {
      claims.delete(attempt);
      const untouched = cause instanceof StoreUnavailableError && cause.untouched;
      if (!untouched) repairs.add(key ?? "", { run: () => store.release(attempt, key), outcome: false });
      throw unavailable(cause);
    }
  }

  async function begin(intent: Intent): Promise<BeginResult> {
    if (repairs.count >= maxPendingRepairs) throw new LedgerUnavailableError("too many outcomes wait for the store");
    if (repairs.has(intent.key)) await reached(() => repairs.settle(intent.key));
    for (;;) {
      const sentAt = monotonic();
      const { attempt, reply } = await acquire(intent.key, async (attempt) => ({
        attempt,
        reply: await store.begin(intent, attempt),
      }));
      if (reply.state === "new") {
        const lost = recent.get(intent.key);
        if (lost === undefined) {
          const claim = issue(intent, attempt, reply.lineage, sentAt);
          if (stopRestoring !== undefined) claim.running = running.add(claim);
          return { state: "new", claim };
        }
        claims.delete(attempt);
        await reached(() => store.release(attempt, intent.key));
        await reached(() => restore(lost));
        continue;
      }
      if (reply.state === "abandoned") {
        const { entry, lineage } = reply;
        return { state: "abandoned", entry, claim: issue(entry, attempt, lineage, sentAt, takeoverRuns) };
      }
      claims.delete(attempt);
      const own = reply.state === "ended" || reply.ownAttempt === undefined ? undefined : Math.abs(reply.ownAttempt);
      if (own === undefined || claims.has(own)) return reply.state === "conflict" ? { state: "conflict" } : reply;
      // An orphan: its caller got an error, and the commit came later.
      await reached(() => store.release(own, intent.key));
    }
  }

  /** Learns what other replicas have erased until now. */
  async function askForErasures(): Promise<void> {
    if (store.onErased !== undefined) await store.ping();
  }

  /** Reports whether the call's entry may be gone because another process ended it and it was erased. */
  function mayBeErased({ intent, sentAt }: IssuedClaim): boolean {
    return erasures.cover(intent.scope, sentAt);
  }

  async function storeOutcome(claim: IssuedClaim, result: ToolResult, retention: Retention): Promise<RecordedOutcome> {
    let answer = await store.finish(claim, result, retention);
    if (answer === "gone") {
      await askForErasures();
      if (mayBeErased(claim)) {
        end(claim);
        recent.forget(claim.key);
        return { state: "stored" };
      }
      if (claim.stored || retention === "drop") answer = "stored";
      else {
        answer = await store.write(claim.intent, claim, result, retention);
        log?.warn({ tool: claim.intent.tool }, "the store had lost a running call: its outcome was written again");
      }
    }
    end(claim);
    if (answer !== "stored") return { state: "superseded", entry: answer };
    claim.stored = true;
    if (retention !== "replay") recent.forget(claim.key);
    else if (rememberMs > 0) recent.remember({ intent: claim.intent, claim, result });
    return { state: "stored" };
  }

  async function finish(claim: Claim, result: ToolResult, retention: Retention): Promise<FinishResult> {
    const issued = issuedClaim(claim);
    try {
      if (repairs.has(issued.key)) await repairs.settle(issued.key);
      return await storeOutcome(issued, result, retention);
    } catch (cause) {
      // DANGER: no caller may have this answer yet. If this process ends before it is durable, the next owner finds the
      // intent only, and reports an unknown outcome.
      log?.error(
        { err: cause, tool: issued.intent.tool },
        "the outcome of a call could not be stored; it will be tried again",
      );
      const { promise: recorded, resolve } = Promise.withResolvers<RecordedOutcome>();
      repairs.add(issued.key, {
        run: async () => resolve(await storeOutcome(issued, result, retention)),
        outcome: true,
      });
      return { state: "deferred", recorded };
    }
  }

  /** Writes a lost outcome to the store again. An existing entry is kept, and an erased one stays erased. */
  async function restore({ intent, claim, result }: RecentOutcome): Promise<void> {
    const answer = await (store.restore ?? store.write)(intent, claim, result, "replay");
    if (answer === "erased") recent.forget(intent.key);
    if (answer === "stored")
      log?.warn({ tool: intent.tool, call: intent.callId }, "the store had lost an outcome: it was written again");
  }

  /** Restores lost entries after an outage of the store. Never rejects. */
  async function restoreAll(): Promise<void> {
    // If the store fails again, its next return is handled in the same way.
    try {
      await askForErasures();
    } catch {
      return;
    }
    for (const item of running.items()) {
      const { intent, attempt } = item.value;
      if (!running.has(item) || mayBeErased(item.value)) continue;
      try {
        const { state } = await store.begin(intent, attempt);
        if (state === "new")
          log?.warn(
            { tool: intent.tool, call: intent.callId },
            "the store had lost a running call: it was written again",
          );
        if (state === "abandoned") await store.release(attempt, intent.key);
      } catch {
        return;
      }
    }
    for (const outcome of recent.all()) {
      try {
        await restore(outcome);
      } catch {
        return;
      }
    }
  }

  async function release(claim: Claim): Promise<void> {
    const issued = issuedClaim(claim);
    if (issued.ended) return;
    const run = async (): Promise<void> => {
      await store.release(issued.attempt, issued.key);
      end(issued);
    };
    try {
      await run();
    } catch {
      repairs.add(issued.key, { run, outcome: false });
    }
  }

  async function recover(limit: number): Promise<AbandonedCall[]> {
    if (repairs.has("")) await reached(() => repairs.settle(""));
    // An orphan that cannot be released now does not hold up the others.
    for (const { key, attempt } of await reached(() => store.running(orphanAgeMs)))
      if (!claims.has(Math.abs(attempt))) await store.release(Math.abs(attempt), key).catch(() => {});
    const sentAt = monotonic();
    return await acquire(undefined, async (attempt) => {
      const calls = await store.recover(limit, attempt);
      if (calls.length > 0) claims.set(attempt, calls.length);
      else claims.delete(attempt);
      return calls.map(({ entry, lineage }) => ({
        entry,
        claim: issue(entry, attempt, lineage, sentAt, takeoverRuns),
      }));
    });
  }

  return {
    begin,
    finish,
    release,
    recover,
    async restart(claim, timeoutMs) {
      const issued = issuedClaim(claim);
      const sentAt = monotonic();
      const answer = await reached(() => store.restart(issued, timeoutMs));
      if ("entry" in answer) {
        end(issued);
        return { state: "superseded", entry: answer.entry };
      }
      // The new claim replaces the old one.
      issued.ended = true;
      const intent = { ...issued.intent, timeoutMs };
      return { state: "restarted", claim: issue(intent, issued.attempt, answer.lineage, sentAt) };
    },
    find: (key) => reached(() => store.find(key)),
    async erase(selector) {
      if (!("olderThanMs" in selector) || selector.olderThanMs < rememberMs) recent.forgetAll();
      return await reached(() => store.erase(selector));
    },
    onErased: (listener) => store.onErased?.(listener),
    get pendingOutcomes() {
      return repairs.outcomes;
    },
    settled: () => repairs.settled(),
    notes: () => store.notes?.() ?? [],
    ping: () => reached(() => store.ping()),
    async close() {
      stopRestoring?.();
      await repairs.close();
      await store.close();
    },
  };
}

async function reached<T>(request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (cause) {
    throw unavailable(cause);
  }
}

function unavailable(cause: unknown): LedgerUnavailableError {
  if (cause instanceof LedgerUnavailableError) return cause;
  return new LedgerUnavailableError(cause instanceof Error ? cause.message : String(cause), { cause });
}
