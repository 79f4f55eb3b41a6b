import type { EraseSelector, Retention } from "./ledger.ts";

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

/** The states of an entry as numbers, the way drivers store them. */
export const entryStates = { running: 0, done: 1, uncertain: 2 } as const;

/** An intent as a driver stores it: see codec.ts. */
export interface StoredIntent {
  readonly key: string;
  readonly digest: string;
  /** All else of the intent, as one text. */
  readonly intent: string;
  /** What entries are erased by; empty where there is none. */
  readonly conversation: string;
  readonly run: string;
  readonly source: string;
  readonly isWrite: boolean;
  readonly timeoutMs: number;
}

/** How a call ended, as a driver stores it. */
export interface StoredResult {
  /** `done` or `uncertain`. */
  readonly state: number;
  readonly bytes: Uint8Array;
}

/** An entry as a driver stores it. */
export interface StoredEntry {
  readonly key: string;
  readonly digest: string;
  readonly intent: string;
  readonly state: number;
  readonly result: Uint8Array | null | undefined;
  readonly createdAt: number;
  readonly endsAt: number;
}

/** An entry as a driver returns it. */
export interface StoredCall<Entry = StoredEntry> {
  readonly entry: Entry;
  /**
   * The run that the entry stands for: the owner and attempt that started it. A takeover keeps it, a restart changes it.
   * Only the owner of this run may settle the entry once it is UNCERTAIN.
   */
  readonly lineage: string;
}

/** Answer of a driver to `begin`. */
export type StoreBeginResult<Entry = StoredEntry> =
  | { readonly state: "new"; readonly lineage: string }
  | ({ readonly state: "abandoned" } & StoredCall<Entry>)
  /** `ownAttempt`: the attempt by which this owner has it; undefined where another owner has it. */
  | { readonly state: "running"; readonly entry: Entry; readonly ownAttempt?: number | undefined }
  | { readonly state: "ended"; readonly entry: Entry }
  | { readonly state: "conflict"; readonly entry: Entry; readonly ownAttempt?: number | undefined };

/** Answer of a driver to `finish`: `gone` where no entry has the key, the entry where it may not be changed. */
export type StoreFinishResult<Entry = StoredEntry> = "stored" | "gone" | Entry;

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
export interface LedgerStore<Intent = StoredIntent, Result = StoredResult, Entry = StoredEntry> {
  begin(intent: Intent, attempt: number): Promise<StoreBeginResult<Entry>>;
  /**
   * Ends the entry where owner and attempt are those of the claim, or where it is UNCERTAIN, of the claim's run, and the
   * result is not. Answers `stored` also where this attempt has ended it already.
   */
  finish(claim: StoredClaim, result: Result, retention: Retention): Promise<StoreFinishResult<Entry>>;
  /** Writes an entry that has ended, unless the key is known: then it answers what is there. */
  write(intent: Intent, claim: StoredClaim, result: Result, retention: Retention): Promise<"stored" | Entry>;
  /**
   * Of a store that may lose what it has acknowledged: like `write`, for an outcome that it had stored. `erased` where the
   * entry was erased on request meanwhile, by whichever replica.
   */
  restore?(
    intent: Intent,
    claim: StoredClaim,
    result: Result,
    retention: Retention,
  ): Promise<"stored" | "erased" | Entry>;
  /**
   * Undoes an attempt: an entry that was new is deleted, one that was taken over has no owner any more. Without a key:
   * every entry of the attempt.
   */
  release(attempt: number, key: string | undefined): Promise<void>;
  /** Gives the entry of the claim a new run with so much time. Answers the run, or what is there instead. */
  restart(claim: StoredClaim, timeoutMs: number): Promise<{ lineage: string } | { entry: Entry | undefined }>;
  /** The running entries of this owner that were begun or taken over at least so many milliseconds ago. */
  running(olderThanMs: number): Promise<{ key: string; attempt: number }[]>;
  recover(limit: number, attempt: number): Promise<StoredCall<Entry>[]>;
  find(key: string): Promise<Entry | undefined>;
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
