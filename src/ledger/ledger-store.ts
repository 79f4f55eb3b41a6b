import type { ErasureListener, EraseSelector, Retention } from "./ledger.ts";

/**
 * How long after its execution deadline a run may still send requests, in milliseconds. It equals the time that the
 * answer to `begin` may take, because the run measures its deadline from that answer.
 */
export const sendMarginMs = 2_000;

/** Maximum transit time of a request that was sent at the last moment, in milliseconds. After it the run is over. */
export const transitMarginMs = 3_000;

/** Added to a run's execution deadline to get its `endsAt`, in milliseconds. */
export const endMarginMs = sendMarginMs + transitMarginMs;

/** Number of execution deadlines that an owner gets after a takeover: one to reconcile, one to run. */
export const takeoverRuns = 2;

/** The states of an entry as drivers store them. */
export const entryStates = { running: 0, done: 1, uncertain: 2 } as const;

/** An intent in stored form: see codec.ts. */
export interface StoredIntent {
  readonly key: string;
  readonly digest: string;
  /** All other fields of the intent, as one text. */
  readonly intent: string;
  /** Fields by which entries are erased; empty if not given. */
  readonly conversation: string;
  readonly run: string;
  readonly source: string;
  readonly isWrite: boolean;
  readonly timeoutMs: number;
}

/** The end of a call in stored form. */
export interface StoredResult {
  /** `done` or `uncertain`. */
  readonly state: number;
  readonly bytes: Uint8Array;
}

/** An entry in stored form. */
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
   * The run that the entry stands for: the owner and attempt that started it. A takeover keeps it, a restart changes
   * it. Only the owner of this run may settle the entry once it is UNCERTAIN.
   */
  readonly lineage: string;
}

/** A driver's answer to `begin`. */
export type StoreBeginResult<Entry = StoredEntry> =
  | { readonly state: "new"; readonly lineage: string }
  | ({ readonly state: "abandoned" } & StoredCall<Entry>)
  /** `ownAttempt`: the attempt by which this owner holds the entry; undefined if another owner holds it. */
  | { readonly state: "running"; readonly entry: Entry; readonly ownAttempt?: number | undefined }
  | { readonly state: "ended"; readonly entry: Entry }
  | { readonly state: "conflict"; readonly entry: Entry; readonly ownAttempt?: number | undefined };

/** A driver's answer to `finish`: `gone` if no entry has the key, or the existing entry if it must not be changed. */
export type StoreFinishResult<Entry = StoredEntry> = "stored" | "gone" | Entry;

/** Identifies an entry to change: its key, the attempt by which it was acquired, and its run. */
export interface StoredClaim {
  readonly key: string;
  readonly attempt: number;
  readonly lineage: string;
}

/**
 * The storage operations of a driver, each one atomic request. Every method rejects with a StoreUnavailableError if the
 * request was not answered: then it may have been executed, or may still be. The driver knows its owner. `attempt` is a
 * positive number that the owner uses once; the store keeps it as it is in a new entry, and negated in an entry that
 * was taken over.
 */
export interface LedgerStore<Intent = StoredIntent, Result = StoredResult, Entry = StoredEntry> {
  begin(intent: Intent, attempt: number): Promise<StoreBeginResult<Entry>>;
  /**
   * Ends the entry if the claim's owner and attempt hold it, or if it is UNCERTAIN, of the claim's run, and the result
   * is not. Returns `stored` also if this attempt has already ended it.
   */
  finish(claim: StoredClaim, result: Result, retention: Retention): Promise<StoreFinishResult<Entry>>;
  /** Writes an ended entry. If the key exists, returns the existing entry instead. */
  write(intent: Intent, claim: StoredClaim, result: Result, retention: Retention): Promise<"stored" | Entry>;
  /**
   * Present if the store may lose acknowledged writes. Like `write`, for an outcome that was stored before. Returns
   * `erased` if any replica has erased the entry on request meanwhile.
   */
  restore?(
    intent: Intent,
    claim: StoredClaim,
    result: Result,
    retention: Retention,
  ): Promise<"stored" | "erased" | Entry>;
  /**
   * Undoes an attempt: a new entry is deleted, an entry that was taken over loses its owner. Without a key: every entry
   * of the attempt.
   */
  release(attempt: number, key: string | undefined): Promise<void>;
  /** Gives the claim's entry a new run with this timeout. Returns the run, or the existing entry instead. */
  restart(claim: StoredClaim, timeoutMs: number): Promise<{ lineage: string } | { entry: Entry | undefined }>;
  /** Lists this owner's running entries that were begun or taken over at least `olderThanMs` milliseconds ago. */
  running(olderThanMs: number): Promise<{ key: string; attempt: number }[]>;
  recover(limit: number, attempt: number): Promise<StoredCall<Entry>[]>;
  find(key: string): Promise<Entry | undefined>;
  erase(selector: EraseSelector): Promise<number>;
  ping(): Promise<void>;
  /**
   * Present if the store may lose acknowledged writes, for example in a fail-over. Calls `listener` whenever the store
   * answers again after an outage. Returns a function that removes the listener.
   */
  onReturn?(listener: () => Promise<void>): () => void;
  /** Present if replicas share the store: see Ledger. */
  onErased?(listener: ErasureListener): void;
  /** See Ledger. */
  notes?(): string[];
  close(): Promise<void>;
}
