import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { EraseSelector, Intent, LedgerEntry, Retention } from "./ledger.ts";

/**
 * How long after its execution deadline a run may still let requests out, in milliseconds: the time that the answer to
 * `begin` may take. The run itself counts from that answer.
 */
export const sendMarginMs = 2_000;

/** How long a request that left at the last moment may be on its way, in milliseconds. Then the run is over. */
export const transitMarginMs = 3_000;

/** What is added to a run's execution deadline for its `endsAt`, in milliseconds. */
export const endMarginMs = sendMarginMs + transitMarginMs;

/** How many execution deadlines an owner that took a call over has: one to reconcile, one to run. */
export const takeoverRuns = 2;

/** An entry as a driver returns it. */
export interface StoredCall {
  readonly entry: LedgerEntry;
  /**
   * The run that the entry stands for: the owner and attempt that started it. A takeover keeps it, a restart changes it.
   * Only the owner of this run may settle the entry once it is UNCERTAIN.
   */
  readonly lineage: string;
}

/** Answer of a driver to `begin`. */
export type StoreBeginResult =
  | { readonly state: "new"; readonly lineage: string }
  | ({ readonly state: "abandoned" } & StoredCall)
  /** `ownAttempt`: the attempt by which this owner has it; undefined where another owner has it. */
  | { readonly state: "running"; readonly entry: LedgerEntry; readonly ownAttempt?: number | undefined }
  | { readonly state: "ended"; readonly entry: LedgerEntry }
  | { readonly state: "conflict"; readonly ownAttempt?: number | undefined };

/** Answer of a driver to `finish`: `gone` where no entry has the key, the entry where it may not be changed. */
export type StoreFinishResult = "stored" | "gone" | LedgerEntry;

/** Whose entry a driver changes: its key, the attempt by which it was acquired, and its run. */
export interface StoredClaim {
  readonly key: string;
  readonly attempt: number;
  readonly lineage: string;
}

/**
 * What a driver does with its store, one atomic request each. Each method rejects with a StoreUnavailableError where the
 * request was not answered: it may have been carried out, or may still be. The driver knows its owner; `attempt` is a
 * positive number that this owner uses once. The store keeps it as it is where the entry is new, and negated where it was
 * taken over.
 */
export interface LedgerStore {
  begin(intent: Intent, attempt: number): Promise<StoreBeginResult>;
  /**
   * Ends the entry where owner and attempt are those of the claim, or where it is UNCERTAIN, of the claim's run, and the
   * result is not. Answers `stored` also where this attempt has ended it already.
   */
  finish(claim: StoredClaim, result: ToolResult, retention: Retention): Promise<StoreFinishResult>;
  /** Writes an entry that has ended, unless the key is known: then it answers what is there. */
  write(intent: Intent, claim: StoredClaim, result: ToolResult, retention: Retention): Promise<"stored" | LedgerEntry>;
  /**
   * Undoes an attempt: an entry that was new is deleted, one that was taken over has no owner any more. Without a key:
   * every entry of the attempt.
   */
  release(attempt: number, key: string | undefined): Promise<void>;
  /** Gives the entry of the claim a new run with so much time. Answers the run, or what is there instead. */
  restart(claim: StoredClaim, timeoutMs: number): Promise<{ lineage: string } | { entry: LedgerEntry | undefined }>;
  /** The running entries of this owner that were begun or taken over at least so many milliseconds ago. */
  running(olderThanMs: number): Promise<{ key: string; attempt: number }[]>;
  recover(limit: number, attempt: number): Promise<StoredCall[]>;
  find(key: string): Promise<LedgerEntry | undefined>;
  erase(selector: EraseSelector): Promise<number>;
  ping(): Promise<void>;
  /**
   * Of a store that may lose what it has acknowledged, by a fail-over for example: calls `listener` whenever the store
   * answers again after an outage. Returns what ends that.
   */
  onReturn?(listener: () => Promise<void>): () => void;
  /** See Ledger. */
  notes?(): string[];
  close(): Promise<void>;
}
