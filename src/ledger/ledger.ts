import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Effect } from "../plugin/tool.ts";

/** The context in which a call was made. Together with the call's id it identifies repeats. Missing parts are empty. */
export interface CallScope {
  tenant: string;
  source: string;
  conversationId: string;
  sessionId: string;
  runId: string;
  /** Set if the source guarantees ids that are unique by themselves: then a call needs no scope. */
  uniqueCallIds?: true;
}

/** A call that is about to run, in the form that is stored before the tool's function starts. */
export interface Intent {
  /** The idempotency key of the call: equal for every repeat of the call, different for all other calls. */
  key: string;
  /** Digest of the canonical JSON of the arguments, before sanitising. */
  digest: string;
  callId: string;
  tool: string;
  effect: Effect;
  /** The parsed arguments as JSON text, from which the call can be continued after a crash. */
  argumentsJson: string;
  scope: CallScope;
  /** Execution deadline of the run, in milliseconds. */
  timeoutMs: number;
}

/** The ledger's record of a call. Times are Unix milliseconds by the store's clock. */
export interface LedgerEntry extends Intent {
  /** `running` includes entries whose owner died and that have not been taken over yet. */
  state: "running" | "done" | "uncertain";
  /** Set unless `running`. */
  result: ToolResult | undefined;
  /** When the call first began. */
  createdAt: number;
  /** The latest time at which the current run may still send requests. A `write` is not taken over before it. */
  endsAt: number;
  /**
   * The reason why the stored entry is unreadable, for example a missing key. Its arguments are then unknown; unless it
   * is running, it is `uncertain`, and its result says so.
   */
  unreadable?: string;
}

/**
 * Proof that this process owns an entry: its owner and the attempt by which it was acquired. Opaque. Pass it to
 * `finish`, `release` or `restart` of the ledger that issued it.
 */
export interface Claim {
  readonly key: string;
  readonly attempt: number;
  /**
   * The `performance.now()` value until which the run may start and send requests. Afterwards another replica may have
   * taken the call over.
   */
  readonly sendUntil: number;
}

/** An entry that was taken over from a dead owner. */
export interface AbandonedCall {
  readonly entry: LedgerEntry;
  readonly claim: Claim;
}

/** Result of `begin`. */
export type BeginResult =
  /** The intent is stored and this process owns it: run the call. */
  | { readonly state: "new"; readonly claim: Claim }
  /**
   * The owner died before it stored the outcome. This process owns the entry now; its stored effect determines how to
   * continue.
   */
  | ({ readonly state: "abandoned" } & AbandonedCall)
  /** The call runs in this process or another, or its owner died and its run may not be over yet. */
  | { readonly state: "running"; readonly entry: LedgerEntry }
  /** The call has ended (done or uncertain): answer with the stored result. */
  | { readonly state: "ended"; readonly entry: LedgerEntry }
  /** The key exists with another digest. */
  | { readonly state: "conflict" };

/** Result of recording an outcome. */
export type RecordedOutcome =
  /** The outcome is durable. */
  | { readonly state: "stored" }
  /** Another owner holds the entry or has ended it: answer with the stored entry. */
  | { readonly state: "superseded"; readonly entry: LedgerEntry };

/** Result of `finish`. */
export type FinishResult =
  | RecordedOutcome
  /**
   * The store is unavailable: the ledger stores the outcome as soon as it is back. It is not durable until `recorded`
   * resolves.
   */
  | { readonly state: "deferred"; readonly recorded: Promise<RecordedOutcome> };

/** Result of `restart`. */
export type RestartResult =
  | { readonly state: "restarted"; readonly claim: Claim }
  | { readonly state: "superseded"; readonly entry: LedgerEntry | undefined };

/**
 * How an entry is retained after its call has ended.
 *
 * - `replay`: kept. A repeat of the call gets the stored answer.
 * - `show`: kept for callers that look it up by id. A repeat of the call runs again.
 * - `drop`: deleted.
 */
export type Retention = "replay" | "show" | "drop";

/** Selects ended entries for `erase`: those of a conversation, of a run (or of both), or those past their retention. */
export type EraseSelector =
  | {
      readonly tenant: string;
      /** If omitted, any source. */
      readonly source?: string | undefined;
      readonly conversationId?: string | undefined;
      readonly runId?: string | undefined;
    }
  /** Entries that ended at least so many milliseconds ago; UNCERTAIN entries have their own age. */
  | LedgerRetention;

/** Maximum age of ended entries, by the time since they ended. */
export interface LedgerRetention {
  readonly olderThanMs: number;
  readonly uncertainOlderThanMs: number;
}

/** Selects the calls of a conversation or a run. */
export type CallSelector = Extract<EraseSelector, { readonly tenant: string }>;

/** Receives what another replica has erased on request; `all`: this process may have missed erasures. */
export type ErasureListener = (selector: CallSelector | "all") => void;

/**
 * The ledger: the durable record of each call, by its key. docs/guarantees.md describes the protocol. Unless stated
 * otherwise, a promise resolves when the change is as durable as the store makes it, and rejects with a
 * LedgerUnavailableError if the store is unavailable: then nothing has been promised.
 */
export interface Ledger {
  /** Stores the intent unless the key exists. Atomic across replicas. An entry kept for `show` counts as absent. */
  begin(intent: Intent): Promise<BeginResult>;
  /**
   * Records the end of a call, only for the claim's owner and attempt. If the store has lost the entry, it is written
   * again. If the entry became UNCERTAIN, through this owner or through another that took it over without running it,
   * this owner's result settles it; a definitive answer is never replaced. Never rejects.
   */
  finish(claim: Claim, result: ToolResult, retention: Retention): Promise<FinishResult>;
  /**
   * Gives an intent back whose run has not started, so that the call may begin again. Never rejects; retried like
   * `finish`.
   */
  release(claim: Claim): Promise<void>;
  /**
   * Records that this process runs an abandoned `write` again, with this timeout. From then on the former owner cannot
   * settle the entry, because its run is a different one.
   */
  restart(claim: Claim, timeoutMs: number): Promise<RestartResult>;
  /** Finds the entry of a key. */
  find(key: string): Promise<LedgerEntry | undefined>;
  /**
   * Takes over up to `limit` running entries of dead owners, a `write` only once its run must be over. Also gives back
   * entries of this owner that no claim holds, such as an intent that was committed after its caller had got an error.
   */
  recover(limit: number): Promise<AbandonedCall[]>;
  /** Deletes ended entries. Returns their number. */
  erase(selector: EraseSelector): Promise<number>;
  /**
   * Calls `listener` within seconds whenever any replica has erased calls on request, so that this process deletes what
   * it keeps of them in memory. Never calls it if the store has no other replicas.
   */
  onErased(listener: ErasureListener): void;
  /** Number of outcomes that wait for the store. */
  readonly pendingOutcomes: number;
  /** Resolves when no outcome waits for the store any more. */
  settled(): Promise<void>;
  /** Rejects if the store cannot take an intent at present. */
  ping(): Promise<void>;
  /** Findings for the operator that do not prevent operation, such as clocks that differ. */
  notes(): string[];
  close(): Promise<void>;
}

/** Thrown when the store is unreachable or cannot write; nothing has been promised. */
export class LedgerUnavailableError extends Error {
  override readonly name: string = "LedgerUnavailableError";
}
